package words

import "testing"

// BenchmarkSay makes what one change of one site takes in one language.
func BenchmarkSay(b *testing.B) {
	l, site, c := in(b, "nl"), yard(), stateCases()[2]
	for b.Loop() {
		l.Say(site, &c.state, c.now, ToAll)
	}
}

// BenchmarkFallback is made once a second, site and language in use.
func BenchmarkFallback(b *testing.B) {
	l, site, c := in(b, "nl"), yard(), stateCases()[2]
	for b.Loop() {
		l.Fallback(site, &c.state, c.now, ToAll)
	}
}
