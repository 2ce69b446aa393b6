package collector

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/perrondrukte/perrondrukte/internal/pace"
	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/present"
)

// maxUnsaved is how many samples wait for a store that is away: a day.
const maxUnsaved = 1500

// A sampling keeps the history of a site: a sample a minute. It is safe for
// concurrent use.
type sampling struct {
	d *desk

	mu      sync.Mutex      // guards what follows, also while the store is asked
	date    perron.Date     // of samples
	samples []perron.Sample // of today, saved or not; a change makes another list
	read    bool            // samples holds what the store has
	unsaved []perron.Sample
}

func newSampling(d *desk) *sampling { return &sampling{d: d} }

// run takes a sample when a minute begins, so that samples lie on a grid.
func (s *sampling) run(ctx context.Context) {
	select {
	case <-ctx.Done():
		return
	case <-s.d.ready:
	}
	for pace.Pause(ctx, s.d.c.untilMinute()) {
		s.minute(ctx, s.d.c.cfg.Civil())
	}
}

// of are the samples of the day of now, as far as they could be read.
func (s *sampling) of(ctx context.Context, now time.Time) []perron.Sample {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.today(ctx, now)
	return s.samples
}

// minute adds the state of the minute to the history, and what was made again,
// and saves it.
func (s *sampling) minute(ctx context.Context, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.today(ctx, now)
	s.mend()
	b := s.d.board.asOf(now)
	if sample, ok := present.SampleOf(s.d.Site, &b, now); ok {
		s.add([]perron.Sample{sample})
		if n := len(s.unsaved) - maxUnsaved; n > 0 {
			s.unsaved = slices.Delete(s.unsaved, 0, n)
			s.d.c.metrics.storeErrors.WithLabelValues("samples given up").Add(float64(n))
		}
	}
	if len(s.unsaved) == 0 {
		return
	}
	call, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	if err := s.d.c.cfg.Store.SaveSamples(call, s.d.ID, s.unsaved); err != nil {
		if ctx.Err() == nil {
			s.d.c.storeFailed(s.d.ID, "save samples", err)
		}
		return
	}
	s.unsaved = s.unsaved[:0]
}

func (s *sampling) add(samples []perron.Sample) {
	s.samples = present.MergeSamples(s.samples, samples)
	s.unsaved = present.MergeSamples(s.unsaved, samples)
}

// mend takes over the samples that were made again.
func (s *sampling) mend() {
	if !s.read {
		return // which minutes are missing is not known yet
	}
	all, added := s.d.board.collect().Merge(s.samples, s.date)
	if len(added) == 0 {
		return
	}
	s.samples = all
	s.unsaved = present.MergeSamples(s.unsaved, added)
	s.d.c.metrics.mended.WithLabelValues(s.d.ID).Add(float64(len(added)))
}

// today makes sure that samples are those of the day of now.
func (s *sampling) today(ctx context.Context, now time.Time) {
	date := perron.DateOf(now)
	if date != s.date {
		s.date, s.samples, s.read = date, nil, false
	}
	if s.read {
		return
	}
	call, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	stored, err := s.d.c.cfg.Store.Samples(call, s.d.ID, date.Start(), date.End())
	if err != nil {
		if ctx.Err() == nil {
			s.d.c.storeFailed(s.d.ID, "read samples", err)
		}
		return
	}
	s.samples, s.read = stored, true
	for _, u := range s.unsaved {
		if perron.DateOf(u.At) == date {
			s.samples = present.MergeSamples(s.samples, []perron.Sample{u})
		}
	}
}
