package perron

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// A diary writes down what a replay lets happen, by the second.
type diary []string

func (d *diary) Observe(e Event) { *d = append(*d, fmt.Sprintf("%d%s", e.Time.Unix(), e.Kind)) }

func (d *diary) Recount(at time.Time, vehicles int) {
	*d = append(*d, fmt.Sprintf("%d=%d", at.Unix(), vehicles))
}

func TestReplay(t *testing.T) {
	at := func(s int64) time.Time { return time.Unix(s, 0) }
	events := []Event{{Time: at(2), Kind: In}, {Time: at(5), Kind: Out}, {Time: at(5), Kind: In}, {Time: at(9), Kind: In}}
	actions := []Action{
		{At: at(1), Kind: Recount, Vehicles: 3},
		{At: at(2), Kind: Close},
		{At: at(5), Kind: Recount, Vehicles: 4},
		{At: at(5), Kind: Reopen},
		{At: at(12), Kind: Recount, Vehicles: 8},
	}
	kept := slices.Clone(actions)
	var d diary
	r := NewReplay(&d, events, actions)
	want := func(text string) {
		t.Helper()
		if got := strings.Join(d, " "); got != text {
			t.Errorf("got %q, want %q", got, text)
		}
	}
	r.Until(at(4))
	want("1=3 2in")
	if next, ok := r.Next(); !ok || !next.Equal(at(5)) {
		t.Errorf("next at %v, %v", next, ok)
	}
	if !r.Step() {
		t.Error("an event is no event")
	}
	want("1=3 2in 5out")
	r.Until(at(5))
	want("1=3 2in 5out 5in 5=4") // of one instant the recount comes last
	r.Until(at(100))
	want("1=3 2in 5out 5in 5=4 9in 12=8")
	if _, ok := r.Next(); ok || r.Step() {
		t.Error("it goes on after the end")
	}
	if !slices.EqualFunc(actions, kept, func(a, b Action) bool { return a.Kind == b.Kind && a.At.Equal(b.At) }) {
		t.Error("the actions were changed")
	}
}
