package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/store"
	"github.com/perrondrukte/perrondrukte/store/sqlite"
)

// A passage is what must agree between the recording and the store.
type passage struct {
	gate, sensor string
	kind         perron.Kind
	at           int64 // nanoseconds since 1970
}

func (g *yardGateway) passage(e perron.Event) passage {
	return passage{fmt.Sprintf("gate-%d", g.n), e.Sensor, e.Kind, e.Time.UnixNano()}
}

// A result is what became of the passages of a sequence.
type result struct {
	done    map[fault]int // faults that were done
	lost    int           // passages that are not stored and were not in an outbox that was taken away
	doubled int           // passages that are stored more often than they were recorded
	taken   int           // passages that went with an outbox
	shown   uint64        // of them, as many as staff were told of
	flagged int           // passages whose time is unsure
	risked  int           // pages that were not synced at a power cut
	gone    int           // of them, those that did not arrive whole
}

// check compares the store with the recordings.
func (s *sequence) check(ctx context.Context) error {
	db, err := sqlite.Open(ctx, filepath.Join(s.dir, "server", serverStore), sqlite.Options{})
	if err != nil {
		return err
	}
	defer db.Close()
	from, to := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), time.Now().Add(48*time.Hour)

	left := make(map[passage]int)              // recorded, less stored
	doubtful := make(map[passage]int)          // may be gone with an outbox
	clocks := make(map[string][]perron.Record) // of gateways whose clock was wrong
	for _, g := range s.gateways {
		if g.clock != nil {
			clocks[g.name] = nil
			continue
		}
		for _, e := range g.events {
			left[g.passage(e)]++
		}
		for _, e := range g.twinEvents {
			left[g.passage(e)]++
		}
		for _, e := range g.doubtful {
			doubtful[g.passage(e)]++
		}
	}
	sums := make(map[string][2]int)
	stored := make(map[string]uint64) // by epoch
	for r, err := range db.Events(ctx, site, from, to) {
		if err != nil {
			return err
		}
		stored[r.Epoch]++
		if records, ok := clocks[r.Gateway]; ok {
			clocks[r.Gateway] = append(records, r)
		} else {
			left[passage{r.Gate, r.Sensor, r.Kind, r.Time.UnixNano()}]--
		}
		n := sums[r.Gate]
		if r.Kind == perron.In {
			n[0]++
		} else {
			n[1]++
		}
		sums[r.Gate] = n
	}
	var example passage
	for p, n := range left {
		if n < 0 {
			s.doubled -= n
			example = p
			continue
		}
		excused := min(n, doubtful[p])
		s.taken += excused
		if n > excused {
			s.lost += n - excused
			example = p
		}
	}
	if s.lost > 0 || s.doubled > 0 {
		return fmt.Errorf("%d passages are lost and %d doubled, like %s %s at %s", s.lost, s.doubled,
			example.sensor, example.kind, time.Unix(0, example.at).UTC())
	}

	for a, err := range db.SetAside(ctx, site, time.Unix(0, 0), to) {
		if err == nil {
			err = fmt.Errorf("a passage was set aside: %+v", a)
		}
		return err
	}
	losses, err := db.Losses(ctx, site, from, to)
	if err != nil {
		return err
	}
	flagged := make(map[string]uint64) // by gateway
	told := make(map[string]uint64)    // by epoch
	for _, l := range losses {
		switch l.Kind {
		case perron.DoubtTimes:
			flagged[l.Gateway] += l.Count
			s.flagged += int(l.Count)
		case perron.DoubtOutbox:
			told[l.Reason] = l.Count
			s.shown += l.Count
		}
	}
	for _, g := range s.gateways {
		if err := s.toldOf(g, stored, told); err != nil {
			return err
		}
	}
	for _, g := range s.gateways {
		if g.clock == nil {
			continue
		}
		slack := time.Duration(0)
		if s.plan.has(clockSlew, g.n-1) || s.plan.has(leapSecond, g.n-1) {
			slack = 1500 * time.Millisecond
		}
		lost, doubled, err := g.inOrder(clocks[g.name], flagged[g.name], slack)
		s.lost += lost
		s.doubled += doubled
		if err != nil {
			return err
		}
	}

	counts, err := db.Counts(ctx, store.CountQuery{Site: site, ByGate: true, From: from, To: to, Step: perron.Day})
	if err != nil {
		return err
	}
	for _, c := range counts {
		n := sums[c.Gate]
		sums[c.Gate] = [2]int{n[0] - c.In, n[1] - c.Out}
	}
	for gate, n := range sums {
		if n != [2]int{} {
			return fmt.Errorf("the counts of %s are %d in and %d out short of the events", gate, n[0], n[1])
		}
	}
	return nil
}

// toldOf checks what staff were told of the outboxes that were taken from a
// gateway, given how many passages of each epoch are stored: of each that took
// passages with it, when the server knew it and knows the one that came after,
// and never of more than are gone. How many are told of depends on when the
// gateway last said what it held.
func (s *sequence) toldOf(g *yardGateway, stored, told map[string]uint64) error {
	if len(g.taken) == 0 {
		return nil
	}
	last, err := s.look(g)
	if err != nil {
		return err
	}
	for i, box := range g.taken {
		next := last
		if i+1 < len(g.taken) {
			next = g.taken[i+1]
		}
		gone := box.Next - 1 - stored[box.Epoch]
		n, ok := told[box.Epoch]
		switch {
		case n > gone:
			return fmt.Errorf("%s: staff are told that %d passages went with outbox %s, which were %d", g.name, n, box.Epoch, gone)
		case !ok && gone > 0 && box.Acked > 0 && stored[next.Epoch] > 0:
			return fmt.Errorf("%s: %d passages went with outbox %s, and staff are not told", g.name, gone, box.Epoch)
		}
	}
	return nil
}
