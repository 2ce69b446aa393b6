package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"github.com/perrondrukte/perrondrukte/store/sqlite"
)

// createDatabase waits for the InfluxDB server and makes the database.
func createDatabase(ctx context.Context, addr string) error {
	var err error
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end) && ctx.Err() == nil; time.Sleep(100 * time.Millisecond) {
		var res *http.Response
		if res, err = http.PostForm("http://"+addr+"/query", url.Values{"q": {"CREATE DATABASE bench"}}); err == nil {
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return nil
			}
			err = fmt.Errorf("create the database: %s", res.Status)
		}
	}
	return err
}

// memory starts server and gateway with nothing to do and looks at them after
// they have settled.
func (b *bench) memory(ctx context.Context) error {
	for _, name := range []string{"perrondrukte", "perron-gateway"} {
		info, err := os.Stat(filepath.Join(b.bin, name))
		if err != nil {
			return err
		}
		b.report("size of "+name, "reported", "%.1f MB", float64(info.Size())/1e6)
	}
	s, err := b.startServer(ctx, "idle", "", "127.0.0.1:0", 1)
	if err != nil {
		return err
	}
	defer s.stop()
	csv, err := b.csv("idle", 1, time.Now(), time.Second)
	if err != nil {
		return err
	}
	config, err := b.gatewayConfig(s, "idle", 1, csv, 1, "now")
	if err != nil {
		return err
	}
	g, err := b.start("perron-gateway", "run", "--config", config)
	if err != nil {
		return err
	}
	defer g.stop()
	time.Sleep(20 * time.Second)
	mem, err := s.rss()
	if err != nil {
		return err
	}
	b.report("resident memory of serve, idle", "< 60 MB", "%.1f MB", mem)
	if mem, err = g.rss(); err != nil {
		return err
	}
	b.report("resident memory of perron-gateway", "< 25 MB", "%.1f MB", mem)
	return nil
}

// A state is what of a message to viewers matters here.
type state struct {
	MeasuredAt time.Time `json:"measuredAt"`
	Visits     int       `json:"visits"` // passages in, today
}

// stateIn reads a message to a viewer; ok is false when it is of another type.
func stateIn(payload []byte) (s state, ok bool, err error) {
	var f struct {
		Type string          `json:"type"`
		Site json.RawMessage `json:"site"` // a state, or in other messages a name
	}
	if err := json.Unmarshal(payload, &f); err != nil || f.Type != "state" {
		return state{}, false, err
	}
	err = json.Unmarshal(f.Site, &s)
	return s, err == nil, err
}

// pulse sends 50 passages a second through a gateway in real time and takes,
// for each, the time from its own stamp to the first websocket message that
// has it.
func (b *bench) pulse(ctx context.Context) error {
	s, err := b.startServer(ctx, "pulse", "", "127.0.0.1:0", 1)
	if err != nil {
		return err
	}
	defer s.stop()
	const rate = 50
	n := rate * b.seconds
	first, err := b.replayFromNow(s, "pulse", n, time.Second/rate)
	if err != nil {
		return err
	}
	conn, _, err := websocket.DefaultDialer.DialContext(ctx, "ws://"+s.http+"/api/v1/live", nil)
	if err != nil {
		return err
	}
	defer conn.Close()
	g, err := b.start("perron-gateway", "run", "--config", first)
	if err != nil {
		return err
	}
	defer g.stop()
	type seen struct {
		visits int
		at     time.Time
	}
	var all []seen
	end := time.Now().Add(time.Duration(b.seconds+10) * time.Second)
	if err := conn.SetReadDeadline(end); err != nil {
		return err
	}
	for len(all) == 0 || all[len(all)-1].visits < n {
		_, payload, err := conn.ReadMessage()
		if err != nil {
			return fmt.Errorf("after %d messages: %w", len(all), err)
		}
		at := time.Now()
		st, ok, err := stateIn(payload)
		if err != nil {
			return err
		}
		if ok {
			all = append(all, seen{st.Visits, at})
		}
	}
	g.stop()
	s.stop()
	edges, err := b.edges(ctx, "pulse", "")
	if err != nil {
		return err
	}
	if len(edges) != n {
		return fmt.Errorf("%d passages are stored, want %d", len(edges), n)
	}
	var took []time.Duration
	i := 0
	for k, edge := range edges {
		for all[i].visits <= k {
			i++
		}
		took = append(took, all[i].at.Sub(edge))
	}
	slices.Sort(took)
	b.report(fmt.Sprintf("pulse to websocket at %d pulses/s (%d pulses, %d messages)", rate, len(took), len(all)), "p99 < 100 ms",
		"p50 %s, p99 %s, max %s", quantile(took, 0.5), quantile(took, 0.99), quantile(took, 1))
	return nil
}

// edges are the times of all passages over a sensor in a server's store, of all
// sensors when it is empty.
func (b *bench) edges(ctx context.Context, name, sensor string) ([]time.Time, error) {
	db, err := sqlite.Open(ctx, filepath.Join(b.dir, name, "perrondrukte.db"), sqlite.Options{})
	if err != nil {
		return nil, err
	}
	defer db.Close()
	var edges []time.Time
	for r, err := range db.Events(ctx, "yard", time.Now().Add(-time.Hour), time.Now().Add(time.Hour)) {
		if err != nil {
			return nil, err
		}
		if sensor == "" || r.Sensor == sensor {
			edges = append(edges, r.Time)
		}
	}
	return edges, nil
}

func quantile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))].Round(100 * time.Microsecond)
}

// replayFromNow writes a recording of n passages and a gateway that replays it
// in real time.
func (b *bench) replayFromNow(s *server, name string, n int, gap time.Duration) (string, error) {
	csv, err := b.csv(name, n, time.Now(), gap)
	if err != nil {
		return "", err
	}
	return b.gatewayConfig(s, name, 1, csv, 1, "now")
}

// manyViewers opens websockets, causes one change a second, and takes how many
// bytes each viewer gets and how long after the first viewer the last one has
// a change.
func (b *bench) manyViewers(ctx context.Context) error {
	s, err := b.startServer(ctx, "viewers", "", "127.0.0.1:0", 1)
	if err != nil {
		return err
	}
	defer s.stop()
	config, err := b.replayFromNow(s, "viewers", b.seconds, time.Second)
	if err != nil {
		return err
	}
	var (
		mu       sync.Mutex
		arrivals = map[time.Time][]time.Time{} // measuredAt → when each viewer had it
		bytes    int
		viewers  sync.WaitGroup
	)
	end := time.Now().Add(time.Duration(b.seconds+15) * time.Second)
	opened := 0
	for range b.viewers {
		conn, res, err := websocket.DefaultDialer.DialContext(ctx, "ws://"+s.http+"/api/v1/live", nil)
		if err != nil {
			status := ""
			if res != nil {
				status = res.Status
			}
			return fmt.Errorf("viewer %d: %w %s", opened, err, status)
		}
		opened++
		viewers.Add(1)
		go func() {
			defer viewers.Done()
			defer conn.Close()
			_ = conn.SetReadDeadline(end) // cannot fail on an open connection
			for {
				_, payload, err := conn.ReadMessage()
				if err != nil {
					return // the deadline
				}
				now := time.Now()
				st, ok, err := stateIn(payload)
				if err != nil || !ok {
					continue
				}
				mu.Lock()
				bytes += len(payload) + 4 // frame header
				arrivals[st.MeasuredAt] = append(arrivals[st.MeasuredAt], now)
				mu.Unlock()
			}
		}()
	}
	sentences, _, err := websocket.DefaultDialer.DialContext(ctx, "ws://"+s.http+"/api/v1/live?lang="+inLanguage, nil)
	if err != nil {
		return fmt.Errorf("viewer in a language: %w", err)
	}
	defer sentences.Close()
	inWords := make(chan int, 1)
	go func() { inWords <- bytesAStatement(sentences, end) }()
	g, err := b.start("perron-gateway", "run", "--config", config)
	if err != nil {
		return err
	}
	defer g.stop()
	time.Sleep(5 * time.Second)
	mem, err := s.rss()
	if err != nil {
		return err
	}
	viewers.Wait()
	var lasts, pulses []time.Duration
	messages := 0
	for measured, at := range arrivals {
		messages += len(at)
		if len(at) < opened {
			continue // a change that some viewers got as part of a later one
		}
		last := slices.MaxFunc(at, time.Time.Compare)
		lasts = append(lasts, last.Sub(slices.MinFunc(at, time.Time.Compare)))
		pulses = append(pulses, last.Sub(measured))
	}
	if messages == 0 {
		return fmt.Errorf("no viewer saw a change")
	}
	slices.Sort(lasts)
	slices.Sort(pulses)
	b.report(fmt.Sprintf("%d viewers, one change a second", opened), "reported",
		"%d bytes a change and viewer; all have it p50 %s, max %s after the first, p50 %s after the pulse", bytes/messages, quantile(lasts, 0.5), quantile(lasts, 1), quantile(pulses, 0.5))
	b.report("  the same in sentences, as the pages have it", fmt.Sprintf("≤ %d", mostAChange), "%d bytes a change and viewer", <-inWords)
	b.report("  resident memory of serve meanwhile", "reported", "%.0f MB", mem)
	return nil
}

const (
	inLanguage  = "nl"
	mostAChange = 429 // bytes; what a state took when the pages still made the sentences
)

// settling is how many changes a viewer sees before it is measured: with the
// first of them a site begins to be measured, and so has another fallback.
const settling = 5

// bytesAStatement is what a viewer in a language gets for a change, with all
// that comes beside it, until the deadline; 0 when nothing changed. What tells of
// the same measurement is one change.
func bytesAStatement(conn *websocket.Conn, end time.Time) int {
	_ = conn.SetReadDeadline(end) // cannot fail on an open connection
	bytes, changes := 0, 0
	var last time.Time
	for {
		_, payload, err := conn.ReadMessage()
		if err != nil { // the deadline
			return bytes / max(changes-settling, 1)
		}
		var m struct {
			Type string          `json:"type"`
			Site json.RawMessage `json:"site"`
		}
		if err := json.Unmarshal(payload, &m); err != nil || m.Type == "snapshot" || m.Type == "heartbeat" {
			continue
		}
		var site struct {
			MeasuredAt time.Time `json:"measuredAt"`
		}
		if m.Type == "statement" || m.Type == "fresh" {
			if err := json.Unmarshal(m.Site, &site); err == nil && !site.MeasuredAt.Equal(last) {
				last = site.MeasuredAt
				changes++
			}
		}
		if changes > settling {
			bytes += len(payload) + 4 // frame header
		}
	}
}
