package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/perrondrukte/perrondrukte/gateway"
	"github.com/perrondrukte/perrondrukte/gateway/outbox"
)

// do carries out a step and undoes what has an end.
func (s *sequence) do(st step) {
	g := s.gateways[st.gateway]
	done := true
	switch st.fault {
	case killGateway:
		s.killAndStart(g.process, st)
	case killServer, killCollector:
		s.killAndStart(s.server, st)
	case killAtPublish:
		// Some time between the arrival and the ack.
		delay := time.Duration(st.random % uint64(8*time.Millisecond))
		done = s.trap(g, st, s.server, false, delay, func(d direction, f frame) bool { return d == up && f.publishes("events") })
	case killAtPuback:
		done = s.trap(g, st, g.process, true, 0, func(d direction, f frame) bool { return d == down && f.kind() == packetPuback })
	case killAtAck:
		done = s.trap(g, st, s.server, true, 0, func(d direction, f frame) bool { return d == down && f.publishes("ack") })
	case killAtStored:
		delay := time.Duration(st.random % uint64(8*time.Millisecond))
		done = s.trap(g, st, g.process, false, delay, func(d direction, f frame) bool { return d == down && f.publishes("ack") })
	case powerGateway:
		done = s.powerCut(g.process, st)
	case powerServer:
		done = s.powerCut(s.server, st)
	case stopGateway:
		s.stopAndContinue(g.process, st)
	case killBroker:
		s.killAndStart(s.broker, st)
	case stopBroker:
		s.stopAndContinue(s.broker, st)
	case stopLong:
		all := s.processes()
		s.stopAndContinue(all[st.random%uint64(len(all))], st)
	case cutCollector:
		s.spell(s.hub, st, func(w *weather, n int) { w.cut[up] += n; w.cut[down] += n })
	case resetBroker:
		s.hub.reset()
	case stopServer:
		s.stopAndContinue(s.server, st)
	case cutBoth:
		s.spell(g.proxy, st, func(w *weather, n int) { w.cut[up] += n; w.cut[down] += n })
	case cutUp:
		s.spell(g.proxy, st, func(w *weather, n int) { w.cut[up] += n })
	case cutDown:
		s.spell(g.proxy, st, func(w *weather, n int) { w.cut[down] += n })
	case latency:
		s.spell(g.proxy, st, func(w *weather, n int) { w.latency += n })
	case slow:
		s.spell(g.proxy, st, func(w *weather, n int) { w.slow += n })
	case duplicate:
		s.spell(g.proxy, st, func(w *weather, n int) { w.duplicate += n })
	case swallow:
		s.spell(g.proxy, st, func(w *weather, n int) { w.swallow += n })
	case reorder:
		s.spell(g.proxy, st, func(w *weather, n int) { w.reorder += n })
	case revoke, rotate:
		done = s.replaceCredential(g, st)
	case certificate:
		s.note(s.expire(st))
	case twins:
		if done = g.twin != nil; done {
			s.runTwin(g, st)
		}
	case clock1970, clockJump, clockSlew, leapSecond:
		s.note(s.misset(g, st))
	case halfOpen:
		g.proxy.hang()
	case reset:
		g.proxy.reset()
	case fullGateway:
		if done = g.mounted; done {
			g.disk.Lock()
			s.fill(g.dir, st)
			g.disk.Unlock()
		}
	case fullServer:
		if done = s.disks; done {
			s.fill(filepath.Join(s.dir, "server"), st)
		}
	case deleteOutbox, damageOutbox:
		// With a clock that is wrong, what may be gone could not be told from what
		// has another time.
		if done = g.clock == nil; done {
			var err error
			done, err = s.takeOutbox(g, st)
			s.note(err)
		}
	}
	if done && s.ctx.Err() == nil {
		s.mu.Lock()
		s.done[st.fault]++
		s.mu.Unlock()
	}
}

func (s *sequence) killAndStart(p *process, st step) {
	p.turn.Lock()
	defer p.turn.Unlock()
	p.kill()
	if s.pause(st.lasts / 4) {
		s.note(p.again())
	}
}

func (s *sequence) stopAndContinue(p *process, st step) {
	p.turn.Lock()
	defer p.turn.Unlock()
	p.signal(syscall.SIGSTOP)
	s.pause(st.lasts)
	p.signal(syscall.SIGCONT)
}

// powerCut takes the power from a process, at any moment or within a sync of
// its file, and starts it again on what a disk may hold.
func (s *sequence) powerCut(p *process, st step) bool {
	p.turn.Lock()
	defer p.turn.Unlock()
	if p.disk == nil {
		return false
	}
	r := rand.New(rand.NewPCG(st.random, 0))
	if r.IntN(4) > 0 {
		gone := make(chan struct{})
		p.disk.catch(1+r.IntN(6), func() {
			p.kill()
			close(gone)
		})
		select {
		case <-gone:
		case <-time.After(st.lasts): // it has nothing to write
		case <-s.ctx.Done():
		}
		p.disk.catch(0, nil)
	}
	p.kill()
	risk, gone, err := p.disk.fail(r)
	s.note(err)
	s.mu.Lock()
	s.risked += risk
	s.gone += gone
	s.mu.Unlock()
	if s.pause(st.lasts / 8) {
		s.note(p.again())
	}
	return true
}

// trap kills a process at the next frame that matches, and starts it again.
func (s *sequence) trap(g *yardGateway, st step, p *process, drop bool, delay time.Duration, match func(direction, frame) bool) bool {
	fired := make(chan struct{})
	t := &trap{match: match, drop: drop, fire: func() {
		if s.pause(delay) {
			p.kill()
		}
		close(fired)
	}}
	g.proxy.catch(t)
	select {
	case <-fired: // keep starts it again
		return true
	case <-time.After(3*time.Second + st.lasts):
	case <-s.ctx.Done():
	}
	g.proxy.catch(nil)
	return false
}

// spell changes the weather of a link for some time.
func (s *sequence) spell(p *proxy, st step, change func(w *weather, n int)) {
	p.set(func(w *weather) { change(w, 1) })
	s.pause(st.lasts)
	p.set(func(w *weather) { change(w, -1) })
}

// fill leaves no room on the disk of a folder for some time.
func (s *sequence) fill(dir string, st step) {
	path := filepath.Join(dir, fmt.Sprintf("filler-%d", st.random))
	f, err := os.Create(path)
	if err != nil {
		return // there is no room already
	}
	defer os.Remove(path)
	defer f.Close()
	block := make([]byte, 64<<10)
	for until := time.Now().Add(st.lasts); s.ctx.Err() == nil && time.Now().Before(until); {
		// What others give back is taken, too.
		if _, err := f.Write(block); err != nil {
			if len(block) > 512 {
				block = block[:len(block)/2]
			}
			s.pause(5 * time.Millisecond)
		}
	}
}

// takeOutbox kills a gateway and deletes or damages its outbox. What a source
// at a gate has seen before does not come again, and so the recording goes on
// behind what the outbox was given.
func (s *sequence) takeOutbox(g *yardGateway, st step) (bool, error) {
	g.disk.Lock()
	defer g.disk.Unlock()
	g.turn.Lock()
	defer g.turn.Unlock()
	g.kill()
	before, err := s.look(g)
	if err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return false, nil // it was not made yet
		}
		return false, err
	}
	path := filepath.Join(g.dir, gateway.OutboxFile)
	taken := true
	if st.fault == deleteOutbox {
		for _, suffix := range []string{"", "-wal", "-shm"} {
			if err := os.Remove(path + suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
				return false, err
			}
		}
	} else {
		if err := damage(path, rand.New(rand.NewPCG(st.random, 0))); err != nil {
			return false, err
		}
		box, err := outbox.Open(s.ctx, path, outbox.Options{})
		if err != nil {
			return false, fmt.Errorf("a damaged outbox does not open: %w", err)
		}
		after := box.State()
		if err := box.Close(); err != nil {
			return false, err
		}
		if taken = after.Epoch != before.Epoch; !taken && (after.Next != before.Next || after.Acked != before.Acked) {
			return false, fmt.Errorf("the damage made an older outbox of it: %+v was %+v", after, before)
		}
	}
	if taken {
		g.doubtful = append(g.doubtful, g.events[g.played+int(before.Acked):g.played+int(before.Next-1)]...)
		g.taken = append(g.taken, before)
		g.played += int(before.Next - 1)
		if err := s.record(g); err != nil {
			return false, err
		}
		g.revive()
	}
	if err := g.process.disk.settle(); err != nil {
		return false, err
	}
	return true, g.again()
}

// look opens a copy of an outbox and returns its state.
func (s *sequence) look(g *yardGateway) (outbox.State, error) {
	dir, err := os.MkdirTemp(s.dir, "copy-")
	if err != nil {
		return outbox.State{}, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, gateway.OutboxFile)
	for _, suffix := range []string{"", "-wal"} {
		if err := copyFile(path+suffix, filepath.Join(g.dir, gateway.OutboxFile+suffix)); err != nil && (suffix == "" || !errors.Is(err, os.ErrNotExist)) {
			return outbox.State{}, err
		}
	}
	box, err := outbox.Open(context.WithoutCancel(s.ctx), path, outbox.Options{})
	if err != nil {
		return outbox.State{}, err
	}
	st := box.State()
	if st.Damaged > 0 {
		err = fmt.Errorf("%s: the outbox is damaged though nobody did it any harm", g.name)
	}
	return st, errors.Join(err, box.Close())
}

func copyFile(to, from string) error {
	r, err := os.Open(from)
	if err != nil {
		return err
	}
	defer r.Close()
	w, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, r)
	return errors.Join(err, w.Close())
}

// damage writes nonsense into a file as a dying card would: a page, the
// beginning, or it cuts the file short. The log beside it stays, and may well
// make it good.
func damage(path string, r *rand.Rand) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil || fi.Size() == 0 {
		return err
	}
	const page = 4096
	nonsense := []byte(strings.Repeat("\xa5\x00\xff", page)[:page])
	switch r.IntN(3) {
	case 0:
		_, err = f.WriteAt(nonsense, 0)
		// Without the log nothing makes it good.
		if e := os.Remove(path + "-wal"); e != nil && !errors.Is(e, os.ErrNotExist) {
			return e
		}
	case 1:
		_, err = f.WriteAt(nonsense, page*r.Int64N(fi.Size()/page+1))
	case 2:
		err = f.Truncate(r.Int64N(fi.Size()))
	}
	return err
}
