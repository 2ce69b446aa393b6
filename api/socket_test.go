package api

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/perrondrukte/perrondrukte/api/openapi"
	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/words"
)

// watch opens the websocket; headers are pairs.
func (r *rig) watch(query string, headers ...string) (*websocket.Conn, *http.Response, error) {
	h := http.Header{}
	for i := 0; i < len(headers); i += 2 {
		h.Set(headers[i], headers[i+1])
	}
	d := websocket.Dialer{Jar: r.client.Jar, HandshakeTimeout: patience}
	conn, resp, err := d.Dial("ws"+strings.TrimPrefix(r.base, "http")+"/api/v1/live"+query, h)
	if conn != nil {
		r.t.Cleanup(func() { conn.Close() })
	}
	return conn, resp, err
}

func (r *rig) mustWatch(query string, headers ...string) *websocket.Conn {
	r.t.Helper()
	conn, _, err := r.watch(query, headers...)
	if err != nil {
		r.t.Fatal(err)
	}
	return conn
}

func next(t testing.TB, conn *websocket.Conn) openapi.LiveMessage {
	t.Helper()
	conn.SetReadDeadline(time.Now().Add(patience))
	var m openapi.LiveMessage
	if err := conn.ReadJSON(&m); err != nil {
		t.Fatal(err)
	}
	return m
}

// nextState skips what else may come.
func nextState(t *testing.T, conn *websocket.Conn) (openapi.LiveMessage, openapi.State) {
	t.Helper()
	for {
		if m := next(t, conn); m.Type == "state" {
			return m, stateIn(t, m)
		}
	}
}

// toldLevel is what viewers were last told.
func (v *view) toldLevel(site string) perron.Level {
	v.toldMu.Lock()
	defer v.toldMu.Unlock()
	if t, ok := v.told[site]; ok {
		return t.level()
	}
	return ""
}

func TestSnapshotThenChanges(t *testing.T) {
	r := newRig(t, nil)
	r.link.busyness(t, busy(noon))
	eventually(t, "the state is told", func() bool { return r.server.feed.viewOf(t, words.ToAll, "").toldLevel("poort") == perron.Busy })
	all, one := r.mustWatch(""), r.mustWatch("?site=haven")
	first := next(t, all)
	if first.Type != "snapshot" || len(first.Sites) != 2 || first.Sites[0].Level != perron.Busy || first.Run == "" || first.Seq == 0 || !first.At.Equal(noon) {
		t.Fatalf("first %+v", first)
	}
	if s := next(t, one); s.Type != "snapshot" || len(s.Sites) != 1 || s.Sites[0].Id != "haven" {
		t.Fatalf("first of haven %+v", s)
	}
	b := busy(noon)
	b.Level, b.Notice = perron.VeryBusy, &perron.Notice{ID: "n", At: noon, Text: map[string]string{"nl": "Vol"}}
	r.link.busyness(t, b)
	m, s := nextState(t, all)
	if s.Level != perron.VeryBusy || s.Notice == nil || m.Seq <= first.Seq {
		t.Errorf("change %+v", m)
	}
	b.Site, b.Level = "haven", perron.Quiet
	r.link.busyness(t, b)
	if _, s := nextState(t, one); s.Id != "haven" || s.Level != perron.Quiet {
		t.Errorf("the one who follows haven got %+v", s)
	}
	if g := testutil.ToFloat64(r.server.lounge.metrics.viewers.WithLabelValues("public")); g != 2 || r.server.Viewers() != 2 {
		t.Errorf("%v viewers", g)
	}
	all.Close()
	one.Close()
	eventually(t, "both are gone", func() bool { return r.server.Viewers() == 0 })
}

// Naming a site again and again must not have it sent again and again.
func TestSitesAreSentOnce(t *testing.T) {
	r := newRig(t, nil)
	for _, query := range []string{"?site=poort&site=poort", "?lang=nl&site=poort&site=poort"} {
		var first struct{ Sites []struct{ ID string } }
		if err := r.mustWatch(query).ReadJSON(&first); err != nil || len(first.Sites) != 1 || first.Sites[0].ID != "poort" {
			t.Errorf("%s: sites %v in the first message, %v", query, first.Sites, err)
		}
	}
	for _, lang := range []string{"", "&lang=en"} {
		if _, resp, err := r.watch("?site=poort" + strings.Repeat("&site=poort", 1700) + lang); err == nil || resp.StatusCode != 400 {
			t.Errorf("a site named 1,701 times%s: %v %v", lang, resp, err)
		}
	}
}

func TestResumeOverSocket(t *testing.T) {
	r := newRig(t, nil)
	r.link.busyness(t, busy(noon))
	conn := r.mustWatch("?site=poort")
	first := next(t, conn)
	conn.Close()
	b := busy(noon)
	b.Level = perron.VeryBusy
	r.link.busyness(t, b)
	eventually(t, "the change is told", func() bool { return r.server.feed.viewOf(t, words.ToAll, "").toldLevel("poort") == perron.VeryBusy })
	back := r.mustWatch(fmt.Sprintf("?site=poort&since=%d&run=%s", first.Seq, first.Run))
	m := next(t, back)
	if m.Type != "state" || m.Seq <= first.Seq || stateIn(t, m).Level != perron.VeryBusy {
		t.Errorf("missed %+v", m)
	}
	back.Close()
	// Who missed nothing learns that it is back.
	seq := uint64(m.Seq)
	eventually(t, "all is told", func() bool {
		again := r.mustWatch(fmt.Sprintf("?site=poort&since=%d&run=%s", seq, first.Run))
		defer again.Close()
		m := next(t, again)
		return m.Type == "heartbeat" && m.Run == first.Run
	})
	if m := next(t, r.mustWatch(fmt.Sprintf("?since=%d&run=before", seq))); m.Type != "snapshot" {
		t.Errorf("after another run %+v", m)
	}
}

func TestOrigins(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Origins = []string{"https://www.almere.example"} })
	host := strings.TrimPrefix(r.base, "http://")
	for origin, ok := range map[string]bool{
		"":                                true, // not a page
		"http://" + host:                  true,
		"https://www.almere.example":      true,
		"https://almere.example":          false,
		"https://www.almere.example:8443": false,
		"https://" + host + ".example":    false,
		"null":                            false,
	} {
		headers := []string{"Origin", origin}
		if origin == "" {
			headers = nil
		}
		conn, resp, err := r.watch("", headers...)
		if (err == nil) != ok {
			t.Errorf("origin %q: %v", origin, err)
		}
		if conn != nil {
			conn.Close()
		} else if resp.StatusCode != http.StatusForbidden || resp.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("origin %q: %s %v", origin, resp.Status, resp.Header)
		}
	}
	// What staff see is for our own pages, also where a neighbour may show the rest.
	if _, resp, err := r.watch("?detail=staff", "Origin", "https://www.almere.example"); err == nil || resp.StatusCode != http.StatusForbidden {
		t.Errorf("a page of a neighbour asks for what staff see: %v %v", resp, err)
	}
	if _, resp, err := r.watch("?detail=staff", "Origin", "http://"+host); err == nil || resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("a page of our own without a session: %v %v", resp, err)
	}
}

func TestLimits(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Viewers.Max, c.Viewers.PerIP = 3, 2 })
	from := func(addr string) (*websocket.Conn, int) {
		conn, resp, err := r.watch("", "X-Forwarded-For", "203.0.113.99, "+addr)
		if err != nil && resp == nil {
			t.Fatal(err)
		}
		return conn, resp.StatusCode
	}
	first, _ := from("2001:db8:1:2::1")
	if _, code := from("2001:db8:1:2::2"); code != 101 {
		t.Errorf("second of a network: %d", code)
	}
	if _, code := from("2001:db8:1:2::3"); code != http.StatusTooManyRequests {
		t.Errorf("third of a network: %d", code)
	}
	if _, code := from("198.51.100.1"); code != 101 {
		t.Errorf("another address: %d", code)
	}
	if _, code := from("198.51.100.2"); code != http.StatusServiceUnavailable {
		t.Errorf("one too many: %d", code)
	}
	first.Close()
	eventually(t, "a place is free again", func() bool { _, code := from("198.51.100.3"); return code == 101 })
	if n := testutil.ToFloat64(r.server.lounge.metrics.refused.WithLabelValues("address")); n != 1 {
		t.Errorf("%v refused", n)
	}
}

func closeCode(t *testing.T, conn *websocket.Conn) int {
	t.Helper()
	conn.SetReadDeadline(time.Now().Add(patience))
	for {
		if _, _, err := conn.ReadMessage(); err != nil {
			var ce *websocket.CloseError
			if !errors.As(err, &ce) {
				return 0
			}
			return ce.Code
		}
	}
}

func TestViewersHaveNothingToSay(t *testing.T) {
	r := newRig(t, nil)
	conn := r.mustWatch("")
	if err := conn.WriteMessage(websocket.TextMessage, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if code := closeCode(t, conn); code != websocket.ClosePolicyViolation {
		t.Errorf("closed with %d", code)
	}
	// A large message is not even read; the connection may be reset under it.
	big := r.mustWatch("")
	_ = big.WriteMessage(websocket.TextMessage, make([]byte, 64<<10))
	if code := closeCode(t, big); code != websocket.CloseMessageTooBig && code != 0 {
		t.Errorf("a large message: closed with %d", code)
	}
	eventually(t, "both are gone", func() bool { return r.server.Viewers() == 0 })
}

// A viewer that does not read is sent away; the others get everything at once.
func TestSlowViewer(t *testing.T) {
	r := newRig(t, func(c *Config) {
		c.Viewers.Queue, c.Viewers.Gap, c.Viewers.Write = 4, time.Nanosecond, time.Second
	})
	var d net.Dialer
	dialer := websocket.Dialer{NetDialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := d.DialContext(ctx, network, addr)
		if err == nil {
			err = c.(*net.TCPConn).SetReadBuffer(4 << 10)
		}
		return c, err
	}}
	slow, _, err := dialer.Dial("ws"+strings.TrimPrefix(r.base, "http")+"/api/v1/live", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	quick := r.mustWatch("?site=poort")
	next(t, quick)
	eventually(t, "both are there", func() bool { return r.server.Viewers() == 2 })
	b := busy(noon)
	long := strings.Repeat("ë", 900)
	for i := 0; r.server.Viewers() == 2; i++ {
		if i > 20_000 {
			t.Fatal("the slow viewer stays")
		}
		b.Notice = &perron.Notice{ID: fmt.Sprint(i), At: noon, Text: map[string]string{"nl": long, "en": long}}
		r.link.busyness(t, b)
		for got := ""; got != b.Notice.ID; {
			if _, s := nextState(t, quick); s.Notice != nil {
				got = s.Notice.ID
			}
		}
	}
	eventually(t, "it is counted", func() bool {
		return testutil.ToFloat64(r.server.lounge.metrics.dropped.WithLabelValues("slow")) == 1
	})
}

// A viewer that is gone without a word, as phones are, is noticed.
func TestSilentViewer(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Viewers.Ping = 20 * time.Millisecond })
	conn := r.mustWatch("")
	pings := make(chan struct{}, 100)
	conn.SetPingHandler(func(string) error { pings <- struct{}{}; return nil }) // answers nothing
	go func() {
		for {
			if _, _, err := conn.ReadMessage(); err != nil {
				close(pings)
				return
			}
		}
	}()
	<-pings
	eventually(t, "it is given up", func() bool { return r.server.Viewers() == 0 })
	for range pings {
	}
}

func TestStaffSocketEndsWithTheSession(t *testing.T) {
	// Whether the session still holds is asked with each ping; a busy machine must
	// not be late with the answer to one.
	r := newRig(t, func(c *Config) { c.Viewers.Ping = 500 * time.Millisecond })
	r.login("planner", RolePlanner)
	if _, resp, err := r.watch("?detail=staff"); err == nil || resp.StatusCode != http.StatusForbidden {
		t.Errorf("a planner: %v", err)
	}
	r.login("anna", RoleStaff)
	r.link.busyness(t, busy(noon))
	eventually(t, "the state is told", func() bool { return r.server.feed.viewOf(t, words.ToStaff, "").toldLevel("poort") == perron.Busy })
	conn := r.mustWatch("?detail=staff")
	if m := next(t, conn); m.Type != "snapshot" || len(m.Sites[0].Gates) != 1 {
		t.Fatalf("first %+v", m)
	}
	r.accounts.remove("anna")
	if code := closeCode(t, conn); code != websocket.ClosePolicyViolation {
		t.Errorf("closed with %d", code)
	}
}

func TestShutdownClosesSockets(t *testing.T) {
	r := newRig(t, nil)
	conn := r.mustWatch("")
	next(t, conn)
	r.mustWatch("") // never reads
	r.stop()        // within patience, though one of them never ends by itself
	if code := closeCode(t, conn); code != websocket.CloseGoingAway {
		t.Errorf("closed with %d", code)
	}
}
