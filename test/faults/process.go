package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// A process is a binary that is started again whenever it ends, as systemd
// would do.
type process struct {
	name string // for people
	bin  string
	args []string
	log  *os.File
	disk *disk // whose writes are followed; nil for none

	// turn is held by the fault that is done to the process. Without it the
	// process is started again when it has ended.
	turn sync.Mutex

	mu      sync.Mutex
	heard   func(msg, addr string)
	said    []logged // before heard was set
	cmd     *exec.Cmd
	ended   chan struct{} // closed when cmd has ended
	spoke   chan struct{} // closed when cmd has logged something
	killed  bool          // by us
	exits   []string      // how it ended by itself
	final   bool          // it has come to its end
	closing bool          // it is not to be started again
}

func newProcess(dir, name, bin string, args ...string) (*process, error) {
	f, err := os.OpenFile(filepath.Join(dir, name+".log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	ended := make(chan struct{})
	close(ended)
	return &process{name: name, bin: bin, args: args, log: f, ended: ended, killed: true}, nil
}

// Write takes in what the process logs.
func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	spoke, heard := p.spoke, p.heard
	p.spoke = nil
	for line := range bytes.Lines(b) { // a logger writes whole lines
		var l logged
		if heard == nil && len(p.said) < 100 && json.Unmarshal(line, &l) == nil {
			p.said = append(p.said, l)
		}
	}
	p.mu.Unlock()
	if spoke != nil {
		close(spoke)
	}
	for line := range bytes.Lines(b) {
		var l logged
		if heard != nil && json.Unmarshal(line, &l) == nil {
			heard(l.Msg, l.Address)
		}
	}
	return p.log.Write(b)
}

// logged is what is looked at of a line that is logged.
type logged struct{ Msg, Address string }

// hear has f called for each line that is logged, the first ones included. It
// must not block.
func (p *process) hear(f func(msg, addr string)) {
	p.mu.Lock()
	said := p.said
	p.heard, p.said = f, nil
	p.mu.Unlock()
	for _, l := range said {
		f(l.Msg, l.Address)
	}
}

// start runs the process. It has ended, or was never run.
func (p *process) start() error {
	cmd := exec.Command(p.bin, p.args...)
	dieWithUs(cmd)
	cmd.Stdout, cmd.Stderr = p, p
	begin := func() error { return nil }
	if p.disk != nil {
		var err error
		if begin, err = traced(cmd, p.disk.synced); err != nil {
			return fmt.Errorf("follow the writes of %s: %w", p.name, err)
		}
	}
	ended, spoke := make(chan struct{}), make(chan struct{})
	p.mu.Lock()
	if err := cmd.Start(); err != nil {
		p.mu.Unlock()
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	p.cmd, p.ended, p.spoke, p.killed = cmd, ended, spoke, false
	p.mu.Unlock()
	go func() {
		err := cmd.Wait()
		p.mu.Lock()
		switch {
		case p.killed:
		case err == nil:
			p.final = true
		default:
			p.exits = append(p.exits, err.Error())
		}
		p.mu.Unlock()
		close(ended)
	}()
	if err := begin(); err != nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		if !p.killed { // before it could say anything
			return fmt.Errorf("follow the writes of %s: %w", p.name, err)
		}
	}
	return nil
}

// kill ends it at once, and waits until it is gone.
func (p *process) kill() {
	p.mu.Lock()
	cmd, ended := p.cmd, p.ended
	p.killed = true
	p.mu.Unlock()
	if cmd != nil {
		_ = cmd.Process.Kill() // it may have ended already
	}
	<-ended
}

func (p *process) signal(s syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd != nil {
		_ = p.cmd.Process.Signal(s) // it may have ended already
	}
}

// again starts it anew when it has ended and is not to stay away.
func (p *process) again() error {
	p.mu.Lock()
	gone := false
	select {
	case <-p.ended:
		gone = !p.final && !p.closing
	default:
	}
	p.mu.Unlock()
	if !gone {
		return nil
	}
	return p.start()
}

// allow says whether it may be started again when it has ended.
func (p *process) allow(yes bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closing = !yes
}

// done says whether it has come to its end by itself, with success.
func (p *process) done() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.final
}

// revive makes a process that had come to its end run again.
func (p *process) revive() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.final = false
}

// stop asks it to end, and returns an error when it does not do so orderly.
func (p *process) stop(limit time.Duration) error {
	p.turn.Lock()
	defer p.turn.Unlock()
	p.mu.Lock()
	p.closing = true
	ended, spoke, exits := p.ended, p.spoke, len(p.exits)
	p.mu.Unlock()
	late := time.After(limit)
	// Before its first line a process may not listen to signals yet, and the
	// default is to die.
	if spoke != nil {
		select {
		case <-spoke:
		case <-ended:
		case <-late:
		}
	}
	p.signal(syscall.SIGTERM)
	select {
	case <-ended:
	case <-late:
		p.kill()
		return fmt.Errorf("%s did not end within %s of SIGTERM", p.name, limit)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.exits) > exits {
		return fmt.Errorf("%s ended after SIGTERM with %s", p.name, p.exits[exits])
	}
	return nil
}

// end kills it for good.
func (p *process) end() {
	p.turn.Lock()
	defer p.turn.Unlock()
	p.mu.Lock()
	p.closing = true
	p.mu.Unlock()
	p.kill()
	_ = p.log.Close() // only a log
}
