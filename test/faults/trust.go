package main

import (
	"fmt"
	"syscall"
	"time"
)

// replaceCredential gives a connected gateway a new password, after it was
// without any for a while if the old one is revoked. The gateway gets it as an
// electrician would do it: the file is replaced and the service started again.
func (s *sequence) replaceCredential(g *yardGateway, st step) bool {
	g.trust.Lock()
	defer g.trust.Unlock()
	name := fmt.Sprintf("gateway-%d", g.n)
	if st.fault == revoke {
		if _, err := s.command("gateway", "revoke", "--config", s.config, site, name); err != nil {
			return false // the disk of the server is full
		}
		s.pause(st.lasts)
	}
	for until := time.Now().Add(30 * time.Second); ; {
		err := s.issue(g)
		if err == nil {
			break
		}
		if time.Now().After(until) || !s.pause(100*time.Millisecond) {
			s.note(err)
			return false
		}
	}
	if st.fault == rotate {
		s.pause(st.lasts) // it goes on with the old one for as long as the connection holds
	}
	g.disk.Lock() // nobody writes another configuration meanwhile
	defer g.disk.Unlock()
	if err := s.configure(g); err != nil {
		s.note(err)
		return false
	}
	g.turn.Lock()
	defer g.turn.Unlock()
	g.restart(10 * time.Second)
	s.note(g.again())
	return true
}

// expire gives the broker a certificate that has run out, for a while. Both
// times it is started again to read it.
func (s *sequence) expire(st step) error {
	s.server.turn.Lock()
	defer s.server.turn.Unlock()
	defer func() {
		s.server.kill()
		s.note(s.server.again())
	}()
	if err := s.authority.issue(time.Now().Add(-time.Minute)); err != nil {
		return err
	}
	s.server.kill()
	if err := s.server.again(); err != nil {
		return err
	}
	s.pause(st.lasts)
	return s.authority.issue(time.Now().Add(24 * time.Hour))
}

// runTwin has a second gateway with the same name and credential at work for a
// while.
func (s *sequence) runTwin(g *yardGateway, st step) {
	g.trust.Lock()
	defer g.trust.Unlock()
	g.twin.allow(true) // keep starts it
	s.pause(st.lasts + time.Second)
	g.twin.allow(false)
	g.twin.kill()
}

// restart ends a process as systemd would, or kills it when that takes longer
// than limit.
func (p *process) restart(limit time.Duration) {
	p.mu.Lock()
	p.killed = true
	ended := p.ended
	p.mu.Unlock()
	p.signal(syscall.SIGTERM)
	select {
	case <-ended:
	case <-time.After(limit):
		p.kill()
	}
}
