package web

import (
	"math"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
)

// doubtSentence says a doubt in plain words, for staff.
func doubtSentence(w *words, site *perron.Site, d perron.Doubt, now time.Time) string {
	kv := []any{"Site", site.Name, "Gateway", d.Gateway, "Sensor", sensorName(w, site, d.Sensor), "For", w.since(d.Since, now), "Time", w.Clock(d.Since), "Of100", int(math.Round(100 * d.Part))}
	switch d.Kind {
	case perron.DoubtForecast:
		// It is judged by weeks: minutes and hours would say too much.
		if now.Sub(d.Since) < 48*time.Hour {
			kv = append(kv, "For", "")
		}
		return w.T("doubt."+string(d.Kind), kv...)
	case perron.DoubtOutbox:
		if d.Count == 0 {
			return w.T("doubt.outbox_gone_unknown", kv...)
		}
		return w.N("doubt.outbox_gone", int(min(d.Count, 1<<31)), kv...)
	case perron.DoubtOffline, perron.DoubtClock, perron.DoubtStuck, perron.DoubtSensor, perron.DoubtSilent, perron.DoubtStuckOff, perron.DoubtQuiet, perron.DoubtCounter,
		perron.DoubtFailing, perron.DoubtDamaged, perron.DoubtOff, perron.DoubtUnseen, perron.DoubtRival,
		perron.DoubtReset, perron.DoubtEntries, perron.DoubtExits:
		return w.T("doubt."+string(d.Kind), kv...)
	case perron.DoubtBacklog, perron.DoubtLost, perron.DoubtSetAside, perron.DoubtDropped, perron.DoubtEdges, perron.DoubtTimes,
		perron.DoubtJump, perron.DoubtUplinks, perron.DoubtSpread, perron.DoubtFailed:
		return w.N("doubt."+string(d.Kind), int(min(d.Count, 1<<31)), kv...)
	}
	return w.T("doubt.unknown", kv...)
}

// since says for how long something has been so, with a space before it; it is
// empty when that is not known or shorter than a minute.
func (w *words) since(t, now time.Time) string {
	d := now.Sub(t)
	switch {
	case t.IsZero() || d < time.Minute:
		return ""
	case d < 2*time.Hour:
		return w.N("doubt.for.minutes", int(d/time.Minute))
	case d < 48*time.Hour:
		return w.N("doubt.for.hours", int(d/time.Hour))
	}
	return w.N("doubt.for.days", int(d/(24*time.Hour)))
}

// sensorName is what staff call a sensor: a queue loop, or a sensor at a gate.
func sensorName(w *words, site *perron.Site, sensor string) string {
	if _, ok := site.QueueLoop(sensor); ok {
		return w.T("doubt.loop", "Sensor", sensor)
	}
	if id, ok := site.GateOf(sensor); ok {
		for _, g := range site.Gates {
			if g.ID == id {
				return w.T("doubt.gatesensor", "Sensor", sensor, "Gate", gateName(g))
			}
		}
	}
	return w.T("doubt.sensorname", "Sensor", sensor)
}

func gateName(g perron.Gate) string {
	if g.Name != "" {
		return g.Name
	}
	return g.ID
}
