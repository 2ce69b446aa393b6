package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/perrondrukte/perrondrukte/gateway"
)

// serverStore is the name of the store in the server's data folder.
const serverStore = "perrondrukte.db"

// startLimit is how long a process may take to start.
const startLimit = 2 * time.Minute

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
	if s.plan.shape == secure {
		var err error
		if s.authority, err = newAuthority(s.dir); err != nil {
			return err
		}
		if err := s.authority.issue(time.Now().Add(24 * time.Hour)); err != nil {
			return err
		}
	}
	for i, events := range s.plan.gateways {
		g := &yardGateway{n: i + 1, events: events, dir: filepath.Join(s.dir, fmt.Sprintf("gateway-%d", i+1))}
		s.gateways = append(s.gateways, g)
		var err error
		if g.proxy, err = newProxy(s.ctx, s.plan.seed+uint64(i), s.plan.shape == secure); err != nil {
			return err
		}
	}
	if err := s.prepareServer(server); err != nil {
		return err
	}
	for i, g := range s.gateways {
		if err := s.prepareGateway(i, g); err != nil {
			return err
		}
	}
	if s.broker != nil {
		if err := s.broker.start(); err != nil {
			return err
		}
		if err := s.listening(s.broker); err != nil {
			return err
		}
	}
	if err := s.server.start(); err != nil {
		return err
	}
	if s.broker == nil {
		if err := s.listening(s.server); err != nil {
			return err
		}
	}
	for _, g := range s.gateways {
		if err := g.start(); err != nil {
			return err
		}
	}
	for i, g := range s.gateways {
		if !s.plan.has(deleteOutbox, i) && !s.plan.has(damageOutbox, i) {
			continue
		}
		// There has to be one.
		for end := time.Now().Add(startLimit); ; {
			if _, err := os.Stat(filepath.Join(g.dir, gateway.OutboxFile)); err == nil {
				break
			}
			if time.Now().After(end) || !s.pause(10*time.Millisecond) {
				return fmt.Errorf("%s makes no outbox", g.name)
			}
		}
	}
	return nil
}

// prepareServer writes the configurations of the shape's processes. Whoever is
// the broker tells its address to the proxies whenever it listens.
func (s *sequence) prepareServer(data string) (err error) {
	s.config = filepath.Join(s.dir, "server.yaml")
	listen := `{embedded: {listen: "127.0.0.1:0"}}`
	switch s.plan.shape {
	case secure:
		listen = fmt.Sprintf(`{embedded: {listen: "127.0.0.1:0", tls: {cert_file: %q, key_file: %q}}}`, s.authority.certFile, s.authority.keyFile)
	case apart:
		if s.hub, err = newProxy(s.ctx, s.plan.seed+100, false); err != nil {
			return err
		}
		password := filepath.Join(s.dir, "service-password")
		if err := os.WriteFile(password, []byte("between the processes of one service\n"), 0o600); err != nil {
			return err
		}
		hub := filepath.Join(s.dir, "broker.yaml")
		if err := s.writeServer(hub, data, "[broker]", fmt.Sprintf(`{embedded: {listen: "127.0.0.1:0", service_password_file: %q}}`, password)); err != nil {
			return err
		}
		if s.broker, err = newProcess(s.dir, "broker", filepath.Join(s.bin, "perrondrukte"), "serve", "--config", hub, "--log-format", "json"); err != nil {
			return err
		}
		listen = fmt.Sprintf(`{url: "tcp://%s", username: service, password_file: %q}`, s.hub.addr(), password)
	case foreign:
		if s.hub, err = newProxy(s.ctx, s.plan.seed+100, false); err != nil {
			return err
		}
		if err := s.prepareMosquitto(); err != nil {
			return err
		}
		listen = fmt.Sprintf(`{url: "tcp://%s"}`, s.hub.addr())
	}
	roles := "[]"
	if s.broker != nil {
		roles = "[collector, api]"
	}
	if err := s.writeServer(s.config, data, roles, listen); err != nil {
		return err
	}
	if s.server, err = newProcess(s.dir, "server", filepath.Join(s.bin, "perrondrukte"), "serve", "--config", s.config, "--log-format", "json"); err != nil {
		return err
	}
	if s.power && s.plan.has(powerServer, -1) {
		s.server.disk = newDisk(data, serverStore)
	}
	return nil
}

func (s *sequence) writeServer(path, data, roles, broker string) error {
	var names, gates []string
	for i := range s.plan.gateways {
		names = append(names, fmt.Sprintf("gateway-%d", i+1))
		gates = append(gates, fmt.Sprintf("{id: gate-%[1]d, name: Gate %[1]d, sensors: [gate-%[1]d-in, gate-%[1]d-out]}", i+1))
	}
	const always = `["00:00-24:00"]`
	return os.WriteFile(path, fmt.Appendf(nil, `data_dir: %[1]s
roles: %[6]s
listen: {http: "127.0.0.1:0", metrics: ""}
broker: %[7]s
sites:
  - id: %[2]s
    name: Yard
    bays: 40
    gateways: [%[3]s]
    gates: [%[4]s]
    hours: {weekly: {monday: %[5]s, tuesday: %[5]s, wednesday: %[5]s, thursday: %[5]s, friday: %[5]s, saturday: %[5]s, sunday: %[5]s}}
`, data, site, strings.Join(names, ", "), strings.Join(gates, ", "), always, roles, broker), 0o600)
}

// prepareMosquitto chooses a port on which the broker is found again after it
// was killed: outside of the range from which the kernel gives out ports.
func (s *sequence) prepareMosquitto() (err error) {
	r := rand.New(rand.NewPCG(s.plan.seed, uint64(os.Getpid())))
	var addr string
	for range 100 {
		addr = fmt.Sprintf("127.0.0.1:%d", 10000+r.IntN(20000))
		l, listenErr := net.Listen("tcp", addr)
		if err = listenErr; err == nil {
			err = l.Close()
			break
		}
	}
	if err != nil {
		return fmt.Errorf("find a port for Mosquitto: %w", err)
	}
	_, port, _ := net.SplitHostPort(addr)
	conf := filepath.Join(s.dir, "mosquitto.conf")
	if err := os.WriteFile(conf, []byte("listener "+port+" 127.0.0.1\nallow_anonymous true\npersistence false\n"), 0o600); err != nil {
		return err
	}
	s.pointAt(addr)
	s.broker, err = newProcess(s.dir, "broker", s.mosquitto, "-c", conf)
	return err
}

func (s *sequence) pointAt(broker string) {
	for _, g := range s.gateways {
		g.proxy.setTarget(broker)
	}
	if s.hub != nil {
		s.hub.setTarget(broker)
	}
}

// listening waits until the process that is the broker, which was just started,
// takes connections; and has its address told to the proxies from then on.
func (s *sequence) listening(u *process) error {
	listens := make(chan struct{})
	var once sync.Once
	if s.plan.shape == foreign {
		go func() {
			for s.pause(20 * time.Millisecond) {
				s.hub.mu.Lock()
				addr := s.hub.target
				s.hub.mu.Unlock()
				if c, err := net.Dial("tcp", addr); err == nil {
					_ = c.Close()
					close(listens)
					return
				}
			}
		}()
	} else {
		u.hear(func(msg, addr string) {
			if msg == "broker listens" {
				s.pointAt(addr)
				once.Do(func() { close(listens) })
			}
		})
	}
	limit := time.NewTimer(startLimit)
	defer limit.Stop()
	select {
	case <-listens:
		return nil
	case <-u.ended:
		return fmt.Errorf("%s ended before it listened", u.name)
	case <-limit.C:
		return fmt.Errorf("%s does not listen after %s", u.name, startLimit)
	case <-s.ctx.Done():
		return s.ctx.Err()
	}
}

// prepareGateway issues the credential and writes the configuration.
func (s *sequence) prepareGateway(i int, g *yardGateway) (err error) {
	name := fmt.Sprintf("gateway-%d", g.n)
	if err := s.issue(g); err != nil {
		return err
	}
	if err := os.MkdirAll(g.dir, 0o750); err != nil {
		return err
	}
	if s.plan.has(fullGateway, i) {
		g.mounted = mount(g.dir, gatewayDisk) == nil
	}
	binary := filepath.Join(s.bin, "perron-gateway")
	args := []string{"run", "--once", "--config", filepath.Join(s.dir, name+".yaml"), "--log-format", "json"}
	if s.plan.clocks(i) {
		if g.clock, err = newWrongClock(s.dir, name); err != nil {
			return err
		}
		if s.plan.has(clock1970, i) && (s.plan.seed+uint64(i))%2 == 0 {
			// It has never known the time, until it is started anew.
			if _, err := g.clock.start(-time.Since(time.Unix(0, 0)).Truncate(time.Second)); err != nil {
				return err
			}
		}
		args = append(args, "--test-clock", g.clock.path)
	}
	if g.process, err = newProcess(s.dir, name, binary, args...); err != nil {
		return err
	}
	if s.power && s.plan.has(powerGateway, i) {
		g.process.disk = newDisk(g.dir, gateway.OutboxFile)
	}
	if s.plan.has(twins, i) && g.clock == nil {
		g.twinEvents = s.plan.twins[i]
		if g.twin, err = newProcess(s.dir, name+"-twin", binary, "run", "--once", "--config", filepath.Join(s.dir, name+"-twin.yaml"), "--log-format", "json"); err != nil {
			return err
		}
		g.twin.allow(false)
	}
	return s.record(g)
}

// issue gives a gateway a credential, in place of the one it has. It fails when
// the server's disk is full.
func (s *sequence) issue(g *yardGateway) error {
	if s.plan.shape == foreign {
		g.secret = "not asked for"
		return nil
	}
	secret, err := s.command("gateway", "add", "--config", s.config, "--secret-only", site, fmt.Sprintf("gateway-%d", g.n))
	g.secret = strings.TrimSpace(secret)
	return err
}

// command runs the server's binary as an administrator would.
func (s *sequence) command(args ...string) (string, error) {
	out, err := exec.CommandContext(s.ctx, filepath.Join(s.bin, "perrondrukte"), args...).Output()
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		err = fmt.Errorf("%w: %s", err, strings.TrimSpace(string(exit.Stderr)))
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w", strings.Join(args[:2], " "), err)
	}
	return string(out), nil
}

// record writes what is still to be played, and the configuration, with the
// present password. The twin's are written anew as well.
func (s *sequence) record(g *yardGateway) error {
	g.stage++
	name := fmt.Sprintf("gateway-%d", g.n)
	g.recording = filepath.Join(s.dir, fmt.Sprintf("%s-%d.csv", name, g.stage))
	if err := writeRecording(g.recording, g.events[g.played:]); err != nil {
		return err
	}
	if g.twin != nil {
		if err := writeRecording(filepath.Join(s.dir, name+"-twin.csv"), g.twinEvents); err != nil {
			return err
		}
	}
	return s.configure(g)
}

// configure writes the configuration.
func (s *sequence) configure(g *yardGateway) error {
	name := fmt.Sprintf("gateway-%d", g.n)
	url, ca := "tcp://"+g.proxy.addr(), ""
	if s.plan.shape == secure {
		url, ca = "ssl://"+g.proxy.addr(), fmt.Sprintf(", ca_file: %q", s.authority.caFile)
	}
	write := func(config, data, recording string) error {
		return os.WriteFile(filepath.Join(s.dir, config), fmt.Appendf(nil, `site: %s
gateway: %s
data_dir: %s
broker: {url: %q, password: %q%s}
clock: {wait: %s}
source:
  driver: replay
  replay: {file: %s, speed: %g, shift: keep, time: {column: t, layout: "2006-01-02T15:04:05Z07:00", zone: UTC}, sensor: {column: sensor}, kind: {column: kind}}
`, site, name, data, url, g.secret, ca, s.plan.clockWait, recording, s.plan.speed), 0o600)
	}
	if g.twin != nil {
		if err := write(name+"-twin.yaml", g.dir+"-twin", filepath.Join(s.dir, name+"-twin.csv")); err != nil {
			return err
		}
	}
	return write(name+".yaml", g.dir, g.recording)
}
