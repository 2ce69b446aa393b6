package web

import (
	"context"
	"log/slog"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/store"
)

// A hangingStore takes requests and never answers.
type hangingStore struct {
	*scenario
	inside, most atomic.Int32
}

func (s *hangingStore) hang(ctx context.Context) error {
	n := s.inside.Add(1)
	defer s.inside.Add(-1)
	s.most.Store(max(s.most.Load(), n))
	<-ctx.Done()
	return ctx.Err()
}

func (s *hangingStore) Extent(ctx context.Context, _ string) (store.Extent, error) {
	return store.Extent{}, s.hang(ctx)
}

func (s *hangingStore) Counts(ctx context.Context, _ store.CountQuery) ([]perron.Count, error) {
	return nil, s.hang(ctx)
}

// A store that does not answer must not keep residents from the wait, and
// planners, whoever they are, must not pile up in front of it.
func TestStoreThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := scenarioNamed(t, "saturday")
		hanging := &hangingStore{scenario: s}
		h, err := New(Config{
			Sites: s.sites, Words: languages(t), Live: s, History: hanging, Staff: s, Auth: &fakeAuth{},
			Now: func() time.Time { return s.now }, Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if w := get(h, "/perron/poort"); w.Code != 200 || !strings.Contains(w.Body.String(), "Zeer druk") {
			t.Errorf("status %d, want the page with its wait", w.Code)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("the resident waited %v for the store", took)
		}

		hanging.most.Store(0)
		answers := make(chan *httptest.ResponseRecorder)
		for range 20 {
			go func() { answers <- get(h, "/planner") }()
		}
		for range 20 {
			if w := <-answers; w.Code != 503 {
				t.Errorf("status %d of a planner's page, want 503", w.Code)
			}
		}
		if n := hanging.most.Load(); n != plannersAtOnce {
			t.Errorf("%d planner's pages asked the store at once, want %d", n, plannersAtOnce)
		}
		if n := hanging.inside.Load(); n != 0 {
			t.Errorf("%d requests are left in the store", n)
		}
	})
}

// A browser shows a kept page again without asking when someone goes back to
// it or a tab is woken.
func TestLivePagesAreNotKept(t *testing.T) {
	h := newHandler(t, scenarioNamed(t, "saturday"), &fakeAuth{})
	for _, path := range []string{"/", "/en/", "/perron/poort", "/nl/perron/poort"} {
		if got := get(h, path).Header().Get("Cache-Control"); got != "no-store" {
			t.Errorf("%s: Cache-Control %q, want no-store", path, got)
		}
	}
}
