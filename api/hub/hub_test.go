package hub

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func say(s string) func(uint64) (string, error) {
	return func(seq uint64) (string, error) { return fmt.Sprintf("%d:%s", seq, s), nil }
}

func publish(t *testing.T, h *Hub[string], site, s string) {
	t.Helper()
	if err := h.Publish(Key{site, "state"}, say(s)); err != nil {
		t.Fatal(err)
	}
}

// heard empties the member's queue.
func heard(m *Member[string]) string {
	var out []string
	for {
		select {
		case s := <-m.Messages():
			out = append(out, s)
		default:
			return strings.Join(out, " ")
		}
	}
}

func TestFanOut(t *testing.T) {
	h := New[string](8)
	all, w, _ := h.Join(nil, 4, nil)
	if w.Seq != 0 || w.Resumed {
		t.Errorf("welcome %+v", w)
	}
	one, _, _ := h.Join([]string{"a"}, 4, nil)
	publish(t, h, "a", "x")
	publish(t, h, "b", "y")
	if err := h.Beat(say("beat")); err != nil {
		t.Fatal(err)
	}
	if got := heard(all); got != "1:x 2:y 2:beat" {
		t.Errorf("all heard %s", got)
	}
	if got := heard(one); got != "1:x 2:beat" {
		t.Errorf("a heard %s", got)
	}
	one.Leave()
	one.Leave()
	publish(t, h, "a", "z")
	if got := heard(one); got != "" || one.Why() != Left || h.Size() != 1 {
		t.Errorf("after leaving: heard %q, why %d, size %d", got, one.Why(), h.Size())
	}
}

func TestSlowMemberIsSentAwayAndOthersAreNot(t *testing.T) {
	h := New[string](8)
	slow, _, _ := h.Join(nil, 2, nil)
	quick, _, _ := h.Join(nil, 2, nil)
	for i := range 3 {
		publish(t, h, "a", fmt.Sprint(i))
		heard(quick)
	}
	select {
	case <-slow.Done():
	default:
		t.Fatal("the slow member is still there")
	}
	if slow.Why() != Slow || h.Size() != 1 {
		t.Errorf("why %d, size %d", slow.Why(), h.Size())
	}
	select {
	case <-quick.Done():
		t.Error("the quick member was sent away too")
	default:
	}
}

func TestResume(t *testing.T) {
	h := New[string](3)
	for _, s := range []string{"a1", "b1", "a2", "b2"} {
		publish(t, h, s[:1], s)
	}
	for _, c := range []struct {
		name    string
		at      *Position
		sites   []string
		resumed bool
		missed  string
	}{
		{"new", nil, nil, false, ""},
		{"another run", &Position{"other", 4}, nil, false, ""},
		{"missed nothing", &Position{h.Run(), 4}, nil, true, ""},
		{"missed one", &Position{h.Run(), 3}, nil, true, "4:b2"},
		{"only the newest of each key", &Position{h.Run(), 1}, nil, true, "3:a2 4:b2"},
		{"only what it follows", &Position{h.Run(), 1}, []string{"a"}, true, "3:a2"},
		{"too long away", &Position{h.Run(), 0}, nil, false, ""},
		{"from the future", &Position{h.Run(), 5}, nil, false, ""},
	} {
		_, w, ok := h.Join(c.sites, 1, c.at)
		if !ok || w.Seq != 4 || w.Resumed != c.resumed || strings.Join(w.Missed, " ") != c.missed {
			t.Errorf("%s: %+v", c.name, w)
		}
	}
}

func TestNumberIsUsedOnce(t *testing.T) {
	h := New[string](3)
	m, _, _ := h.Join(nil, 4, nil)
	if err := h.Publish(Key{"a", "state"}, func(uint64) (string, error) { return "", errors.New("broken") }); err == nil {
		t.Error("no error")
	}
	publish(t, h, "a", "x")
	if got := heard(m); got != "2:x" {
		t.Errorf("heard %s", got)
	}
}

func TestClosed(t *testing.T) {
	h := New[string](3)
	m, _, _ := h.Join(nil, 4, nil)
	h.Close()
	<-m.Done()
	if m.Why() != Closed {
		t.Errorf("why %d", m.Why())
	}
	if _, _, ok := h.Join(nil, 4, nil); ok {
		t.Error("a closed hub admits members")
	}
}

func TestForget(t *testing.T) {
	h := New[string](4)
	run := h.Run()
	m, _, _ := h.Join(nil, 4, nil)
	if err := h.Publish(Key{"poort", "state"}, func(uint64) (string, error) { return "busy", nil }); err != nil {
		t.Fatal(err)
	}
	if h.Forget() || h.Run() != run {
		t.Error("forgot while a member was there")
	}
	m.Leave()
	if !h.Forget() || h.Run() == run {
		t.Error("did not begin a new run")
	}
	// Whoever missed nothing of the old run may have missed something since.
	if _, w, _ := h.Join(nil, 4, &Position{Run: run, Seq: 1}); w.Resumed || w.Seq != 1 {
		t.Errorf("resumed a run that was forgotten: %+v", w)
	}
}
