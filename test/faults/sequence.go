package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/perrondrukte/perrondrukte/gateway"
	"github.com/perrondrukte/perrondrukte/perron"
)

const site = "yard"

// serverStore is the name of the store in the server's data folder.
const serverStore = "perrondrukte.db"

// Small disks for the sequences in which one gets full.
const (
	gatewayDisk = 16 << 20
	serverDisk  = 48 << 20
)

// A sequence is a plan being carried out.
type sequence struct {
	result
	plan     *plan
	bin, dir string
	server   *process
	gateways []*yardGateway
	ctx      context.Context

	mu    sync.Mutex
	disks bool // a disk was full, so that a process may have ended
	errs  []error
}

// A yardGateway is a gateway with its link and its part of the recording.
type yardGateway struct {
	*process
	n        int // from 1
	dir      string
	proxy    *proxy
	secret   string
	disk     sync.Mutex // held while it is full
	mounted  bool
	events   []perron.Event
	played   int            // events of outboxes that were taken away
	doubtful []perron.Event // held by them, and not acknowledged
	stage    int
}

// runSequence carries out a plan in a folder of its own and compares.
func runSequence(ctx context.Context, p *plan, bin, dir string, calm time.Duration) (_ result, err error) {
	s := &sequence{plan: p, bin: bin, dir: dir, result: result{done: make(map[fault]int)}}
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
	if err := s.quiet(calm); err != nil {
		return s.result, err
	}
	if err := s.server.stop(time.Minute); err != nil {
		return s.result, err
	}
	if err := s.complaints(); err != nil {
		return s.result, err
	}
	return s.result, s.check(ctx)
}

func (s *sequence) processes() []*process {
	all := []*process{s.server}
	for _, g := range s.gateways {
		all = append(all, g.process)
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

// prepare writes the files and starts the processes.
func (s *sequence) prepare() error {
	server := filepath.Join(s.dir, "server")
	if err := os.MkdirAll(server, 0o750); err != nil {
		return err
	}
	if s.plan.has(fullServer, -1) {
		if err := mount(server, serverDisk); err == nil {
			s.disks = true
		}
	}
	var names, gates []string
	for i := range s.plan.gateways {
		names = append(names, fmt.Sprintf("gateway-%d", i+1))
		gates = append(gates, fmt.Sprintf("{id: gate-%[1]d, name: Gate %[1]d, sensors: [gate-%[1]d-in, gate-%[1]d-out]}", i+1))
	}
	const always = `["00:00-24:00"]`
	config := filepath.Join(s.dir, "server.yaml")
	if err := os.WriteFile(config, fmt.Appendf(nil, `data_dir: %[1]s
listen: {http: "127.0.0.1:0", metrics: ""}
broker: {embedded: {listen: "127.0.0.1:0"}}
sites:
  - id: %[2]s
    name: Yard
    bays: 40
    gateways: [%[3]s]
    gates: [%[4]s]
    hours: {weekly: {monday: %[5]s, tuesday: %[5]s, wednesday: %[5]s, thursday: %[5]s, friday: %[5]s, saturday: %[5]s, sunday: %[5]s}}
`, server, site, strings.Join(names, ", "), strings.Join(gates, ", "), always), 0o600); err != nil {
		return err
	}
	for i, events := range s.plan.gateways {
		g := &yardGateway{n: i + 1, events: events, dir: filepath.Join(s.dir, names[i])}
		secret, err := exec.CommandContext(s.ctx, filepath.Join(s.bin, "perrondrukte"),
			"gateway", "add", "--config", config, "--secret-only", site, names[i]).Output()
		if err != nil {
			return fmt.Errorf("gateway add: %w", err)
		}
		g.secret = strings.TrimSpace(string(secret))
		if err := os.MkdirAll(g.dir, 0o750); err != nil {
			return err
		}
		if s.plan.has(fullGateway, i) {
			g.mounted = mount(g.dir, gatewayDisk) == nil
		}
		if g.proxy, err = newProxy(s.ctx, s.plan.seed+uint64(i)); err != nil {
			return err
		}
		s.gateways = append(s.gateways, g)
		if g.process, err = newProcess(s.dir, names[i], filepath.Join(s.bin, "perron-gateway"),
			"run", "--once", "--config", filepath.Join(s.dir, names[i]+".yaml")); err != nil {
			return err
		}
		if s.plan.has(powerGateway, i) {
			g.process.disk = newDisk(g.dir, gateway.OutboxFile)
		}
		if err := s.record(g); err != nil {
			return err
		}
	}
	var err error
	if s.server, err = newProcess(s.dir, "server", filepath.Join(s.bin, "perrondrukte"), "serve", "--config", config); err != nil {
		return err
	}
	if s.plan.has(powerServer, -1) {
		s.server.disk = newDisk(server, serverStore)
	}
	listens := make(chan struct{})
	var once sync.Once
	s.server.heard = func(msg, addr string) {
		if msg == "broker listens" {
			for _, g := range s.gateways {
				g.proxy.setTarget(addr)
			}
			once.Do(func() { close(listens) })
		}
	}
	if err := s.server.start(); err != nil {
		return err
	}
	limit := time.NewTimer(2 * time.Minute)
	defer limit.Stop()
	select {
	case <-listens:
	case <-s.server.ended:
		return errors.New("the server ended before it listened")
	case <-limit.C:
		return errors.New("the server does not listen after two minutes")
	case <-s.ctx.Done():
		return s.ctx.Err()
	}
	for _, g := range s.gateways {
		if err := g.start(); err != nil {
			return err
		}
	}
	return nil
}

// record writes what is still to be played, and the gateway's configuration.
func (s *sequence) record(g *yardGateway) error {
	g.stage++
	name := fmt.Sprintf("gateway-%d", g.n)
	recording := filepath.Join(s.dir, fmt.Sprintf("%s-%d.csv", name, g.stage))
	if err := writeRecording(recording, g.events[g.played:]); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(s.dir, name+".yaml"), fmt.Appendf(nil, `site: %s
gateway: %s
data_dir: %s
broker: {url: "tcp://%s", password: %q}
source:
  driver: replay
  replay: {file: %s, speed: %g, shift: keep, time: {column: t, layout: "2006-01-02T15:04:05Z07:00", zone: UTC}, sensor: {column: sensor}, kind: {column: kind}}
`, site, name, g.dir, g.proxy.addr(), g.secret, recording, s.plan.speed), 0o600)
}

// quiet waits until all that was recorded is acknowledged.
func (s *sequence) quiet(limit time.Duration) error {
	for _, g := range s.gateways {
		g.proxy.catch(nil)
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
		full := u == s.server && s.disks
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
		g.proxy.close()
		if g.mounted {
			errs = append(errs, unmount(g.dir))
		}
	}
	if s.server != nil {
		s.server.end()
	}
	if s.disks {
		errs = append(errs, unmount(filepath.Join(s.dir, "server")))
	}
	return errors.Join(errs...)
}
