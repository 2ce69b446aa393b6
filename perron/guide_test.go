package perron_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
)

func TestGuide(t *testing.T) {
	now := time.Date(2026, 5, 16, 7, 0, 0, 0, time.UTC)
	at := func(minutes int) time.Time { return now.Add(time.Duration(minutes) * time.Minute) }
	moments := []perron.Moment{
		{Start: at(-15), End: at(30), Room: []float64{9, 2, 4}}, // the first quarter is over
		{Start: at(300), End: at(330), Room: []float64{8, 0}},
	}
	var g perron.Guide
	r := rand.New(rand.NewPCG(1, 2))
	got := map[time.Time]int{}
	var told []uint64
	for range 1000 {
		v := r.Uint64()
		m, ok := g.Choose(moments, now, v)
		if !ok {
			continue
		}
		told = append(told, v)
		got[m.Start]++
		if again, ok := g.Choose(moments, now, v); !ok || !again.Start.Equal(m.Start) {
			t.Fatalf("told %v, then %v", m.Start, again.Start)
		}
		if !m.Start.Before(m.End) || len(m.Room) == 0 {
			t.Fatalf("moment %+v", m)
		}
	}
	// A fifth of those who are told come: 14 places are given to about 70.
	for quarter, want := range map[time.Time]int{at(0): 10, at(15): 20, at(300): 40} {
		if n := got[quarter]; n < want || n > want+1 || len(got) != 3 {
			t.Errorf("sent to %v", got)
		}
	}
	// The first moment is gone: those who were sent there may be sent elsewhere,
	// but all that is left is given away.
	gone := 0
	for _, v := range told {
		if m, ok := g.Choose(moments[1:], at(40), v); !ok {
			gone++
		} else if !m.Start.Equal(at(300)) {
			t.Fatalf("moment %+v", m)
		}
	}
	if want := got[at(0)] + got[at(15)]; gone != want {
		t.Errorf("%d have no advice any more, want %d", gone, want)
	}
	if _, ok := g.Choose(moments, now.AddDate(0, 0, 1), 5); ok {
		t.Error("a moment of yesterday")
	}
	if _, ok := g.Choose([]perron.Moment{{Start: at(0), End: at(60)}}, now, 7); ok {
		t.Error("sent to where nothing is known of the room")
	}
	if m, ok := (&perron.Guide{}).Choose(moments[1:], now, ^uint64(0)); !ok || !m.Start.Equal(at(300)) {
		t.Errorf("%+v, %v", m, ok)
	}
}
