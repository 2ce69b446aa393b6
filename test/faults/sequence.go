package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/perrondrukte/perrondrukte/gateway/outbox"
	"github.com/perrondrukte/perrondrukte/perron"
)

const site = "yard"

// Small disks for the sequences in which one gets full.
const (
	gatewayDisk = 16 << 20
	serverDisk  = 48 << 20
)

// A sequence is a plan being carried out.
type sequence struct {
	result
	plan      *plan
	bin, dir  string
	server    *process // without the broker unless the shape has it within
	broker    *process // nil when the server has it within
	hub       *proxy   // between broker and collector, if they are apart
	config    string   // the file with which credentials are issued
	gateways  []*yardGateway
	authority *authority // with TLS
	power     bool       // can be cut
	mosquitto string     // its binary
	ctx       context.Context

	mu    sync.Mutex
	disks bool // a disk was full, so that a process may have ended
	errs  []error
}

// A yardGateway is a gateway with its link and its part of the recording.
type yardGateway struct {
	*process
	n       int // from 1
	dir     string
	proxy   *proxy
	secret  string
	disk    sync.Mutex // held while it is full
	mounted bool
	events  []perron.Event
	clock   *wrongClock // unless nil
	twin    *process    // a second gateway with the same name, unless nil
	// what the twin sees, and the file of what the gateway still has to see
	twinEvents []perron.Event
	recording  string
	played     int            // events of outboxes that were taken away
	doubtful   []perron.Event // held by them, and not acknowledged
	taken      []outbox.State // of them
	stage      int
	trust      sync.Mutex // held while its credential changes
}

// runSequence carries out a plan in a folder of its own and compares.
func runSequence(ctx context.Context, p *plan, o options, dir string) (_ result, err error) {
	s := &sequence{plan: p, bin: o.bin, mosquitto: o.mosquitto, power: o.powerless == nil, dir: dir, result: result{done: make(map[fault]int)}}
	ctx, cancel := context.WithCancel(ctx)
	s.ctx = ctx
	defer func() {
		cancel()
		err = errors.Join(err, s.close())
	}()
	if err := s.prepare(); err != nil {
		return s.result, err
	}
	var keepers sync.WaitGroup
	defer keepers.Wait()
	defer cancel()
	for _, u := range s.processes() {
		keepers.Go(func() { s.keep(u) })
	}

	began := time.Now()
	var wg sync.WaitGroup
	for _, st := range p.steps {
		wg.Go(func() {
			if s.pause(st.after - time.Since(began)) {
				s.do(st)
			}
		})
	}
	wg.Wait()
	if err := s.quiet(o.calm); err != nil {
		return s.result, err
	}
	if err := s.server.stop(time.Minute); err != nil {
		return s.result, err
	}
	if s.broker != nil && s.plan.shape != foreign {
		if err := s.broker.stop(time.Minute); err != nil {
			return s.result, err
		}
	}
	if err := s.complaints(); err != nil {
		return s.result, err
	}
	return s.result, s.check(ctx)
}

func (s *sequence) processes() []*process {
	all := []*process{s.server}
	if s.broker != nil {
		all = append(all, s.broker)
	}
	for _, g := range s.gateways {
		all = append(all, g.process)
		if g.twin != nil {
			all = append(all, g.twin)
		}
	}
	return all
}

func (s *sequence) pause(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-s.ctx.Done():
		return false
	}
}

func (s *sequence) note(err error) {
	if err != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.errs = append(s.errs, err)
	}
}

// keep starts a process again whenever it has ended.
func (s *sequence) keep(u *process) {
	for s.pause(100 * time.Millisecond) {
		u.turn.Lock()
		s.note(u.again())
		u.turn.Unlock()
	}
}

// quiet waits until all that was recorded is acknowledged.
func (s *sequence) quiet(limit time.Duration) error {
	for _, g := range s.gateways {
		g.proxy.catch(nil)
		if g.clock != nil {
			s.note(g.clock.set(0, 0, true)) // a time server is reached
		}
		if s.plan.patient {
			continue
		}
		// What hangs breaks, as it does when a router starts again; and the
		// gateway begins with short pauses between its attempts.
		g.proxy.reset()
		g.turn.Lock()
		if !g.done() {
			g.kill()
			s.note(g.again())
		}
		g.turn.Unlock()
	}
	end := time.Now().Add(limit)
	for _, g := range s.gateways {
		for !g.done() {
			if time.Now().After(end) {
				return errors.Join(fmt.Errorf("%s has not sent everything %s after the faults ended", g.name, limit), s.complaints())
			}
			if !s.pause(50 * time.Millisecond) {
				return s.ctx.Err()
			}
		}
		if g.twin == nil {
			continue
		}
		// The name is free, and what the second gateway saw can be sent.
		for g.twin.allow(true); !g.twin.done(); {
			if time.Now().After(end) {
				return errors.Join(fmt.Errorf("%s has not sent everything %s after the faults ended", g.twin.name, limit), s.complaints())
			}
			if !s.pause(50 * time.Millisecond) {
				return s.ctx.Err()
			}
		}
	}
	return nil
}

// complaints are the errors that were noted, and processes that ended without
// being told to while their disk had room.
func (s *sequence) complaints() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	errs := s.errs
	for _, u := range s.processes() {
		u.mu.Lock()
		full := (u == s.server || u == s.broker) && s.disks
		for _, g := range s.gateways {
			full = full || g.process == u && g.mounted
		}
		if !full {
			if n := len(u.exits); n > 0 {
				errs = append(errs, fmt.Errorf("%s ended by itself %d times, at last with %s", u.name, n, u.exits[n-1]))
			}
		}
		u.mu.Unlock()
	}
	return errors.Join(errs...)
}

// close ends everything that runs.
func (s *sequence) close() error {
	var errs []error
	for _, g := range s.gateways {
		if g.process != nil {
			g.end()
		}
		if g.twin != nil {
			g.twin.end()
		}
		if g.proxy != nil {
			g.proxy.close()
		}
		if g.mounted {
			errs = append(errs, unmount(g.dir))
		}
	}
	for _, u := range []*process{s.server, s.broker} {
		if u != nil {
			u.end()
		}
	}
	if s.hub != nil {
		s.hub.close()
	}
	if s.disks {
		errs = append(errs, unmount(filepath.Join(s.dir, "server")))
	}
	return errors.Join(errs...)
}
