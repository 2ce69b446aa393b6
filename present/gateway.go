package present

import (
	"cmp"
	"slices"
	"time"

	"github.com/perrondrukte/perrondrukte/counter"
	"github.com/perrondrukte/perrondrukte/perron"
)

const (
	// SilentAfter is when a gateway that says something every half minute counts
	// as gone.
	SilentAfter = 95 * time.Second
	// offAfter is how long a gateway may not have run, by its own account.
	offAfter = time.Minute
	// graceAtStart is how long after the start a gateway may be unheard.
	graceAtStart = 45 * time.Second
	// backlogAfter is how late events may be before staff are told.
	backlogAfter = time.Minute
	// maxOutboxes is how many outboxes of a gateway that are gone are told of one
	// by one, so that a state can be sent whatever a device does.
	maxOutboxes = 10
)

// A gateway is what is known of one gateway.
type gateway struct {
	status perron.GatewayStatus
	heard  time.Time // when it last said that it is online
	// reported is the instant up to which it has sent everything.
	reported time.Time
	base     counters // when the day began
	// off is since when it was silent before it was started again, today.
	off time.Time
	// silent is for how long it may say nothing.
	silent time.Duration
	notes  []perron.Doubt // of a device that reports counts
}

type counters struct {
	epoch              string
	dropped, lostEdges uint64
}

func baseOf(s *perron.GatewayStatus) counters { return counters{s.Epoch, s.Dropped, s.LostEdges} }

// A Status is what a gateway said of itself, and when that was heard.
type Status struct {
	perron.GatewayStatus
	Heard time.Time
	// Device says that this is of a device that reports counts, which has
	// doubts of its own.
	Device bool
	Doubts []perron.Doubt
}

// turn begins a new day.
func (g *gateway) turn() { g.base, g.off, g.notes = baseOf(&g.status), time.Time{}, nil }

// hear takes in a status.
func (g *gateway) hear(s Status, now time.Time) {
	if !s.Online && !s.Device {
		// A last will knows no more than that.
		g.status.Online = false
		return
	}
	// A device that was started again after a silence may have been without
	// power, and has not seen what passed. Most know that themselves.
	if was := g.status.Started; s.Outages == nil && !was.IsZero() && !was.Equal(s.Started) && s.Heard.Sub(g.heard) > g.silent && g.off.IsZero() {
		g.off = g.heard
	}
	for _, o := range s.Outages {
		if today := perron.DateOf(now); o.Until.After(today.Start()) && o.From.Before(today.End()) && o.Until.Sub(o.From) > offAfter && g.off.IsZero() {
			g.off = o.From
		}
	}
	if s.Heard.After(g.heard) {
		g.heard = s.Heard
	}
	g.notes = s.Doubts
	g.status = s.GatewayStatus
	until := s.At
	if s.Waiting > 0 {
		until = s.OldestWaiting // when it is zero this says nothing
	}
	if s.FailingSince.IsZero() || until.Before(s.FailingSince) {
		g.report(until, now)
	} else {
		g.report(s.FailingSince, now) // what came since is not in the outbox
	}
}

// report raises the instant up to which everything is known, but never beyond
// now: a clock that is ahead must not keep a state fresh. One that was never set
// says nothing.
func (g *gateway) report(t, now time.Time) {
	if t.After(now) {
		t = now
	}
	if t.After(g.reported) && !t.Before(perron.Earliest) {
		g.reported = t
	}
}

// measuredAt is the instant up to which all gateways have sent everything;
// zero when one has never been heard of.
func (s *Site) measuredAt() time.Time {
	var at time.Time
	for i, id := range s.site.Gateways {
		r := s.gateways[id].reported
		if r.IsZero() {
			return time.Time{}
		}
		if i == 0 || r.Before(at) {
			at = r
		}
	}
	return at
}

// doubts lists all reasons to trust the numbers less, in a fixed order.
func (s *Site) doubts(now time.Time) []perron.Doubt {
	var out []perron.Doubt
	outboxes := make(map[string][]perron.Doubt)
	for key, d := range s.losses {
		if key.kind == perron.DoubtOutbox {
			outboxes[key.gateway] = append(outboxes[key.gateway], *d)
			continue
		}
		out = append(out, *d)
	}
	for _, gone := range outboxes {
		out = append(out, fewer(gone)...)
	}
	for _, id := range s.site.Gateways {
		out = append(out, s.gateways[id].doubts(id, now, s.began)...)
	}
	if sc := s.score; sc != nil && !sc.WorseSince.IsZero() {
		out = append(out, perron.Doubt{Kind: perron.DoubtForecast, Since: sc.WorseSince})
	}
	if f := s.failure; f.Count > 0 && perron.DateOf(f.Since) == perron.DateOf(now) {
		out = append(out, f)
	}
	slices.SortFunc(out, func(a, b perron.Doubt) int {
		return cmp.Or(cmp.Compare(a.Gateway, b.Gateway), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Sensor, b.Sensor), a.Since.Compare(b.Since))
	})
	return out
}

// fewer makes one doubt of the oldest outboxes of a gateway that are gone when
// there are more than maxOutboxes: what is known to be lost with all of them.
func fewer(gone []perron.Doubt) []perron.Doubt {
	slices.SortFunc(gone, func(a, b perron.Doubt) int {
		return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.Count, b.Count))
	})
	surplus := max(len(gone)-maxOutboxes, 0)
	for _, d := range gone[1 : 1+surplus] {
		gone[0].Count += d.Count
	}
	return slices.Delete(gone, 1, 1+surplus)
}

func (g *gateway) doubts(id string, now, started time.Time) (out []perron.Doubt) {
	add := func(kind perron.DoubtKind, since time.Time, count uint64) {
		out = append(out, perron.Doubt{Kind: kind, Gateway: id, Since: since, Count: count})
	}
	switch {
	case g.heard.IsZero():
		if now.Sub(started) > graceAtStart {
			add(perron.DoubtOffline, time.Time{}, 0)
		}
		return out
	case !g.status.Online || now.Sub(g.heard) > g.silent:
		add(perron.DoubtOffline, g.heard, 0)
	}
	out = append(out, g.notes...)
	s := &g.status
	if s.Waiting > 0 && !s.OldestWaiting.IsZero() && now.Sub(s.OldestWaiting) > backlogAfter {
		add(perron.DoubtBacklog, s.OldestWaiting, s.Waiting)
	}
	if s.ClockSynced != nil && !*s.ClockSynced {
		add(perron.DoubtClock, time.Time{}, 0)
	}
	if !s.FailingSince.IsZero() {
		add(perron.DoubtFailing, s.FailingSince, 0)
	}
	if s.Damaged > 0 {
		add(perron.DoubtDamaged, time.Time{}, 0)
	}
	if !g.off.IsZero() {
		add(perron.DoubtOff, g.off, 0)
	}
	if !s.Rival.IsZero() {
		add(perron.DoubtRival, s.Rival, 0)
	}
	if s.LossUnseen {
		add(perron.DoubtUnseen, time.Time{}, 0)
	}
	since := counters{epoch: s.Epoch}
	if g.base.epoch == s.Epoch {
		since = g.base
	}
	if s.Dropped > since.dropped {
		add(perron.DoubtDropped, time.Time{}, s.Dropped-since.dropped)
	}
	if s.LostEdges > since.lostEdges {
		add(perron.DoubtEdges, time.Time{}, s.LostEdges-since.lostEdges)
	}
	for _, sensor := range s.Sensors {
		for _, d := range gapsOf(sensor.Gaps, now) {
			d.Gateway, d.Sensor = id, sensor.Sensor
			out = append(out, d)
		}
		kind := perron.DoubtSensor
		switch sensor.Health {
		case perron.SensorOK, perron.SensorFinished:
			continue
		case perron.SensorStuck:
			kind = perron.DoubtStuck
		case perron.SensorSilent:
			kind = perron.DoubtSilent
		case perron.SensorStuckOff:
			kind = perron.DoubtStuckOff
		case perron.SensorQuiet:
			kind = perron.DoubtQuiet
		}
		out = append(out, perron.Doubt{Kind: kind, Gateway: id, Sensor: sensor.Sensor, Since: sensor.Since})
	}
	return out
}

// gapsOf are the doubts that the gaps of a counter leave about today.
func gapsOf(gaps []perron.CounterGap, now time.Time) (out []perron.Doubt) {
	for _, g := range gaps {
		if perron.DateOf(g.To) != perron.DateOf(now) {
			continue
		}
		add := func(kind perron.DoubtKind, n uint64) {
			for i := range out {
				if out[i].Kind == kind {
					out[i].Count += n
					return
				}
			}
			out = append(out, perron.Doubt{Kind: kind, Since: g.From, Count: n})
		}
		if g.Counted > 0 {
			add(perron.DoubtSpread, g.Counted)
		}
		switch counter.Kind(g.Kind) {
		case counter.Jump:
			add(perron.DoubtJump, g.Refused)
		case counter.Reset, counter.Back:
			add(perron.DoubtReset, 0)
		default:
			if g.Missed {
				add(perron.DoubtCounter, 0)
			}
		}
	}
	return out
}
