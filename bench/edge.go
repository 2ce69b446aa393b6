package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// edge measures the gateway as it runs on a device: its share of a core and its
// memory at 100 passages a second, and with a backlog of 50,000 events that is
// written, opened and sent. The passages come from a recording; what reading the
// pins costs is measured in the virtual machine (make hil).
func (b *bench) edge(ctx context.Context) error {
	s, err := b.startServer(ctx, "edge", "", "127.0.0.1:0", 1)
	if err != nil {
		return err
	}
	defer s.stop()
	const rate = 100
	config, err := b.replayFromNow(s, "edge", rate*(b.seconds+20), time.Second/rate)
	if err != nil {
		return err
	}
	g, err := b.start("perron-gateway", "run", "--config", config)
	if err != nil {
		return err
	}
	defer g.stop()
	if _, err := g.logged(ctx, "connected to the broker", "client"); err != nil {
		return err
	}
	time.Sleep(5 * time.Second) // until it runs evenly
	before, err := g.cpu()
	if err != nil {
		return err
	}
	began := time.Now()
	time.Sleep(time.Duration(b.seconds) * time.Second)
	after, err := g.cpu()
	if err != nil {
		return err
	}
	share := (after - before).Seconds() / time.Since(began).Seconds()
	peak, err := g.peak()
	if err != nil {
		return err
	}
	b.report(fmt.Sprintf("perron-gateway at %d passages a second", rate), "memory < 25 MB", "%.1f %% of a core, %.1f MB at most", 100*share, peak)
	g.stop()
	return b.alone(ctx, s)
}

// alone lets a gateway without a server take 50,000 events, starts it again,
// and lets it send them.
func (b *bench) alone(ctx context.Context, s *server) error {
	const n = 50_000
	csv, err := b.csv("alone", n, time.Now().Add(-n*time.Second), time.Second)
	if err != nil {
		return err
	}
	linked, err := b.gatewayConfig(s, "alone", 1, csv, 0, "keep")
	if err != nil {
		return err
	}
	text, err := os.ReadFile(linked)
	if err != nil {
		return err
	}
	alone := strings.TrimSuffix(linked, ".yaml") + "-alone.yaml"
	if err := os.WriteFile(alone, []byte(strings.Replace(string(text), s.broker, "127.0.0.1:1", 1)), 0o600); err != nil {
		return err
	}
	g, err := b.start("perron-gateway", "run", "--config", alone)
	if err != nil {
		return err
	}
	defer g.stop()
	if _, err := g.logged(ctx, "the source has come to its end; what it gave is being sent", "site"); err != nil {
		return err
	}
	peak, err := g.peak()
	if err != nil {
		return err
	}
	g.stop()
	b.report(fmt.Sprintf("memory of perron-gateway, %d events written while there is no server", n), "< 25 MB", "%.1f MB at most", peak)

	began := time.Now()
	if g, err = b.start("perron-gateway", "run", "--config", linked, "--once"); err != nil {
		return err
	}
	defer g.stop()
	var connected time.Time
	const stored = "gateway stopped; everything is stored by the server"
	for peak = 0; !g.has(stored); time.Sleep(2 * time.Millisecond) {
		if ctx.Err() != nil || time.Since(began) > 2*time.Minute {
			return errors.Join(errors.New("the backlog was not sent"), ctx.Err())
		}
		if now, err := g.peak(); err == nil { // it may just have ended
			peak = max(peak, now)
		}
		if connected.IsZero() && g.has("connected to the broker") {
			connected = time.Now()
		}
	}
	b.report(fmt.Sprintf("%d waiting events, from reconnect to stored", n), "< 2 min", "%.1f s; %.1f MB at most", time.Since(connected).Seconds(), peak)
	return nil
}

// has says whether the process has logged a message.
func (p *process) has(msg string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.lines {
		if l["msg"] == msg {
			return true
		}
	}
	return false
}

// cpu is the time that the process has computed, of all its threads.
func (p *process) cpu() (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	// After the name, which may hold anything; see proc(5).
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	const utime, stime, tick = 11, 12, time.Second / 100
	var sum int64
	for _, i := range []int{utime, stime} {
		n, err := strconv.ParseInt(fields[i], 10, 64)
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return time.Duration(sum) * tick, nil
}

// peak is the most resident memory so far, in MB (10⁶ bytes).
func (p *process) peak() (float64, error) { return p.memory("VmHWM:") }
