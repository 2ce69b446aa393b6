package main

import (
	"context"
	"database/sql"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	_ "modernc.org/sqlite" // the peer writes rows as a plain program would
)

// ingest fills the outboxes of three gateways while no server is there, then
// starts server and gateways and takes the time until every event is in the
// store and the last outbox row is acknowledged.
func (b *bench) ingest(ctx context.Context) error {
	peer, err := b.plainRows()
	if err != nil {
		return fmt.Errorf("peer: %w", err)
	}
	rate, err := b.drain(ctx, "sqlite", "", b.events)
	if err != nil {
		return fmt.Errorf("sqlite: %w", err)
	}
	b.report("durable ingest, 3 gateways, SQLite", "≥ 20,000/s on two cores", "%.0f events/s", rate)
	b.report("  peer: one INSERT, one commit a row, WAL and FULL", "", "%.0f rows/s (ours is %.0f×, end to end)", peer, rate/peer)
	if b.influxd == "" {
		b.report("durable ingest, 3 gateways, InfluxDB 1.8", "reported", "left out: no -influxd")
		return nil
	}
	store, stop, err := b.startInflux(ctx)
	if err != nil {
		return fmt.Errorf("start influxd: %w", err)
	}
	defer stop()
	if rate, err = b.drain(ctx, "influx", store, b.events/4); err != nil {
		return fmt.Errorf("influx: %w", err)
	}
	b.report("durable ingest, 3 gateways, InfluxDB 1.8", "reported", "%.0f events/s", rate)
	return nil
}

func (b *bench) drain(ctx context.Context, name, store string, events int) (float64, error) {
	from := time.Now().UTC().Add(-20 * 24 * time.Hour).Truncate(24 * time.Hour)
	csv, err := b.csv("ingest", events, from, time.Second)
	if err != nil {
		return 0, err
	}
	// The broker's address must be known before the server runs for good.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	addr := l.Addr().String()
	l.Close()
	s, err := b.startServer(ctx, name, store, addr, 3)
	if err != nil {
		return 0, err
	}
	var configs []string
	for n := 1; n <= 3; n++ {
		c, err := b.gatewayConfig(s, name, n, csv, 0, "keep")
		if err != nil {
			return 0, err
		}
		configs = append(configs, c)
	}
	s.stop()
	for _, c := range configs {
		g, err := b.start("perron-gateway", "run", "--config", c)
		if err != nil {
			return 0, err
		}
		_, err = g.logged(ctx, "the source has come to its end; what it gave is being sent", "")
		g.stop()
		if err != nil {
			return 0, err
		}
	}
	if s, err = b.startServer(ctx, name, store, addr, 3); err != nil {
		return 0, err
	}
	defer s.stop()
	began := time.Now()
	for _, c := range configs {
		g, err := b.start("perron-gateway", "run", "--config", c)
		if err != nil {
			return 0, err
		}
		defer g.stop()
	}
	want := 3 * events
	for ctx.Err() == nil {
		n, err := s.stored(from.Add(-48*time.Hour), time.Now().Add(48*time.Hour).UTC())
		if err != nil {
			return 0, err
		}
		if n == want {
			return float64(want) / time.Since(began).Seconds(), nil
		}
		if n > want {
			return 0, fmt.Errorf("stored %d of %d: some are doubled", n, want)
		}
		if time.Since(began) > 5*time.Minute {
			return 0, fmt.Errorf("stored only %d of %d in five minutes", n, want)
		}
		time.Sleep(50 * time.Millisecond)
	}
	return 0, ctx.Err()
}

// plainRows is the peer: the rate at which a plain program gets single rows
// durably into the same kind of file.
func (b *bench) plainRows() (float64, error) {
	db, err := sql.Open("sqlite", "file:"+filepath.Join(b.dir, "peer.db")+"?_pragma=journal_mode(wal)&_pragma=synchronous(full)")
	if err != nil {
		return 0, err
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	if _, err := db.Exec(`CREATE TABLE passage (t INTEGER, sensor TEXT, kind TEXT)`); err != nil {
		return 0, err
	}
	began, n := time.Now(), 0
	for ; time.Since(began) < 3*time.Second; n++ {
		if _, err := db.Exec(`INSERT INTO passage VALUES (?, 'main-in', 'in')`, n); err != nil {
			return 0, err
		}
	}
	return float64(n) / time.Since(began).Seconds(), nil
}

// startInflux runs an InfluxDB 1.8 and returns the store section for it.
func (b *bench) startInflux(ctx context.Context) (store string, stop func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	addr := l.Addr().String()
	l.Close()
	dir := filepath.Join(b.dir, "influxdb")
	conf := filepath.Join(b.dir, "influxdb.conf")
	text := fmt.Sprintf("reporting-disabled = true\nbind-address = \"127.0.0.1:0\"\n[meta]\ndir = %q\n[data]\ndir = %q\nwal-dir = %q\nindex-version = \"tsi1\"\n[http]\nbind-address = %q\nflux-enabled = true\nlog-enabled = false\n[monitor]\nstore-enabled = false\n",
		dir+"/meta", dir+"/data", dir+"/wal", addr)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		return "", nil, err
	}
	cmd := exec.CommandContext(ctx, b.influxd, "run", "-config", conf)
	if err := cmd.Start(); err != nil {
		return "", nil, err
	}
	stop = func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }
	if err := createDatabase(ctx, addr); err != nil {
		stop()
		return "", nil, err
	}
	return fmt.Sprintf("store: {influx: {url: \"http://%s\", token: \"a:b\", bucket: bench}}", addr), stop, nil
}
