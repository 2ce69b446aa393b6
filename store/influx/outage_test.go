package influx_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/store"
	"github.com/perrondrukte/perrondrukte/store/influx"
	"github.com/perrondrukte/perrondrukte/store/influx/influxtest"
)

var base = time.Date(2026, 5, 2, 8, 0, 0, 0, time.UTC)

// run is a batch of n events from a sequence number on: three of four count,
// one is set aside.
func run(first uint64, n int) store.Batch {
	b := store.Batch{Site: "poort", Gateway: "gate-1", Epoch: "e1", Floor: 1, First: first, Received: base.Add(time.Duration(first) * time.Second)}
	for i := range n {
		seq := int(first) + i
		e := store.Entry{Event: perron.Event{Time: base.Add(time.Duration(seq) * 7 * time.Second), Sensor: "main-in", Kind: perron.In}, Gate: "main"}
		switch seq % 4 {
		case 1:
			e.Sensor, e.Kind, e.Gate = "side-out", perron.Out, "side"
		case 3:
			e.SetAside = "future"
		}
		b.Entries = append(b.Entries, e)
	}
	return b
}

// whole looks that what is stored is exactly the events up to acked.
func whole(t *testing.T, s *influx.Store, acked uint64) {
	t.Helper()
	var counted, aside, lost uint64
	seen := map[uint64]bool{}
	for r, err := range s.Events(t.Context(), "poort", base, base.AddDate(1, 0, 0)) {
		if err != nil {
			t.Fatal(err)
		}
		if seen[r.Seq] || r.Seq > acked {
			t.Errorf("event %d is there twice, or was never acknowledged", r.Seq)
		}
		seen[r.Seq] = true
		counted++
	}
	for _, err := range s.SetAside(t.Context(), "poort", base, base.AddDate(1, 0, 0)) {
		if err != nil {
			t.Fatal(err)
		}
		aside++
	}
	losses, err := s.Losses(t.Context(), "poort", base, base.AddDate(1, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range losses {
		lost += l.Count
	}
	counts, err := s.Counts(t.Context(), store.CountQuery{Site: "poort", From: base.AddDate(0, 0, -7), To: base.AddDate(1, 0, 0), Step: perron.Week})
	if err != nil {
		t.Fatal(err)
	}
	sum := uint64(0)
	for _, c := range counts {
		sum += uint64(c.In + c.Out)
	}
	if want := acked - (acked+1)/4; counted != want || sum != want || aside != acked-want || lost != aside {
		t.Errorf("of %d events: %d stored, %d in counts, %d set aside, %d in losses", acked, counted, sum, aside, lost)
	}
}

// flaky is a connection that breaks at the request of a given number: before
// the server has it, or after, when the answer gets lost.
type flaky struct {
	http.RoundTripper
	requests atomic.Int32
	breakAt  int32
	after    bool
}

func (f *flaky) RoundTrip(r *http.Request) (*http.Response, error) {
	if f.requests.Add(1) != f.breakAt {
		return f.RoundTripper.RoundTrip(r)
	}
	if f.after {
		resp, err := f.RoundTripper.RoundTrip(r)
		if err != nil {
			return nil, err
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
	}
	return nil, errors.New("connection reset by test")
}

// testBrokenAnywhere breaks a commit at each of its requests, on the way there
// and on the way back. The gateway then resends, not always the same batch.
func testBrokenAnywhere(t *testing.T, server *influxtest.Server) {
	for _, after := range []bool{false, true} {
		broken := 0
		for at := int32(1); ; at++ {
			transport := &http.Transport{}
			f := &flaky{RoundTripper: transport, after: after}
			s, err := influx.Open(t.Context(), influx.Config{URL: server.URL, Token: server.Token, Bucket: server.Bucket(), Transport: f})
			if err != nil {
				t.Fatal(err)
			}
			commit := func(b store.Batch, acked uint64) {
				t.Helper()
				r, err := s.Commit(t.Context(), b)
				if err != nil || r.Acked != acked {
					t.Fatalf("request %d broken: %+v, %v; want acked %d", at, r, err, acked)
				}
			}
			commit(run(1, 100), 100)
			f.requests.Store(0)
			f.breakAt = at
			b := run(90, 200)
			r, err := s.Commit(t.Context(), b)
			if err == nil {
				if f.requests.Load() >= at {
					t.Fatalf("request %d broken: %+v without an error", at, r)
				}
				break // the commit has fewer requests
			}
			broken++
			if !errors.Is(err, store.ErrUnavailable) || r != (store.Result{}) {
				t.Fatalf("request %d broken: %+v, %v", at, r, err)
			}
			b.Received = b.Received.Add(time.Minute)
			shorter := b
			shorter.Entries = b.Entries[:50] // up to 139
			if after {
				r, err := s.Commit(t.Context(), shorter)
				if err != nil || r.Acked != 139 && r.Acked != 289 {
					t.Fatalf("%+v, %v", r, err)
				}
			}
			commit(b, 289)
			whole(t, s, 289)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			transport.CloseIdleConnections()
		}
		if broken < 4 {
			t.Errorf("broke %d requests, a commit has more", broken)
		}
	}
}

// TestServerGoesAway kills the server while batches are committed, some times,
// and brings it back.
func TestServerGoesAway(t *testing.T) {
	t.Parallel() // servers of their own, which mostly wait for the disk
	server := influxtest.Start(t)
	s := open(t, server, server.Bucket())
	ctx := t.Context()

	acked, failed := uint64(0), 0
	kill := map[uint64]bool{500: true, 1500: true}
	back := make(chan struct{})
	for acked < 2500 {
		if kill[acked] {
			delete(kill, acked)
			back = make(chan struct{})
			go func() { // amid the next commits
				time.Sleep(time.Duration(acked%7) * time.Millisecond)
				server.Kill()
				close(back)
			}()
		}
		r, err := s.Commit(ctx, run(acked+1, 100))
		if err == nil {
			if r.Acked != acked+100 {
				t.Fatalf("%+v after %d", r, acked)
			}
			acked = r.Acked
			continue
		}
		if !errors.Is(err, store.ErrUnavailable) {
			t.Fatal(err)
		}
		failed++
		<-back
		for _, f := range []func() error{
			func() error { return s.Ping(ctx) },
			func() error { _, err := s.Extent(ctx, "poort"); return err },
			func() error {
				_, err := s.Counts(ctx, store.CountQuery{Site: "poort", From: base, To: base.Add(time.Hour), Step: perron.Hour})
				return err
			},
			func() error {
				for _, err := range s.Events(ctx, "poort", base, base.Add(time.Hour)) {
					return err
				}
				return nil
			},
			func() error {
				return s.SaveSamples(ctx, "poort", []perron.Sample{{Estimate: perron.Estimate{At: base}}})
			},
		} {
			if err := f(); !errors.Is(err, store.ErrUnavailable) {
				t.Fatalf("without a server: %v; want ErrUnavailable", err)
			}
		}
		server.Restart()
	}
	if failed != 2 {
		t.Errorf("%d commits failed, for 2 outages", failed)
	}
	whole(t, s, acked)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, server, "test1")
	whole(t, s, acked)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// testHandOver has two processes take turns for one gateway.
func testHandOver(t *testing.T, server *influxtest.Server) {
	bucket := server.Bucket()
	stores := []*influx.Store{open(t, server, bucket), open(t, server, bucket)}
	acked := uint64(0)
	for i := range 12 {
		s := stores[i/2%2]
		b := run(acked+1, 100)
		b.Floor = b.First // the gateway has forgotten what the other one acknowledged
		r, err := s.Commit(t.Context(), b)
		if err != nil || r.Lost > 0 || r.Acked != acked+100 {
			t.Fatalf("turn %d: %+v, %v", i, r, err)
		}
		acked = r.Acked
	}
	whole(t, stores[0], acked)
	for _, s := range stores {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func testOpenErrors(t *testing.T, server *influxtest.Server) {
	good := influx.Config{URL: server.URL, Token: server.Token, Bucket: server.Bucket()}
	for name, tc := range map[string]struct {
		spoil     func(*influx.Config)
		transient bool
		says      string
	}{
		"token":     {func(c *influx.Config) { c.Token = "perron:wrong" }, false, "401"},
		"bucket":    {func(c *influx.Config) { c.Bucket = "nowhere" }, false, "no such bucket"},
		"no bucket": {func(c *influx.Config) { c.Bucket = "" }, false, "no bucket"},
		"address":   {func(c *influx.Config) { c.URL = "http://127.0.0.1:1" }, true, "refused"},
	} {
		cfg := good
		tc.spoil(&cfg)
		_, err := influx.Open(t.Context(), cfg)
		if err == nil || errors.Is(err, store.ErrUnavailable) != tc.transient || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %v; want %q", name, err, tc.says)
		}
	}
	// A bucket that forgets cannot hold the cursors.
	server.Query("CREATE RETENTION POLICY short ON " + good.Bucket + " DURATION 30d REPLICATION 1")
	cfg := good
	cfg.Bucket += "/short"
	if _, err := influx.Open(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "for ever") {
		t.Errorf("a bucket with retention: %v", err)
	}
	// But it is just right for forecasts.
	cfg = good
	cfg.ForecastBucket = good.Bucket + "/short"
	s, err := influx.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().UTC().Truncate(15 * time.Minute)
	if err := s.SaveForecast(t.Context(), perron.Forecast{Site: "poort", Origin: now}); err != nil {
		t.Error(err)
	}
	if got, err := s.Forecasts(t.Context(), "poort", now, now.Add(1)); err != nil || len(got) != 1 {
		t.Errorf("forecasts %v, %v", got, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// testEmptyAnswer has a server that answers nothing at all to questions. No
// cursor would then mean that what the gateway forgot was lost.
func testEmptyAnswer(t *testing.T, server *influxtest.Server) {
	m := &mute{RoundTripper: &http.Transport{}}
	s, err := influx.Open(t.Context(), influx.Config{URL: server.URL, Token: server.Token, Bucket: server.Bucket(), Transport: m})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if r, err := s.Commit(t.Context(), run(1, 100)); err != nil || r.Acked != 100 {
		t.Fatalf("%+v, %v", r, err)
	}
	b := run(201, 10)
	b.Floor = 201
	m.on.Store(true)
	if r, err := s.Commit(t.Context(), b); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("%+v, %v; want ErrUnavailable", r, err)
	}
	if err := s.Ping(t.Context()); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("Ping: %v", err)
	}
	m.on.Store(false)
	if r, err := s.Commit(t.Context(), b); err != nil || r.Lost != 100 {
		t.Errorf("%+v, %v; want 100 lost", r, err)
	}
}

type mute struct {
	http.RoundTripper
	on atomic.Bool
}

func (m *mute) RoundTrip(r *http.Request) (*http.Response, error) {
	if m.on.Load() && strings.HasSuffix(r.URL.Path, "/query") {
		return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader("\r\n")), Header: http.Header{}, Request: r}, nil
	}
	return m.RoundTripper.RoundTrip(r)
}

// BenchmarkCommit is ingest with rollups, in batches of a thousand.
func BenchmarkCommit(b *testing.B) {
	server := influxtest.Start(b)
	s := open(b, server, server.Bucket())
	defer s.Close()
	next := uint64(1)
	for b.Loop() {
		if _, err := s.Commit(b.Context(), run(next, 1000)); err != nil {
			b.Fatal(err)
		}
		next += 1000
	}
	b.ReportMetric(float64(b.N*1000)/b.Elapsed().Seconds(), "events/s")
}

// BenchmarkRead reads from a store with 100,000 events of 8 days.
func BenchmarkRead(b *testing.B) {
	server := influxtest.Start(b)
	s := open(b, server, server.Bucket())
	defer s.Close()
	for next := uint64(1); next < 100_000; next += 20_000 {
		if _, err := s.Commit(b.Context(), run(next, 20_000)); err != nil {
			b.Fatal(err)
		}
	}
	for _, step := range []perron.Step{perron.Quarter, perron.Day} {
		b.Run("counts-8d-"+string(step), func(b *testing.B) {
			for b.Loop() {
				if _, err := s.Counts(b.Context(), store.CountQuery{Site: "poort", From: base, To: base.AddDate(0, 0, 8), Step: step}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("events-1d", func(b *testing.B) {
		n := 0
		for b.Loop() {
			for _, err := range s.Events(b.Context(), "poort", base, base.AddDate(0, 0, 1)) {
				if err != nil {
					b.Fatal(err)
				}
				n++
			}
		}
		b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "events/s")
	})
}
