package counter

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var noon = time.Date(2026, 6, 6, 12, 0, 0, 0, time.UTC)

func TestStep(t *testing.T) {
	never := time.Duration(-1) // nothing was read before
	for _, c := range []struct {
		name    string
		bits    int
		was     uint64
		elapsed time.Duration
		now     uint64
		gap     bool
		untimed bool
		want    Kind
		delta   uint64
		doubt   bool
		refused uint64
	}{
		{name: "never read", bits: 16, elapsed: never, now: 4711, want: First},
		{name: "nothing passed", bits: 16, was: 7, elapsed: time.Second, now: 7, want: Same},
		{name: "the same message again", bits: 32, was: 7, elapsed: 0, now: 7, want: Same},
		{name: "one", bits: 16, was: 7, elapsed: time.Second, now: 8, want: Forward, delta: 1},
		{name: "as many as the headway allows", bits: 16, was: 7, elapsed: time.Second, now: 11, want: Forward, delta: 4},
		{name: "more than the headway allows", bits: 16, was: 7, elapsed: time.Second, now: 12, want: Jump, doubt: true, refused: 5},
		{name: "another device with a higher value", bits: 32, was: 7, elapsed: time.Minute, now: 1 << 31, want: Jump, doubt: true, refused: 1<<31 - 7},
		{name: "a whole day unread", bits: 32, was: 10_000, elapsed: 24 * time.Hour, now: 11_900, gap: true, want: Forward, delta: 1900, doubt: true},
		{name: "a short time unread, too high for a new beginning", bits: 32, was: 10_000, elapsed: 10 * time.Second, now: 10_002, gap: true, want: Forward, delta: 2},
		{name: "a year unread", bits: 32, was: 0, elapsed: 365 * 24 * time.Hour, now: 50_001, want: Jump, doubt: true, refused: 50_001},
		{name: "round at 16 bits", bits: 16, was: 65_535, elapsed: time.Second, now: 0, want: Wrapped, delta: 1},
		{name: "round at 16 bits by some", bits: 16, was: 65_534, elapsed: time.Second, now: 1, want: Wrapped, delta: 3},
		{name: "round at 32 bits", bits: 32, was: 1<<32 - 2, elapsed: time.Second, now: 1, want: Wrapped, delta: 3},
		{name: "round at 64 bits", bits: 64, was: 1<<64 - 1, elapsed: time.Second, now: 1, want: Wrapped, delta: 2},
		{name: "round at 16 bits, or without power", bits: 16, was: 65_530, elapsed: 20 * time.Second, now: 5, gap: true, want: Reset, delta: 5, doubt: true},
		{name: "without power", bits: 16, was: 1234, elapsed: 30 * time.Second, now: 0, gap: true, want: Reset, doubt: true},
		{name: "without power, and has counted since", bits: 32, was: 1234, elapsed: 30 * time.Second, now: 3, want: Reset, delta: 3, doubt: true},
		{name: "restored from an old note", bits: 32, was: 5000, elapsed: 30 * time.Second, now: 4980, want: Back, doubt: true},
		{name: "half the way round is not going round", bits: 16, was: 40_000, elapsed: 30 * 24 * time.Hour, now: 20_000, want: Reset, delta: 20_000, doubt: true},
		{name: "an old message after a new one", bits: 32, was: 100, elapsed: -time.Minute, now: 90, want: Late},
		{name: "the clock was set back meanwhile", bits: 32, was: 100, elapsed: -time.Hour, now: 140, untimed: true, want: Forward, delta: 40},
		{name: "the clock was set back meanwhile, and without power", bits: 32, was: 9000, elapsed: -time.Hour, now: 40, untimed: true, gap: true, want: Reset, delta: 40, doubt: true},
		{name: "does not fit", bits: 16, was: 65_535, elapsed: time.Second, now: 65_536, want: Wide, doubt: true},
		{name: "an odd width", bits: 24, was: 1<<24 - 1, elapsed: time.Second, now: 0, want: Wrapped, delta: 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			var was State
			if c.elapsed != never {
				was = State{c.was, noon}
			}
			r := Reading{Value: c.now, At: noon.Add(c.elapsed), Gap: c.gap, Untimed: c.untimed}
			next, got := Counter{Bits: c.bits}.Step(was, r)
			want := Step{Kind: c.want, Delta: c.delta, Doubt: c.doubt, Refused: c.refused, From: was.At, To: r.At}
			if c.untimed {
				want.From = time.Time{}
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("(-want +got)\n%s", d)
			}
			after := State{r.Value, r.At}
			if c.want == Late || c.want == Wide {
				after = was
			}
			if next != after {
				t.Errorf("remembers %+v, want %+v", next, after)
			}
		})
	}
}

// Whatever the traffic and however it is read: what is counted is never more
// than what passed, and less only together with a doubt. A state may go to disk
// and back at any time.
func TestNeverTooManyNeverSilentlyTooFew(t *testing.T) {
	for seed := range uint64(3000) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		c := Counter{Bits: []int{8, 16, 32}[rnd.IntN(3)], MinHeadway: time.Second}
		mask := ^uint64(0) >> (64 - c.Bits)
		value := rnd.Uint64() & mask
		now := noon
		var s State
		var passed, counted uint64
		var doubt bool
		for range 60 {
			_, step := c.Step(s, Reading{Value: value, At: now})
			if !step.Kind.Odd() || rnd.IntN(2) == 0 { // read once more, which changes nothing
				s, step = c.Step(s, Reading{Value: value, At: now})
				counted += step.Delta
				doubt = doubt || step.Doubt
			}
			if rnd.IntN(5) == 0 {
				text, err := json.Marshal(s)
				if err == nil {
					s = State{}
					err = json.Unmarshal(text, &s)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			seconds := 1 + rnd.IntN(60)
			gap := rnd.IntN(4) == 0
			if gap {
				seconds *= 1 + rnd.IntN(100)
			}
			n := uint64(rnd.IntN(seconds + 1))
			if c.Bits == 8 {
				n = min(n, 100) // it is read before it has gone round
			}
			now = now.Add(time.Duration(seconds) * time.Second)
			passed += n
			value = (value + n) & mask
			if gap && rnd.IntN(2) == 0 { // was without power, some way through
				value = uint64(rnd.IntN(int(n) + 1))
			}
			s, step = c.Step(s, Reading{Value: value, At: now, Gap: gap})
			counted += step.Delta
			doubt = doubt || step.Doubt
			if counted > passed {
				t.Fatalf("seed %d: counted %d of %d: %+v", seed, counted, passed, step)
			}
			if counted < passed && !doubt {
				t.Fatalf("seed %d: counted %d of %d without a doubt: %+v", seed, counted, passed, step)
			}
		}
		if !doubt && counted != passed {
			t.Fatalf("seed %d: counted %d of %d", seed, counted, passed)
		}
	}
}

func TestSpread(t *testing.T) {
	at := func(s float64) time.Time { return noon.Add(time.Duration(s * float64(time.Second))) }
	for _, c := range []struct {
		from, to time.Time
		n        uint64
		want     []time.Time
	}{
		{at(0), at(1), 0, nil},
		{at(0), at(1), 1, []time.Time{at(0.5)}},
		{at(0), at(10), 4, []time.Time{at(1.25), at(3.75), at(6.25), at(8.75)}},
		{time.Time{}, at(10), 2, []time.Time{at(10), at(10)}},
		{at(11), at(10), 2, []time.Time{at(10), at(10)}},
	} {
		if d := cmp.Diff(c.want, slices.Collect(Spread(c.from, c.to, c.n))); d != "" {
			t.Errorf("%d from %v to %v (-want +got)\n%s", c.n, c.from, c.to, d)
		}
	}
	last := noon
	for at := range Spread(noon, noon.Add(24*time.Hour), 50_000) {
		if !at.After(last) || at.After(noon.Add(24*time.Hour)) {
			t.Fatalf("%v after %v", at, last)
		}
		last = at
	}
}
