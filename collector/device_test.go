package collector

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perrondrukte/perrondrukte/broker"
	"github.com/perrondrukte/perrondrukte/collector/intake"
	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/store"
)

// fakeNetwork is the broker of a LoRaWAN network.
type fakeNetwork struct {
	filter string
	handle func(broker.Message, func())
	done   atomic.Int32
	again  atomic.Int32
}

func (n *fakeNetwork) Consume(filter string, handle func(broker.Message, func())) {
	n.filter, n.handle = filter, handle
}

func (n *fakeNetwork) Renew() { n.again.Add(1) }

func (n *fakeNetwork) send(payload []byte) {
	n.handle(broker.Message{Topic: "application/a/device/d/event/up", Payload: payload}, func() { n.done.Add(1) })
}

// devices lets pi-1 be an ESP that tells its counters, and pi-2 a counter over
// LoRaWAN.
func devices(t *testing.T, n *fakeNetwork, delta bool) func(*Config) {
	return func(c *Config) {
		path, err := broker.ParsePath("n")
		if err != nil {
			t.Fatal(err)
		}
		e := intake.Device{Site: "poort", Gateway: "pi-1", Every: 30 * time.Second, Counters: []intake.DeviceCounter{
			{Sensor: "main-in", Kind: perron.In},
			{Sensor: "main-out", Kind: perron.Out},
		}}
		l := intake.Device{
			Site: "poort", Gateway: "pi-2", Every: 10 * time.Minute, Network: "ns", ID: "a84041b2c3d4e5f6", Delta: delta, Bits: 16,
			Counters: []intake.DeviceCounter{{Sensor: "side-out", Kind: perron.Out, Path: path}},
		}
		c.Devices = []intake.Device{e, l}
		c.Networks = []intake.Network{{ID: "ns", Format: broker.ChirpStack, Filter: "application/+/device/+/event/up", Link: n}}
		c.Sites[0].StaleAfter = 25 * time.Minute
	}
}

// uplinkJSON is what ChirpStack would send.
func uplinkJSON(session string, frame uint32, at time.Time, object string) []byte {
	return fmt.Appendf(nil, `{"time":%q,"deviceInfo":{"devEui":"A84041B2C3D4E5F6"},"devAddr":%q,"fCnt":%d,"object":%s,"txInfo":{}}`,
		at.Format(time.RFC3339Nano), session, frame, object)
}

// count lets the ESP say how many came in since it started.
func (r *rig) count(n uint64) { r.counted(n, r.now(), false) }

func (r *rig) counted(n uint64, at time.Time, retained bool) {
	r.t.Helper()
	b, err := broker.EncodeCounters(broker.Counters{Boot: "a", Up: time.Hour, At: at, Counters: map[string]broker.Counter{
		"main-in": {N: n, Base: 1000, Ago: 0}, "main-out": {Ago: -1},
	}})
	if err != nil {
		r.t.Fatal(err)
	}
	r.link.handlers[broker.CountersFilter](broker.Message{Topic: broker.CountersTopic("poort", "pi-1"), Payload: b, Retained: retained})
	r.settle()
}

// gatewayStatus is what was published last of a gateway.
func (r *rig) gatewayStatus(gateway string) (s perron.GatewayStatus) {
	r.t.Helper()
	r.link.mu.Lock()
	defer r.link.mu.Unlock()
	for _, m := range r.link.sent {
		if m.Topic == broker.StatusTopic("poort", gateway) {
			var err error
			if s, err = broker.DecodeStatus(m.Payload); err != nil || !m.Retained {
				r.t.Fatalf("status %+v, %v", m, err)
			}
		}
	}
	return s
}

func TestDevicesLikeGateways(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := new(fakeNetwork)
		st := newFakeStore()
		r := start(t, st, at(saturday), devices(t, n, false))
		begin := r.now()
		r.count(7)
		n.send(uplinkJSON("s", 0, r.now(), `{"n":100}`))
		r.settle()
		for i := range 5 {
			time.Sleep(20 * time.Second)
			r.count(uint64(8 + i))
		}
		// The same again, and what is none of ours.
		r.counted(12, r.now(), true)
		n.send(uplinkJSON("s", 1, r.now(), `{"n":103}`))
		n.send(uplinkJSON("s", 1, r.now(), `{"n":103}`))
		n.send([]byte(strings.Replace(string(uplinkJSON("s", 1, r.now(), `{"n":103}`)), "A840", "A841", 1)))
		n.send([]byte("{}"))
		r.settle()
		if st.stored() != 8 || n.done.Load() != 5 {
			t.Errorf("%d passages, want 5 and 3; %d of 5 uplinks are done", st.stored(), n.done.Load())
		}
		b := r.shown()
		if b.Gates[0].InToday != 5 || b.Gates[1].OutToday != 3 || b.Level != perron.Quiet || doubts(b) != "[]" {
			t.Errorf("shown: %+v, doubts %s", b, doubts(b))
		}
		if s := r.gatewayStatus("pi-1"); !s.Online || s.At.Sub(begin) < 100*time.Second || s.Sensors[0].Events != 5 || !*s.ClockSynced {
			t.Errorf("status %+v", s)
		}

		// A counter that reports each ten minutes is not gone after two, the other
		// is. What changes nothing but how fresh the state is may wait for the tick.
		time.Sleep(tickEvery + time.Second)
		r.settle()
		measured := r.shown().MeasuredAt
		time.Sleep(150 * time.Second)
		r.settle()
		b = r.shown()
		if got := doubts(b); got != "[gateway_offline pi-1]" || b.MeasuredAt.After(measured.Add(time.Second)) {
			t.Errorf("silent: doubts %s, measured %v later", got, b.MeasuredAt.Sub(measured))
		}
		if s := r.gatewayStatus("pi-1"); s.Online || s.Sensors[0].Events != 5 {
			t.Errorf("status of a silent device: %+v", s)
		}
		time.Sleep(25 * time.Minute)
		r.settle()
		if b := r.shown(); b.Level != perron.Unknown || doubts(b) != "[gateway_offline pi-1 gateway_offline pi-2]" {
			t.Errorf("half an hour later: %v, doubts %s", b.Level, doubts(b))
		}

		// A restart knows all that, and nothing counts again.
		r.stop()
		r = start(t, st, r.now, devices(t, n, false))
		r.counted(12, measured, true)
		time.Sleep(time.Minute)
		r.settle()
		if b := r.shown(); b.Level != perron.Unknown || st.stored() != 8 || b.MeasuredAt.Sub(measured).Abs() > time.Second {
			t.Errorf("after a restart: %v, %d passages, measured at %v, want %v", b.Level, st.stored(), b.MeasuredAt, measured)
		}
		// And then they come back.
		r.count(14)
		n.send(uplinkJSON("s", 4, r.now(), `{"n":110}`))
		r.settle()
		b = r.shown()
		if got := doubts(b); st.stored() != 17 || b.Level != perron.Quiet || got != "[times_spread pi-1/main-in 1 times_spread pi-2/side-out 7]" {
			t.Errorf("back again: %d passages, %v, doubts %s", st.stored(), b.Level, got)
		}
	})
}

func TestLastWillOfADevice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := new(fakeNetwork)
		r := start(t, newFakeStore(), at(saturday), devices(t, n, false))
		n.send(uplinkJSON("s", 0, r.now(), `{"n":100}`))
		r.count(7)
		r.receive(broker.StatusFilter, broker.StatusTopic("poort", "pi-1"), []byte(`{"v":1,"site":"poort","gateway":"pi-1","online":false}`))
		r.settle()
		if got := doubts(r.shown()); got != "[gateway_offline pi-1]" || r.gatewayStatus("pi-1").Online {
			t.Errorf("doubts %s, %+v", got, r.gatewayStatus("pi-1"))
		}
		time.Sleep(20 * time.Second) // what we say of it meanwhile does not call it back
		r.settle()
		if got := doubts(r.shown()); got != "[gateway_offline pi-1]" {
			t.Errorf("doubts %s", got)
		}
		r.count(7)
		if got := doubts(r.shown()); got != "[]" || !r.gatewayStatus("pi-1").Online {
			t.Errorf("back again: doubts %s", got)
		}
		// A batch of events from a device that counts is nobody's.
		r.send("pi-1", in(r.now()))
		r.settle()
		if r.store.stored() != 0 || len(r.acks("pi-1")) != 0 {
			t.Error("a device that counts may send events too")
		}
	})
}

// What we say of a device comes back to us. Of one that has counted nothing yet
// that is no last will: to answer it would be to answer for ever.
func TestOwnStatusIsNoLastWill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := new(fakeNetwork)
		r := start(t, newFakeStore(), at(saturday), devices(t, n, false))
		n.send(uplinkJSON("s", 0, r.now(), `{}`))
		time.Sleep(30 * time.Minute)
		r.settle()
		own := r.gatewayStatus("pi-2")
		if own.Online || own.Epoch == "" {
			t.Fatalf("a silent device: %+v", own)
		}
		payload, err := broker.EncodeStatus(own)
		if err != nil {
			t.Fatal(err)
		}
		sent := r.link.count()
		r.receive(broker.StatusFilter, broker.StatusTopic("poort", "pi-2"), payload)
		r.settle()
		if n := r.link.count() - sent; n != 0 {
			t.Errorf("%d messages follow our own", n)
		}
	})
}

// TestFlood has a store that hangs while more uplinks come than can wait: what
// does not fit is not done with, and asked for when there is room.
func TestFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := new(fakeNetwork)
		st := newFakeStore()
		r := start(t, st, at(saturday), devices(t, n, true))
		st.setFail(store.ErrUnavailable)
		const sent = 256 + 40 // of which 256 may wait
		begin := r.now().Add(-sent * 10 * time.Minute)
		var late [][]byte
		for i := range sent {
			before := r.metric("uplinks_total", "ns", "dropped")
			payload := uplinkJSON("s", uint32(i), begin.Add(time.Duration(i)*10*time.Minute), `{"n":1}`)
			n.send(payload)
			synctest.Wait()
			if r.metric("uplinks_total", "ns", "dropped") > before {
				late = append(late, payload)
			}
		}
		if len(late) < 30 || n.done.Load() > 0 {
			t.Fatalf("%d of %d did not fit, %d are done with", len(late), sent, n.done.Load())
		}
		st.setFail(nil)
		time.Sleep(30 * time.Second)
		synctest.Wait()
		if n.again.Load() == 0 || int(n.done.Load()) != sent-len(late) {
			t.Fatalf("asked %d times, %d of %d are done with", n.again.Load(), n.done.Load(), sent-len(late))
		}
		again := n.again.Load()
		for _, payload := range late {
			n.send(payload)
			synctest.Wait()
		}
		time.Sleep(30 * time.Second)
		synctest.Wait()
		if st.stored() != sent || n.done.Load() != sent || n.again.Load() != again {
			t.Errorf("%d of %d are stored, %d done with, asked %d times more", st.stored(), sent, n.done.Load(), n.again.Load()-again)
		}
	})
}

// A mishap is what happens at one call of the store.
type mishap struct {
	call  int
	after bool // it has done its work
	die   bool // the collector is killed there, instead of getting an error
}

// mishapStore has one mishap among the calls that devices make.
type mishapStore struct {
	*fakeStore
	mishap
	calls int
	dying chan struct{}
}

func (s *mishapStore) do(ctx context.Context, work func() error) error {
	s.mu.Lock()
	s.calls++
	now := s.calls == s.call
	s.mu.Unlock()
	if !now {
		return work()
	}
	var err error
	if s.after {
		err = work()
	}
	if s.die {
		close(s.dying)
		<-ctx.Done()
		return ctx.Err()
	}
	return errors.Join(err, fmt.Errorf("call %d: %w", s.call, store.ErrUnavailable))
}

func (s *mishapStore) SaveReading(ctx context.Context, r store.Reading) error {
	return s.do(ctx, func() error { return s.fakeStore.SaveReading(ctx, r) })
}

func (s *mishapStore) Reading(ctx context.Context, site, gateway string) (r store.Reading, err error) {
	err = s.do(ctx, func() (err error) { r, err = s.fakeStore.Reading(ctx, site, gateway); return err })
	return r, err
}

func (s *mishapStore) Commit(ctx context.Context, b store.Batch) (res store.Result, err error) {
	err = s.do(ctx, func() (err error) { res, err = s.fakeStore.Commit(ctx, b); return err })
	return res, err
}

// TestDevicesThroughMishaps has a mishap at each call of the store: it fails, or
// the collector dies, before it did anything or after. What the broker of the
// network was not told to be done with comes again, and some of it without
// need; the ESP says where it is. Nothing is lost and nothing counts twice.
func TestDevicesThroughMishaps(t *testing.T) {
	highest := 0
	for call := 1; call <= max(highest, 1); call++ {
		for _, m := range []mishap{{call, false, false}, {call, true, false}, {call, false, true}, {call, true, true}} {
			synctest.Test(t, func(t *testing.T) {
				st := &mishapStore{fakeStore: newFakeStore(), mishap: m, dying: make(chan struct{})}
				n := new(fakeNetwork)
				run := func(now func() time.Time) *rig {
					return start(t, st.fakeStore, now, func(c *Config) {
						devices(t, n, true)(c)
						c.Devices[1].Every, c.Store = time.Minute, st
					})
				}
				r := run(at(saturday))
				type kept struct {
					payload []byte
					done    *atomic.Bool
				}
				var session []kept // of the network's broker
				send := func(k kept) {
					n.handle(broker.Message{Topic: "up", Payload: k.payload}, func() { k.done.Store(true) })
				}
				for i := range 5 {
					r.count(uint64(10 + 2*i))
					k := kept{uplinkJSON("s", uint32(i), r.now(), `{"n":3}`), new(atomic.Bool)}
					session = append(session, k)
					send(k)
					r.settle()
					time.Sleep(30 * time.Second)
					select {
					case <-st.dying:
						r.stop()
						st.dying = nil // a restart, once
						r = run(r.now)
						for _, k := range session {
							if !k.done.Load() || i%2 == 0 {
								send(k)
							}
						}
						r.counted(uint64(10+2*i), r.now().Add(-30*time.Second), true)
					default:
					}
					time.Sleep(30 * time.Second)
				}
				r.settle()
				byGateway := make(map[string]int)
				seen := make(map[string]bool)
				for _, e := range st.records {
					byGateway[e.Gateway]++
					if key := fmt.Sprint(e.Gateway, e.Epoch, e.Seq); seen[key] {
						t.Errorf("%+v: %s is stored twice", m, key)
					} else {
						seen[key] = true
					}
				}
				// The first thing that the ESP says may get lost with its beginning; then
				// the next is the first.
				if in, out := byGateway["pi-1"], byGateway["pi-2"]; in != 8 || out != 15 {
					t.Errorf("%+v: %d and %d passages, want 8 and 15", m, in, out)
				}
				for i, k := range session {
					if !k.done.Load() {
						t.Errorf("%+v: uplink %d is never done with", m, i)
					}
				}
				highest = max(highest, st.calls)
			})
		}
	}
	if highest < 20 {
		t.Errorf("only %d calls had a mishap", highest)
	}
}
