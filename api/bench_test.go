package api

import (
	"bufio"
	"fmt"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// BenchmarkViewers tells one change to 2,000 viewers an iteration and reports
// the time until the last has it, the bytes each gets and the memory each
// takes. The clients share the process, so the time is theirs too.
func BenchmarkViewers(b *testing.B) {
	const viewers = 2000
	r := newRig(b, nil)
	state := busy(noon)
	r.link.busyness(b, state)
	before := heap()
	var got atomic.Int64  // bytes
	var seen atomic.Int64 // messages
	done := make(chan struct{}, 1)
	var want atomic.Int64
	var wg sync.WaitGroup
	conns := make([]net.Conn, 0, viewers)
	for range viewers {
		c, err := net.Dial("tcp", r.server.Addr())
		if err != nil {
			b.Fatal(err)
		}
		conns = append(conns, c)
		if _, err := fmt.Fprintf(c, "GET /api/v1/live?site=poort HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"); err != nil {
			b.Fatal(err)
		}
	}
	for _, c := range conns {
		br := bufio.NewReaderSize(c, 1024)
		for line := ""; line != "\r\n"; {
			var err error
			if line, err = br.ReadString('\n'); err != nil {
				b.Fatal(err)
			}
		}
		wg.Go(func() {
			buf := make([]byte, 1024)
			for {
				n, err := readFrame(br, buf)
				if err != nil {
					return
				}
				got.Add(int64(n))
				if seen.Add(1) == want.Load() {
					done <- struct{}{}
				}
			}
		})
	}
	eventually(b, "all have their snapshot", func() bool { return seen.Load() >= viewers && r.server.Viewers() == viewers })
	time.Sleep(100 * time.Millisecond) // the first state, if it came after
	each := float64(heap()-before) / viewers / 1024
	start := got.Load()
	var last time.Duration
	for b.Loop() {
		time.Sleep(2 * r.server.lounge.limits.Gap)
		want.Store(seen.Load() + viewers)
		state.OnSite.Mid++
		sent := time.Now()
		r.link.busyness(b, state)
		<-done
		last += time.Since(sent)
	}
	b.ReportMetric(each, "KiB/viewer+client")
	b.ReportMetric(float64(got.Load()-start)/viewers/float64(b.N), "B/viewer/change")
	b.ReportMetric(float64(last.Microseconds())/1000/float64(b.N), "ms/last")
	for _, c := range conns {
		c.Close()
	}
	wg.Wait()
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}

// readFrame reads one unmasked frame and returns its size on the wire.
func readFrame(r *bufio.Reader, buf []byte) (int, error) {
	head := buf[:2]
	if _, err := readFull(r, head); err != nil {
		return 0, err
	}
	size, n := 2, int(head[1]&0x7f)
	if n == 126 {
		if _, err := readFull(r, buf[:2]); err != nil {
			return 0, err
		}
		size, n = 4, int(buf[0])<<8|int(buf[1])
	}
	_, err := r.Discard(n)
	return size + n, err
}

func readFull(r *bufio.Reader, b []byte) (int, error) {
	for i := range b {
		c, err := r.ReadByte()
		if err != nil {
			return i, err
		}
		b[i] = c
	}
	return len(b), nil
}
