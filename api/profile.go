package api

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/perrondrukte/perrondrukte/api/openapi"
	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/store"
)

// profiles computes usual weeks. One rests on some hundred thousand samples,
// so it is kept for a while and made once however many ask.
type profiles struct {
	store   Store
	history *turnstile
	flight  singleflight.Group

	mu   sync.Mutex
	kept map[profileKey]keptProfile // at most sites × 53
}

type profileKey struct {
	site  string
	weeks int
}

type keptProfile struct {
	profile openapi.Profile
	until   time.Time
}

func newProfiles(s Store, history *turnstile) *profiles {
	return &profiles{store: s, history: history, kept: make(map[profileKey]keptProfile)}
}

func (p *profiles) get(ctx context.Context, site *perron.Site, weeks int, now time.Time) (openapi.Profile, error) {
	key := profileKey{site.ID, weeks}
	p.mu.Lock()
	kept, ok := p.kept[key]
	p.mu.Unlock()
	// A clock that was set back must not keep it for ever.
	if ok && now.Before(kept.until) && now.After(kept.until.Add(-keepProfile-time.Second)) {
		return kept.profile, nil
	}
	// The one who came first may leave; those who came after still want it.
	shared := context.WithoutCancel(ctx)
	done := p.flight.DoChan(fmt.Sprintf("%s/%d", site.ID, weeks), func() (any, error) {
		work, leave, err := p.history.enter(shared)
		if err != nil {
			return nil, err
		}
		defer leave()
		profile, err := p.compute(work, site, weeks, now)
		if err != nil {
			return nil, err
		}
		p.mu.Lock()
		p.kept[key] = keptProfile{profile, now.Add(keepProfile)}
		p.mu.Unlock()
		return profile, nil
	})
	select {
	case <-ctx.Done():
		return openapi.Profile{}, ctx.Err()
	case r := <-done:
		if r.Err != nil {
			return openapi.Profile{}, fmt.Errorf("profile: %w", r.Err)
		}
		return r.Val.(openapi.Profile), nil
	}
}

// A cell gathers one hour of the week. weekdays are 0 for Monday to 6.
type cell struct {
	days     int // that count
	arrivals int
	levels   [5]int // samples, by rank of level; 0 is not used
}

// compute makes the profile of the whole weeks before today. It takes the days
// on which the site was open and something passed: a day without a single
// passage was not measured.
func (p *profiles) compute(ctx context.Context, site *perron.Site, weeks int, now time.Time) (openapi.Profile, error) {
	today := perron.DateOf(now)
	first := today.AddDays(-7 * weeks)
	out := openapi.Profile{Site: site.ID, From: first.Start(), To: today.Start(), Weeks: weeks, Cells: []openapi.ProfileCell{}}
	hours, err := p.store.Counts(ctx, store.CountQuery{Site: site.ID, From: out.From, To: out.To, Step: perron.Hour})
	if err != nil {
		return out, err
	}
	arrivals := make(map[time.Time]int, len(hours))
	measured := make(map[perron.Date]bool)
	for _, c := range hours {
		arrivals[c.Start.UTC()] += c.In
		if c.In+c.Out > 0 {
			measured[perron.DateOf(c.Start)] = true
		}
	}
	var week [7][24]cell
	for d := first; d.Before(today); d = d.AddDays(1) {
		if !measured[d] {
			continue
		}
		day := &week[monday(d.Weekday())]
		for t := d.Start(); t.Before(d.End()); t = t.Add(time.Hour) {
			if openWithin(site, t, t.Add(time.Hour)) {
				c := &day[t.In(perron.Amsterdam).Hour()]
				c.days++
				c.arrivals += arrivals[t]
			}
		}
	}
	// A week of samples at a time, so that a year never is in memory at once.
	for d := first; d.Before(today); d = d.AddDays(7) {
		samples, err := p.store.Samples(ctx, site.ID, d.Start(), d.AddDays(7).Start())
		if err != nil {
			return out, err
		}
		for _, s := range samples {
			if rank := s.Level.Rank(); rank > 0 && (s.Quality == perron.Measured || s.Quality == perron.Corrected) {
				local := s.At.In(perron.Amsterdam)
				week[monday(local.Weekday())][local.Hour()].levels[rank]++
			}
		}
	}
	for wd := range week {
		for hour, c := range week[wd] {
			if c.days == 0 {
				continue
			}
			out.Cells = append(out.Cells, openapi.ProfileCell{
				Weekday: wd + 1, Hour: hour, Days: c.days,
				Arrivals: float64(c.arrivals) / float64(c.days), Level: c.level(),
			})
		}
	}
	return out, nil
}

// level is the median of the samples.
func (c cell) level() perron.Level {
	total := 0
	for _, n := range c.levels {
		total += n
	}
	seen := 0
	for rank, level := range []perron.Level{perron.Unknown, perron.Quiet, perron.Moderate, perron.Busy, perron.VeryBusy} {
		seen += c.levels[rank]
		if 2*seen > total {
			return level
		}
	}
	return perron.Unknown
}

func monday(d time.Weekday) int { return (int(d) + 6) % 7 }

// openWithin says whether the site is open at some time in [from, to).
func openWithin(site *perron.Site, from, to time.Time) bool {
	for _, p := range site.Hours.Periods(perron.DateOf(from)) {
		if p.Start.Before(to) && from.Before(p.End) {
			return true
		}
	}
	return false
}
