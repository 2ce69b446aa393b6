package influx

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/store"
)

// sampleFields lists the numbers of a sample by the names of their fields.
func sampleFields(v *perron.Sample) []struct {
	name string
	p    *float64
} {
	return []struct {
		name string
		p    *float64
	}{
		{"onsite_low", &v.OnSite.Low},
		{"onsite_mid", &v.OnSite.Mid},
		{"onsite_high", &v.OnSite.High},
		{"queue_low", &v.Queue.Low},
		{"queue_mid", &v.Queue.Mid},
		{"queue_high", &v.Queue.High},
		{"wait_low", &v.Wait.Low},
		{"wait_mid", &v.Wait.Mid},
		{"wait_high", &v.Wait.High},
		{"entry_rate", &v.EntryRate},
	}
}

// SaveSamples stores rows of a site's busyness history. A row replaces the one
// of the same instant.
func (s *Store) SaveSamples(ctx context.Context, site string, samples []perron.Sample) error {
	var l lines
	for i := range samples {
		v := &samples[i]
		if err := store.CheckTime(v.At); err != nil {
			return fmt.Errorf("save samples of %s: %w", site, err)
		}
		recounted := int64(0) // none
		if !v.Recounted.IsZero() {
			recounted = v.Recounted.UnixNano()
		}
		l.point("sample", tag{"site", site})
		l.string("level", string(v.Level))
		l.string("quality", string(v.Quality))
		for _, f := range sampleFields(v) {
			l.float(f.name, *f.p)
		}
		l.bool("at_least", v.AtLeast)
		l.int("recounted", recounted)
		l.end(v.At.UnixNano())
	}
	if err := s.send(ctx, s.write, &l); err != nil {
		return fmt.Errorf("save samples of %s: %w", site, err)
	}
	return nil
}

// Samples returns the busyness history of a site in order of time.
func (s *Store) Samples(ctx context.Context, site string, from, to time.Time) ([]perron.Sample, error) {
	lo, hi, ok := bounds(from, to)
	if !ok {
		return nil, nil
	}
	var out []perron.Sample
	err := s.each(ctx, s.from(s.bucket, lo, hi, `r._measurement == "sample" and `+is("site", site))+pivot, func(r row) error {
		if !r.time().Before(hi) {
			return nil
		}
		v := perron.Sample{Level: perron.Level(r.string("level")), Quality: perron.Quality(r.string("quality"))}
		v.At, v.AtLeast = r.time(), r.bool("at_least")
		for _, f := range sampleFields(&v) {
			*f.p = r.float(f.name)
		}
		if n := r.int("recounted"); n != 0 {
			v.Recounted = store.FromNanos(n)
		}
		out = append(out, v)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read samples of %s: %w", site, err)
	}
	slices.SortFunc(out, func(a, b perron.Sample) int { return a.At.Compare(b.At) })
	return out, nil
}

// SaveForecast stores a forecast and replaces the one of the same origin. How
// long it is kept is the retention of its bucket.
func (s *Store) SaveForecast(ctx context.Context, f perron.Forecast) error {
	err := store.CheckTime(f.Origin)
	var data []byte
	if err == nil {
		data, err = store.EncodeForecast(&f)
	}
	if err == nil {
		var l lines
		l.point("forecast", tag{"site", f.Site})
		l.string("data", base64.StdEncoding.EncodeToString(data))
		l.end(f.Origin.UnixNano())
		err = s.send(ctx, s.writeForecasts, &l)
	}
	if err != nil {
		return fmt.Errorf("save forecast of %s: %w", f.Site, err)
	}
	return nil
}

// Forecasts returns the forecasts of a site by origin.
func (s *Store) Forecasts(ctx context.Context, site string, from, to time.Time) ([]perron.Forecast, error) {
	lo, hi, ok := bounds(from, to)
	if !ok {
		return nil, nil
	}
	var out []perron.Forecast
	err := s.each(ctx, s.from(s.forecasts, lo, hi, `r._measurement == "forecast" and r._field == "data" and `+is("site", site)), func(r row) error {
		if !r.time().Before(hi) {
			return nil
		}
		data, err := base64.StdEncoding.DecodeString(r.string("_value"))
		if err != nil {
			return err
		}
		f, err := store.DecodeForecast(site, r.time(), data)
		out = append(out, f)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read forecasts of %s: %w", site, err)
	}
	slices.SortFunc(out, func(a, b perron.Forecast) int { return a.Origin.Compare(b.Origin) })
	return out, nil
}

// SaveAction adds to the audit log. The same action again changes nothing;
// another one under an ID that is taken is [store.ErrExists].
func (s *Store) SaveAction(ctx context.Context, a perron.Action) error {
	if err := s.saveAction(ctx, a); err != nil {
		return fmt.Errorf("save action %q of %s: %w", a.ID, a.Site, err)
	}
	return nil
}

func (s *Store) saveAction(ctx context.Context, a perron.Action) error {
	if err := store.CheckTime(a.At); err != nil {
		return err
	}
	if !a.Until.IsZero() {
		if err := store.CheckTime(a.Until); err != nil {
			return err
		}
	}
	text := ""
	if len(a.Text) > 0 {
		b, err := json.Marshal(a.Text)
		if err != nil {
			return err
		}
		text = string(b)
	}
	select { // so that looking and writing are one step within this process
	case s.actions <- struct{}{}:
		defer func() { <-s.actions }()
	case <-ctx.Done():
		return ctx.Err()
	}
	lo, hi, _ := bounds(time.Time{}, farthest)
	have, err := s.readActions(ctx, a.Site, lo, hi, " and "+is("id", a.ID))
	if err != nil {
		return err
	}
	if len(have) > 0 {
		a.At, a.Until = a.At.UTC(), a.Until.UTC()
		if len(a.Text) == 0 {
			a.Text = nil
		}
		if !reflect.DeepEqual(have[0], a) {
			return store.ErrExists
		}
		return nil
	}
	var l lines
	l.point("action", tag{"id", a.ID}, tag{"site", a.Site})
	l.string("by", a.By)
	l.string("kind", string(a.Kind))
	l.int("vehicles", int64(a.Vehicles))
	l.string("text", text)
	l.string("undoes", a.Undoes)
	if !a.Until.IsZero() {
		l.int("until", a.Until.UnixNano())
	}
	l.end(a.At.UnixNano())
	return s.send(ctx, s.write, &l)
}

var farthest = time.Date(2262, 1, 1, 0, 0, 0, 0, time.UTC)

// Actions returns the actions at a site by time, then ID.
func (s *Store) Actions(ctx context.Context, site string, from, to time.Time) ([]perron.Action, error) {
	lo, hi, ok := bounds(from, to)
	if !ok {
		return nil, nil
	}
	out, err := s.readActions(ctx, site, lo, hi, "")
	if err != nil {
		return nil, fmt.Errorf("read actions of %s: %w", site, err)
	}
	return out, nil
}

func (s *Store) readActions(ctx context.Context, site string, from, to time.Time, where string) ([]perron.Action, error) {
	var out []perron.Action
	err := s.each(ctx, s.from(s.bucket, from, to, `r._measurement == "action" and `+is("site", site)+where)+pivot, func(r row) error {
		if !r.time().Before(to) {
			return nil
		}
		a := perron.Action{
			Site: site, At: r.time(), By: r.string("by"), Kind: perron.ActionKind(r.string("kind")),
			Vehicles: int(r.int("vehicles")), Undoes: r.string("undoes"),
		}
		if until := r.int("until"); until != 0 {
			a.Until = store.FromNanos(until)
		}
		var err error
		if a.ID, err = r.tag("id"); err != nil {
			return err
		}
		if text := r.string("text"); text != "" {
			if err := json.Unmarshal([]byte(text), &a.Text); err != nil {
				return fmt.Errorf("text of %s: %w", a.ID, err)
			}
		}
		out = append(out, a)
		return nil
	})
	slices.SortFunc(out, func(a, b perron.Action) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.ID, b.ID)) })
	return out, err
}
