package collector

import (
	"cmp"
	"context"
	"iter"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/perrondrukte/perrondrukte/broker"
	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/present"
	"github.com/perrondrukte/perrondrukte/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeStore keeps everything in memory, by the rules of package store.
type fakeStore struct {
	mu        sync.Mutex
	fail      error // of every call
	acked     map[[3]string]uint64
	records   []perron.Record
	losses    []store.Loss
	actions   []perron.Action
	samples   map[string][]perron.Sample
	forecasts []perron.Forecast
	commits   int
	queries   []store.CountQuery
	readings  map[string]store.Reading
	saves     int
}

func (s *fakeStore) SaveReading(_ context.Context, r store.Reading) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return s.fail
	}
	s.saves++
	s.readings[r.Site+"/"+r.Gateway] = r
	return r.Validate()
}

func (s *fakeStore) SaveLoss(_ context.Context, l store.Loss) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return s.fail
	}
	s.losses = slices.DeleteFunc(s.losses, func(o store.Loss) bool {
		return o.Site == l.Site && o.Gateway == l.Gateway && o.Kind == l.Kind && o.Reason == l.Reason
	})
	if !l.Withdrawn {
		s.losses = append(s.losses, l)
	}
	return l.Validate()
}

func (s *fakeStore) Reading(_ context.Context, site, gateway string) (store.Reading, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return store.Reading{}, s.fail
	}
	r, ok := s.readings[site+"/"+gateway]
	if !ok {
		return r, store.ErrNotFound
	}
	return r, nil
}

func newFakeStore() *fakeStore {
	return &fakeStore{acked: make(map[[3]string]uint64), samples: make(map[string][]perron.Sample), readings: make(map[string]store.Reading)}
}

func (s *fakeStore) setFail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = err
}

func (s *fakeStore) Commit(_ context.Context, b store.Batch) (store.Result, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.commits++
	if s.fail != nil {
		return store.Result{}, s.fail
	}
	if err := b.Validate(); err != nil {
		return store.Result{}, err
	}
	key := [3]string{b.Site, b.Gateway, b.Epoch}
	acked := s.acked[key]
	skip, lost, gap := store.Place(acked, &b)
	if gap {
		return store.Result{Acked: acked, Gap: true}, nil
	}
	res := store.Result{Acked: b.Last(acked, lost), Duplicate: skip, Lost: lost}
	for i, e := range b.Entries[skip:] {
		if e.SetAside != "" {
			res.SetAside++
			continue
		}
		res.Stored++
		s.records = append(s.records, perron.Record{
			Event: e.Event, Site: b.Site, Gateway: b.Gateway, Gate: e.Gate, Epoch: b.Epoch, Seq: b.First + uint64(skip+i),
		})
	}
	s.losses = append(s.losses, store.LossesOf(&b, skip, lost)...)
	s.acked[key] = res.Acked
	return res, nil
}

func (s *fakeStore) Events(_ context.Context, site string, from, to time.Time) iter.Seq2[perron.Record, error] {
	return func(yield func(perron.Record, error) bool) {
		s.mu.Lock()
		fail := s.fail
		var found []perron.Record
		for _, r := range s.records {
			if r.Site == site && !r.Time.Before(from) && r.Time.Before(to) {
				found = append(found, r)
			}
		}
		s.mu.Unlock()
		if fail != nil {
			yield(perron.Record{}, fail)
			return
		}
		slices.SortStableFunc(found, func(a, b perron.Record) int { return a.Time.Compare(b.Time) })
		for _, r := range found {
			if !yield(r, nil) {
				return
			}
		}
	}
}

func (s *fakeStore) Counts(ctx context.Context, q store.CountQuery) ([]perron.Count, error) {
	s.mu.Lock()
	s.queries = append(s.queries, q)
	s.mu.Unlock()
	fold := store.NewFold(q)
	for r, err := range s.Events(ctx, q.Site, q.From, q.To) {
		if err != nil {
			return nil, err
		}
		switch r.Kind {
		case perron.In:
			fold.Add(perron.Quarter.Start(r.Time), r.Gate, 1, 0)
		case perron.Out:
			fold.Add(perron.Quarter.Start(r.Time), r.Gate, 0, 1)
		}
	}
	return fold.Counts(), nil
}

func (s *fakeStore) Actions(_ context.Context, site string, from, to time.Time) ([]perron.Action, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []perron.Action
	for _, a := range s.actions {
		if a.Site == site && !a.At.Before(from) && a.At.Before(to) {
			out = append(out, a)
		}
	}
	return out, s.fail
}

func (s *fakeStore) SaveSamples(_ context.Context, site string, samples []perron.Sample) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return s.fail
	}
	s.samples[site] = present.MergeSamples(s.samples[site], samples)
	return nil
}

func (s *fakeStore) Samples(_ context.Context, site string, from, to time.Time) ([]perron.Sample, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []perron.Sample
	for _, m := range s.samples[site] {
		if !m.At.Before(from) && m.At.Before(to) {
			out = append(out, m)
		}
	}
	return out, s.fail
}

func (s *fakeStore) SaveForecast(_ context.Context, f perron.Forecast) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail == nil {
		s.forecasts = append(s.forecasts, f)
	}
	return s.fail
}

func (s *fakeStore) Forecasts(_ context.Context, site string, from, to time.Time) ([]perron.Forecast, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []perron.Forecast
	for _, f := range s.forecasts {
		if f.Site == site && !f.Origin.Before(from) && f.Origin.Before(to) {
			out = append(out, f)
		}
	}
	return out, s.fail
}

func (s *fakeStore) Losses(_ context.Context, site string, from, to time.Time) ([]store.Loss, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []store.Loss
	for _, l := range s.losses {
		if l.Site == site && !l.At.Before(from) && l.At.Before(to) {
			out = append(out, l)
		}
	}
	return out, s.fail
}

func (s *fakeStore) stored() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.records)
}

func (s *fakeStore) sampled() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.samples["poort"])
}

// fakeLink is a broker that loses nothing.
type fakeLink struct {
	mu       sync.Mutex
	handlers map[string]func(broker.Message)
	sent     []broker.Message
	fail     error
}

func (l *fakeLink) Subscribe(filter string, handle func(broker.Message)) {
	if l.handlers == nil {
		l.handlers = make(map[string]func(broker.Message))
	}
	l.handlers[filter] = handle
}

func (l *fakeLink) Publish(ctx context.Context, m broker.Message) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := cmp.Or(ctx.Err(), l.fail); err != nil {
		return err
	}
	l.sent = append(l.sent, m)
	return nil
}

func (l *fakeLink) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.sent)
}

// fakeEstimator counts, and complains of events that are out of order. A
// vehicle beyond the tenth costs five minutes.
type fakeEstimator struct {
	t         *testing.T
	n         int
	newest    time.Time
	recounted time.Time
}

func (e *fakeEstimator) Observe(ev perron.Event) {
	if ev.Time.Before(e.newest) {
		e.t.Errorf("the estimator sees %v after %v", ev.Time, e.newest)
	}
	e.newest = ev.Time
	switch ev.Kind {
	case perron.In:
		e.n++
	case perron.Out:
		e.n = max(0, e.n-1)
	}
}

func (e *fakeEstimator) Recount(at time.Time, vehicles int) {
	if at.Before(e.newest) {
		e.t.Errorf("the estimator sees a recount at %v after %v", at, e.newest)
	}
	e.newest, e.n, e.recounted = at, vehicles, at
}

func (e *fakeEstimator) Estimate(now time.Time) perron.Estimate {
	return perron.Estimate{
		At: now, OnSite: perron.Exactly(float64(e.n)), Wait: perron.Exactly(float64(5 * max(0, e.n-10))), Recounted: e.recounted,
	}
}

// fakeForecaster remembers what it is asked.
type fakeForecaster struct {
	mu      sync.Mutex
	fits    [][]perron.Count
	now     perron.Estimate
	recent  []perron.Count
	inAWhat float64 // the wait that it expects from now on
}

func (f *fakeForecaster) Refit(history []perron.Count) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fits = append(f.fits, history)
}

func (f *fakeForecaster) Forecast(origin time.Time, recent []perron.Count, now perron.Estimate) perron.Forecast {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now, f.recent = now, recent
	var out perron.Forecast
	for q := perron.Quarter.Start(origin); len(out.Quarters) < 8; q = perron.Quarter.Next(q) {
		out.Quarters = append(out.Quarters, perron.Slot{
			Start: q, Minutes: 15, Open: true, Wait: perron.Exactly(f.inAWhat), Level: perron.Quiet, Basis: perron.Expected,
		})
	}
	return out
}

func (f *fakeForecaster) fitted() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.fits)
}

func (f *fakeForecaster) fit(i int) []perron.Count {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.fits[i]
}

func (f *fakeForecaster) present() perron.Estimate {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now
}

func (f *fakeForecaster) Typical(time.Time) (perron.Slot, bool) {
	return perron.Slot{Level: perron.Busy}, true
}

// rig is a collector of one site with two gateways inside a synctest bubble,
// where time passes only while everybody waits.
type rig struct {
	*Collector
	t          *testing.T
	store      *fakeStore
	link       *fakeLink
	forecaster *fakeForecaster
	now        func() time.Time
	stop       func()
	seq        map[string]uint64
	registry   *prometheus.Registry
}

// saturday is a summer day at noon, civil time.
var saturday = time.Date(2026, 5, 30, 10, 0, 0, 0, time.UTC)

func poort() *perron.Site {
	s := &perron.Site{
		ID: "poort", Name: "Poort", Bays: 12, Lanes: 1, TypicalDwell: 15,
		Gates: []perron.Gate{
			{ID: "main", Name: "Hoofdpoort", Sensors: []string{"main-in", "main-out"}},
			{ID: "side", Name: "Zijpoort", Sensors: []string{"side-out"}},
		},
		QueueLoops: []perron.QueueLoop{{Sensor: "lus-1", Distance: 5}},
		Gateways:   []string{"pi-1", "pi-2"},
	}
	for d := range s.Hours.Weekly {
		s.Hours.Weekly[d] = []perron.Span{{Open: 8*60 + 30, Close: 17 * 60}}
	}
	return s
}

// at returns a clock that shows start when the bubble begins.
func at(start time.Time) func() time.Time {
	began := time.Now()
	return func() time.Time { return start.Add(time.Since(began)) }
}

func start(t *testing.T, st *fakeStore, now func() time.Time, change func(*Config)) *rig {
	t.Helper()
	r := &rig{t: t, store: st, link: &fakeLink{}, forecaster: &fakeForecaster{}, now: now, seq: make(map[string]uint64), registry: prometheus.NewRegistry()}
	cfg := Config{
		Sites: []*perron.Site{poort()}, Store: st, Link: r.link, Civil: now,
		NewEstimator:  func(*perron.Site) Estimator { return &fakeEstimator{t: t} },
		NewForecaster: func(*perron.Site) Forecaster { return r.forecaster },
		Logger:        slog.New(slog.NewTextHandler(t.Output(), nil)),
		Registerer:    r.registry,
	}
	if change != nil {
		change(&cfg)
	}
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	r.Collector = c
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := c.Run(ctx); err != nil {
			t.Errorf("run: %v", err)
		}
	}()
	r.stop = sync.OnceFunc(func() { cancel(); <-done })
	t.Cleanup(r.stop)
	synctest.Wait()
	return r
}

// metric adds up the series of a metric whose labels have all of these values.
func (r *rig) metric(name string, values ...string) (sum float64) {
	r.t.Helper()
	families, err := r.registry.Gather()
	if err != nil {
		r.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "perrondrukte_collector_"+name {
			continue
		}
		for _, m := range f.GetMetric() {
			has := make(map[string]bool)
			for _, l := range m.GetLabel() {
				has[l.GetValue()] = true
			}
			if !slices.ContainsFunc(values, func(v string) bool { return !has[v] }) {
				sum += m.GetCounter().GetValue()
			}
		}
	}
	return sum
}

func (r *rig) receive(filter, topic string, payload []byte) {
	r.link.handlers[filter](broker.Message{Topic: topic, Payload: payload})
}

// send lets a gateway send events with the next numbers.
func (r *rig) send(gateway string, events ...perron.Event) {
	r.t.Helper()
	first := r.seq[gateway] + 1
	r.seq[gateway] += uint64(len(events))
	r.sendAt(gateway, first, events...)
}

func (r *rig) sendAt(gateway string, first uint64, events ...perron.Event) {
	r.t.Helper()
	b, err := broker.Events{Epoch: "e", Floor: 1, First: first, Events: events}.Encode()
	if err != nil {
		r.t.Fatal(err)
	}
	r.receive(broker.EventsFilter, broker.EventsTopic("poort", gateway), b)
}

// status lets a gateway say that it is well.
func (r *rig) status(gateway string, change func(*perron.GatewayStatus)) {
	r.t.Helper()
	s := perron.GatewayStatus{Site: "poort", Gateway: gateway, At: r.now(), Online: true, Epoch: "e"}
	if change != nil {
		change(&s)
	}
	b, err := broker.EncodeStatus(s)
	if err != nil {
		r.t.Fatal(err)
	}
	r.receive(broker.StatusFilter, broker.StatusTopic("poort", gateway), b)
}

// well lets both gateways say that they are well, and waits for the state.
func (r *rig) well() {
	r.status("pi-1", nil)
	r.status("pi-2", nil)
	r.settle()
}

// settle waits until what was sent is taken in and published.
func (r *rig) settle() {
	synctest.Wait()
	time.Sleep(50 * time.Millisecond)
	synctest.Wait()
}

// act stores an action and nudges the collector, as the API does.
func (r *rig) act(a perron.Action) {
	r.t.Helper()
	a.Site, a.At = "poort", r.now()
	r.store.mu.Lock()
	r.store.actions = append(r.store.actions, a)
	r.store.mu.Unlock()
	b, err := broker.EncodeAction(a)
	if err != nil {
		r.t.Fatal(err)
	}
	r.receive(broker.ActionsFilter, broker.ActionsTopic("poort"), b)
	r.settle()
}

// shown is the state that was published last, as of now.
func (r *rig) shown() perron.Busyness {
	r.t.Helper()
	return r.published().AsOf(poort(), r.now())
}

func (r *rig) published() perron.Busyness {
	r.t.Helper()
	r.link.mu.Lock()
	defer r.link.mu.Unlock()
	for _, m := range slices.Backward(r.link.sent) {
		if m.Topic == broker.BusynessTopic("poort") {
			b, err := broker.DecodeBusyness(m.Payload)
			if err != nil {
				r.t.Fatal(err)
			}
			return b
		}
	}
	r.t.Fatal("no state was published")
	return perron.Busyness{}
}

func (r *rig) forecast() perron.Forecast {
	r.t.Helper()
	r.link.mu.Lock()
	defer r.link.mu.Unlock()
	for _, m := range slices.Backward(r.link.sent) {
		if m.Topic == broker.ForecastTopic("poort") {
			f, err := broker.DecodeForecast(m.Payload)
			if err != nil {
				r.t.Fatal(err)
			}
			return f
		}
	}
	r.t.Fatal("no forecast was published")
	return perron.Forecast{}
}

// acks lists what a gateway was told.
func (r *rig) acks(gateway string) (acked []uint64) {
	r.t.Helper()
	r.link.mu.Lock()
	defer r.link.mu.Unlock()
	for _, m := range r.link.sent {
		if m.Topic == broker.AckTopic("poort", gateway) {
			a, err := broker.DecodeAck(m.Payload)
			if err != nil {
				r.t.Fatal(err)
			}
			acked = append(acked, a.Acked)
		}
	}
	return acked
}

func in(t time.Time) perron.Event {
	return perron.Event{Time: t, Sensor: "main-in", Kind: perron.In}
}

func out(t time.Time) perron.Event {
	return perron.Event{Time: t, Sensor: "main-out", Kind: perron.Out}
}
