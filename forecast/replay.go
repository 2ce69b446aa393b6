package forecast

import (
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
)

// Replay makes the forecasts of the past again, as if nothing later were
// known, and passes them on in order of time: those of every hour while a site
// is open, of one before it opens and of one in the evening, from the start of
// a day until a time. Counts are quarter hours with gates summed and samples
// what was estimated, both in order of time and from as far back as there is
// to be learned from; the model learns anew for each day. An error of each
// ends it.
func Replay(site *perron.Site, counts []perron.Count, samples []perron.Sample, first perron.Date, until time.Time, each func(perron.Forecast) error) error {
	model := New(site)
	known, remembered := 0, 0 // of counts and samples
	for d := first; d.Start().Before(until); d = d.AddDays(1) {
		for known < len(counts) && counts[known].Start.Before(d.Start()) {
			known++
		}
		past := remembered
		for remembered < len(samples) && samples[remembered].At.Before(d.Start()) {
			remembered++
		}
		if known == 0 {
			continue // nothing to learn from yet
		}
		model.Remember(samples[past:remembered])
		model.Refit(counts[:known])
		upTo, at := known, remembered
		for _, origin := range origins(site, d) {
			if !origin.Before(until) {
				continue
			}
			quarter := perron.Quarter.Start(origin)
			for upTo < len(counts) && counts[upTo].Start.Before(quarter) {
				upTo++
			}
			for at < len(samples) && !samples[at].At.After(origin) {
				at++
			}
			var now perron.Estimate
			if at > 0 {
				now = samples[at-1].Estimate
			}
			if !site.Hours.Open(origin) {
				now = perron.Estimate{At: origin} // an empty yard
			}
			if err := each(model.Forecast(origin, counts[known:upTo], now)); err != nil {
				return err
			}
		}
	}
	return nil
}

// origins are the instants of a day at which [Replay] looks ahead.
func origins(site *perron.Site, d perron.Date) (out []time.Time) {
	for _, p := range site.Hours.Periods(d) {
		for t := perron.Hour.Start(p.Start).Add(-time.Hour); t.Before(p.End); t = t.Add(time.Hour) {
			out = append(out, t)
		}
	}
	return append(out, d.At(20*60))
}
