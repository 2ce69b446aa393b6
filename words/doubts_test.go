package words

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
)

func TestDoubtsInPlainSentences(t *testing.T) {
	w := in(t, "nl")
	site := yard()
	now := civil("2026-05-09 12:00")
	for _, c := range []struct {
		doubt perron.Doubt
		want  string
	}{
		{perron.Doubt{Kind: perron.DoubtStuck, Sensor: "queue-2", Since: now.Add(-40 * time.Minute)}, "Wachtrijlus queue-2 van Poort is al 40 min onafgebroken bezet."},
		{perron.Doubt{Kind: perron.DoubtSensor, Sensor: "main-in"}, "Sensor main-in (Ingang) van Poort werkt niet goed."},
		{perron.Doubt{Kind: perron.DoubtOffline, Gateway: "gate", Since: now.Add(-26 * time.Hour)}, "Teller gate van Poort meldt zich niet al 26 uur."},
		{perron.Doubt{Kind: perron.DoubtLost, Count: 1}, "Poort: 1 telling is verloren gegaan."},
		{perron.Doubt{Kind: perron.DoubtSetAside, Count: 2100}, "Poort: 2.100 tellingen hadden een onmogelijke tijd of kwamen van een onbekende sensor en tellen niet mee."},
		{perron.Doubt{Kind: perron.DoubtOutbox, Gateway: "gate", Since: now.Add(-time.Hour)}, "Teller gate van Poort heeft een nieuw geheugen. Wat hij vanaf 11:00 telde en nog niet had verstuurd, is weg; hoeveel is niet bekend."},
		{perron.Doubt{Kind: perron.DoubtOutbox, Gateway: "gate", Since: now.Add(-time.Hour), Count: 12}, "Teller gate van Poort heeft een nieuw geheugen. Minstens 12 tellingen in het oude waren nog niet verstuurd en zijn weg, en ook wat er vanaf 11:00 bij kwam."},
		{perron.Doubt{Kind: perron.DoubtForecast, Since: now.Add(-3 * time.Minute)}, "Poort: de verwachting klopt duidelijk slechter dan eerst. Is er iets veranderd, of mist een teller voertuigen?"},
		{perron.Doubt{Kind: perron.DoubtForecast, Since: now.AddDate(0, 0, -9)}, "Poort: de verwachting klopt al 9 dagen duidelijk slechter dan eerst. Is er iets veranderd, of mist een teller voertuigen?"},
		{perron.Doubt{Kind: "new_kind"}, "Poort: er is iets mis met de tellingen."},
	} {
		if got := w.Doubt(site, c.doubt, now); got != c.want {
			t.Errorf("%s: %q, want %q", c.doubt.Kind, got, c.want)
		}
	}
	// An open site without a measurement is wrong even when nobody says why.
	b := perron.Busyness{}.AsOf(site, now)
	if got := w.Doubts(site, &b, now); len(got) != 1 || got[0] != "Poort: Geen actuele meting." {
		t.Errorf("silence: %q", got)
	}
}

// constants are the values of the constants of a type in perron.
func constants(t *testing.T, typ string) []string {
	t.Helper()
	entries, err := os.ReadDir("../perron")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), "../perron/"+e.Name(), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok {
				return true
			}
			if of, ok := spec.Type.(*ast.Ident); !ok || of.Name != typ {
				return true
			}
			for _, v := range spec.Values {
				if lit, ok := v.(*ast.BasicLit); ok && lit.Kind == token.STRING {
					value, err := strconv.Unquote(lit.Value)
					if err != nil {
						t.Fatal(err)
					}
					out = append(out, value)
				}
			}
			return true
		})
	}
	if len(out) == 0 {
		t.Fatalf("perron has no constants of type %s", typ)
	}
	return out
}

// Every value that perron has a name for has words of its own in every
// language; the list is read from its source, so that a new one is not
// forgotten.
func TestEveryNameHasWords(t *testing.T) {
	site, now := yard(), civil("2026-05-09 12:00")
	for _, l := range built(t).All() {
		unknown := l.T("doubt.unknown", "Site", site.Name)
		for _, kind := range constants(t, "DoubtKind") {
			if got := l.Doubt(site, perron.Doubt{Kind: perron.DoubtKind(kind), Count: 3}, now); got == unknown || strings.HasPrefix(got, "doubt.") {
				t.Errorf("%s: the doubt %s has no sentence: %q", l.Lang(), kind, got)
			}
		}
		for typ, prefix := range map[string]string{"Level": "level.", "Trend": "trend.", "SensorHealth": "health.", "Holiday": "holiday."} {
			for _, value := range constants(t, typ) {
				if value == "" {
					continue
				}
				if id := prefix + value; l.T(id) == id {
					t.Errorf("%s: there are no words for %s", l.Lang(), id)
				}
			}
		}
		for _, kind := range constants(t, "ActionKind") {
			if got := l.Did("Poort", &perron.Action{Kind: perron.ActionKind(kind), Vehicles: 2}); strings.HasPrefix(got, "did.") {
				t.Errorf("%s: there are no words for the action %s", l.Lang(), kind)
			}
		}
	}
}
