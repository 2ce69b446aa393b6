package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

// A direction of the proxy.
type direction int

const (
	up   direction = iota // from the gateway to the broker
	down                  // from the broker to the gateway
)

// MQTT packet types, section 2.2.1 of the standard (3.1.1).
const (
	packetPublish = 3
	packetPuback  = 4
)

// A frame is one MQTT packet.
type frame []byte

func (f frame) kind() byte { return f[0] >> 4 }

// publishes says whether the frame is a PUBLISH to a topic that ends so.
func (f frame) publishes(leaf string) bool {
	topic, _, ok := f.topic()
	return ok && bytes.HasSuffix(topic, []byte("/"+leaf))
}

// topic of a PUBLISH, and what follows it.
func (f frame) topic() (topic, rest []byte, ok bool) {
	if f.kind() != packetPublish {
		return nil, nil, false
	}
	head := 2
	for head < 5 && f[head-1]&0x80 != 0 {
		head++
	}
	b := f[head:]
	if len(b) < 2 {
		return nil, nil, false
	}
	n := int(b[0])<<8 | int(b[1])
	if len(b) < 2+n+2 {
		return nil, nil, false
	}
	return b[2 : 2+n], b[2+n:], true
}

// puback confirms a PUBLISH with QoS 1.
func (f frame) puback() frame {
	_, rest, ok := f.topic()
	if !ok {
		return nil
	}
	return frame{packetPuback << 4, 2, rest[0], rest[1]}
}

// readFrame reads a packet: a byte, its length in up to four bytes of seven
// bits each, and that many bytes.
func readFrame(r *bufio.Reader) (frame, error) {
	first, err := r.ReadByte()
	if err != nil {
		return nil, err
	}
	f := frame{first}
	n := 0
	for shift := 0; ; shift += 7 {
		b, err := r.ReadByte()
		if err != nil {
			return nil, err
		}
		f = append(f, b)
		n |= int(b&0x7f) << shift
		if b&0x80 == 0 || shift == 21 {
			break
		}
	}
	head := len(f)
	f = append(f, make([]byte, n)...)
	_, err = io.ReadFull(r, f[head:])
	return f, err
}

// weather is what the link does to what passes it.
type weather struct {
	cut       [2]int // counters: faults may overlap
	latency   int
	slow      int
	duplicate int
	swallow   int
	reorder   int
}

// A proxy is the link of one gateway. Its address stays while servers come and
// go behind it.
type proxy struct {
	listener net.Listener
	ctx      context.Context
	raw      bool // what passes is encrypted: pieces of it are taken for packets
	wg       sync.WaitGroup

	mu       sync.Mutex
	target   string
	now      weather
	changed  chan struct{} // closed and replaced when the weather changes
	links    map[*link]bool
	trap     *trap
	captured []frame // batches, to be repeated
	random   *rand.Rand
}

// A link is one connection through the proxy.
type link struct {
	p        *proxy
	ends     [2]net.Conn // by the direction of which it is the reader's: broker for up, gateway for down
	write    [2]sync.Mutex
	halfOpen bool // nothing passes any more and nobody is told
	done     chan struct{}
	once     sync.Once
	held     frame // a batch that is to come later, guarded by p.mu
}

func newProxy(ctx context.Context, seed uint64, raw bool) (*proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &proxy{
		listener: l, ctx: ctx, raw: raw, changed: make(chan struct{}), links: make(map[*link]bool),
		random: rand.New(rand.NewPCG(seed, 1)),
	}
	p.wg.Go(p.accept)
	return p, nil
}

func (p *proxy) addr() string { return p.listener.Addr().String() }

func (p *proxy) close() {
	_ = p.listener.Close()
	p.reset()
	p.wg.Wait()
}

func (p *proxy) setTarget(addr string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.target = addr
}

func (p *proxy) accept() {
	for {
		c, err := p.listener.Accept()
		if err != nil {
			return // closed
		}
		p.wg.Go(func() { p.connect(c) })
	}
}

func (p *proxy) connect(gateway net.Conn) {
	p.mu.Lock()
	target := p.target
	p.mu.Unlock()
	broker, err := net.DialTimeout("tcp", target, 5*time.Second)
	if err != nil {
		_ = gateway.Close()
		return
	}
	l := &link{p: p, ends: [2]net.Conn{up: broker, down: gateway}, done: make(chan struct{})}
	p.mu.Lock()
	p.links[l] = true
	p.mu.Unlock()
	if p.ctx.Err() != nil {
		l.close(true)
	}
	p.wg.Go(func() { l.pump(up) })
	l.pump(down)
	<-l.done
	p.mu.Lock()
	delete(p.links, l)
	p.mu.Unlock()
}

// set changes the weather.
func (p *proxy) set(change func(*weather)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(&p.now)
	close(p.changed)
	p.changed = make(chan struct{})
}

// A trap is sprung by the first frame that it is for.
type trap struct {
	match func(direction, frame) bool
	fire  func()
	drop  bool // the frame does not arrive; else fire is called once it has
}

// catch sets a trap, or removes it.
func (p *proxy) catch(t *trap) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.trap = t
}

// reset breaks all connections, so that both ends are told.
func (p *proxy) reset() {
	p.mu.Lock()
	var links []*link
	for l := range p.links {
		links = append(links, l)
	}
	p.mu.Unlock()
	for _, l := range links {
		l.close(true)
	}
}

// hang makes all connections half-open.
func (p *proxy) hang() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		l.halfOpen = true
	}
}

func (l *link) close(hard bool) {
	l.once.Do(func() {
		for _, c := range l.ends {
			if t, ok := c.(*net.TCPConn); ok && hard {
				_ = t.SetLinger(0) // a reset instead of an orderly end
			}
			_ = c.Close()
		}
		close(l.done)
	})
}

func (p *proxy) read(r *bufio.Reader) (frame, error) {
	if !p.raw {
		return readFrame(r)
	}
	b := make([]byte, 16<<10)
	n, err := r.Read(b)
	return b[:n], err
}

// pump moves frames in one direction until the connection ends.
func (l *link) pump(d direction) {
	r := bufio.NewReaderSize(l.ends[1-d], 64<<10)
	for {
		f, err := l.p.read(r)
		w, ok := l.wait(d)
		if !ok {
			return // half-open: the other end is not told
		}
		if err != nil {
			l.close(false)
			return
		}
		if !l.pass(d, f, w) {
			l.close(true)
			return
		}
	}
}

// wait is until the direction is open; ok is false when the link never will be.
func (l *link) wait(d direction) (weather, bool) {
	for {
		l.p.mu.Lock()
		w, changed, dead := l.p.now, l.p.changed, l.halfOpen
		l.p.mu.Unlock()
		if dead {
			<-l.done
			return w, false
		}
		if w.cut[d] == 0 {
			return w, true
		}
		select {
		case <-changed:
		case <-l.done:
			return w, false
		}
	}
}

// pass does to a frame what the weather says. It is false when the link broke.
func (l *link) pass(d direction, f frame, w weather) bool {
	p := l.p
	if p.raw {
		return l.send(d, f, w)
	}
	p.mu.Lock()
	sprung := p.trap
	if sprung != nil && sprung.match(d, f) {
		p.trap = nil
	} else {
		sprung = nil
	}
	var again []frame
	if d == up && f.publishes("events") {
		if p.captured = append(p.captured, f); len(p.captured) > 20 {
			p.captured = p.captured[1:]
		}
		if w.duplicate > 0 {
			again = append(again, f, p.captured[p.random.IntN(len(p.captured))])
		}
	}
	if w.reorder > 0 && len(again) == 0 && l.held == nil && d == up && f.publishes("events") && p.random.IntN(2) == 0 {
		l.held = f
		p.mu.Unlock()
		// It is overtaken by the next one, if that comes soon.
		time.AfterFunc(50*time.Millisecond, func() {
			if !l.release(w) {
				l.close(true)
			}
		})
		return true
	}
	lose := w.swallow > 0 && p.random.IntN(2) == 0
	p.mu.Unlock()
	if sprung != nil {
		if sprung.drop {
			sprung.fire()
			return true
		}
		ok := l.send(d, f, w)
		sprung.fire()
		return ok
	}
	if lose {
		switch {
		case d == up && f.publishes("events"):
			return l.send(down, f.puback(), w)
		case d == down && f.publishes("ack"):
			return l.send(up, f.puback(), w)
		}
	}
	if !l.send(d, f, w) {
		return false
	}
	for _, f := range again {
		if !l.send(d, f, w) {
			return false
		}
	}
	return d != up || l.release(w)
}

// release sends the batch that was held back, if any.
func (l *link) release(w weather) bool {
	l.p.mu.Lock()
	f := l.held
	l.held = nil
	l.p.mu.Unlock()
	return f == nil || l.send(up, f, w)
}

// send writes a frame to the reader of a direction. Nothing comes between its
// bytes, though the link may break there.
func (l *link) send(d direction, f frame, w weather) bool {
	if w.latency > 0 && !l.sleep(150*time.Millisecond) {
		return false
	}
	l.write[d].Lock()
	defer l.write[d].Unlock()
	for len(f) > 0 {
		n := len(f)
		if l.slow() { // 960 bytes a second, ten bits each
			n = min(n, 96)
			if !l.sleep(100 * time.Millisecond) {
				return false
			}
		}
		if _, err := l.ends[d].Write(f[:n]); err != nil {
			return false
		}
		f = f[n:]
	}
	return true
}

func (l *link) slow() bool {
	l.p.mu.Lock()
	defer l.p.mu.Unlock()
	return l.p.now.slow > 0
}

func (l *link) sleep(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-l.done:
		return false
	}
}
