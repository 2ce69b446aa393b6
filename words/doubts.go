package words

import (
	"math"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
)

// Doubt says a doubt in plain words, for staff.
func (l *Language) Doubt(site *perron.Site, d perron.Doubt, now time.Time) string {
	kv := []any{"Site", site.Name, "Gateway", d.Gateway, "Sensor", l.SensorName(site, d.Sensor), "For", l.For(d.Since, now), "Time", l.Clock(d.Since), "Of100", int(math.Round(100 * d.Part))}
	switch d.Kind {
	case perron.DoubtForecast:
		// It is judged by weeks: minutes and hours would say too much.
		if now.Sub(d.Since) < 48*time.Hour {
			kv = append(kv, "For", "")
		}
		return l.T("doubt."+string(d.Kind), kv...)
	case perron.DoubtOutbox:
		if d.Count == 0 {
			return l.T("doubt.outbox_gone_unknown", kv...)
		}
		return l.N("doubt.outbox_gone", int(min(d.Count, 1<<31)), kv...)
	case perron.DoubtOffline, perron.DoubtClock, perron.DoubtStuck, perron.DoubtSensor, perron.DoubtSilent, perron.DoubtStuckOff, perron.DoubtQuiet, perron.DoubtCounter,
		perron.DoubtFailing, perron.DoubtDamaged, perron.DoubtOff, perron.DoubtUnseen, perron.DoubtRival,
		perron.DoubtReset, perron.DoubtEntries, perron.DoubtExits:
		return l.T("doubt."+string(d.Kind), kv...)
	case perron.DoubtBacklog, perron.DoubtLost, perron.DoubtSetAside, perron.DoubtDropped, perron.DoubtEdges, perron.DoubtTimes,
		perron.DoubtJump, perron.DoubtUplinks, perron.DoubtSpread, perron.DoubtFailed:
		return l.N("doubt."+string(d.Kind), int(min(d.Count, 1<<31)), kv...)
	}
	return l.T("doubt.unknown", kv...)
}

// For says for how long something has been so, with a space before it; it is
// empty when that is not known or shorter than a minute.
func (l *Language) For(t, now time.Time) string {
	d := now.Sub(t)
	switch {
	case t.IsZero() || d < time.Minute:
		return ""
	case d < 2*time.Hour:
		return l.N("doubt.for.minutes", int(d/time.Minute))
	case d < 48*time.Hour:
		return l.N("doubt.for.hours", int(d/time.Hour))
	}
	return l.N("doubt.for.days", int(d/(24*time.Hour)))
}

// Health says how a sensor is, and for how long when it is not well.
func (l *Language) Health(h perron.SensorHealth, since, now time.Time) string {
	return l.T("health."+string(h), "For", l.For(since, now))
}

// SensorName is what staff call a sensor: a queue loop, or a sensor at a gate.
func (l *Language) SensorName(site *perron.Site, sensor string) string {
	if _, ok := site.QueueLoop(sensor); ok {
		return l.T("doubt.loop", "Sensor", sensor)
	}
	if id, ok := site.GateOf(sensor); ok {
		for _, g := range site.Gates {
			if g.ID == id {
				return l.T("doubt.gatesensor", "Sensor", sensor, "Gate", GateName(g))
			}
		}
	}
	return l.T("doubt.sensorname", "Sensor", sensor)
}

// GateName is what a gate is called.
func GateName(g perron.Gate) string {
	if g.Name != "" {
		return g.Name
	}
	return g.ID
}

// Doubts is what is wrong at a site in sentences. An open site without a
// measurement is wrong even when nobody says why.
func (l *Language) Doubts(site *perron.Site, b *perron.Busyness, now time.Time) []string {
	var out []string
	for _, d := range b.Doubts {
		out = append(out, l.Doubt(site, d, now))
	}
	if len(out) == 0 && b.Level == perron.Unknown {
		out = append(out, l.T("doubt.silence", "Site", site.Name, "Last", l.LastMeasured(b.MeasuredAt, now)))
	}
	return out
}

// Did says what a member of staff did.
func (l *Language) Did(site string, a *perron.Action) string {
	text, _ := l.Local(a.Text)
	switch {
	case a.Kind == perron.Recount && a.Vehicles == 0:
		return l.T("did.recountnone", "Site", site)
	case a.Kind == perron.Recount:
		return l.N("did.recount", a.Vehicles, "Site", site)
	case a.Kind == perron.Close && !a.Until.IsZero():
		return l.T("did.closeuntil", "Site", site, "Text", text, "Until", l.When(a.Until, a.At))
	}
	return l.T("did."+string(a.Kind), "Site", site, "Text", text)
}
