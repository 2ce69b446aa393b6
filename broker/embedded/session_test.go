package embedded

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/perrondrukte/perrondrukte/broker"
)

// TestKeptSession loses a consumer between the receipt and the end of its work:
// what it was not done with comes again, also what came while it was away, and
// what it was done with does not.
func TestKeptSession(t *testing.T) {
	r := start(t, nil)
	source := r.up(r.client("service/source", nil, nil))
	type work struct {
		text string
		done func()
	}
	var c *broker.Client
	consumer := func() (got chan work, stop func()) {
		got = make(chan work, 20)
		var err error
		c, err = broker.NewClient(broker.ClientConfig{
			URL: r.url, ClientID: "service/consumer", Username: "service/consumer", Password: "service/consumer?",
			KeepSession: true, Logger: testLog(t), MinBackoff: 5 * time.Millisecond,
		})
		if err != nil {
			t.Fatal(err)
		}
		c.Consume("application/+/device/+/event/up", func(m broker.Message, done func()) { got <- work{string(m.Payload), done} })
		ctx, cancel := context.WithCancel(r.ctx)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_ = c.Run(ctx)
		}()
		r.up(c)
		return got, func() { cancel(); <-ended }
	}
	next := func(got chan work) work {
		t.Helper()
		select {
		case w := <-got:
			return w
		case <-time.After(patience):
			t.Fatal("no message")
			return work{}
		}
	}
	// unconfirmed waits until the broker keeps n messages for the consumer.
	unconfirmed := func(n int) {
		t.Helper()
		within(t, fmt.Sprintf("%d unconfirmed", n), func() bool {
			cl, ok := r.server.Clients.Get("service/consumer")
			return ok && cl.State.Inflight.Len() == n
		})
	}
	send := func(i int) {
		t.Helper()
		publish(t, source, "application/a/device/d/event/up", fmt.Sprint(i), false)
	}

	got, stop := consumer()
	send(1)
	send(2)
	first, lost := next(got), next(got)
	if first.text != "1" {
		first, lost = lost, first
	}
	first.done()
	unconfirmed(1)
	stop()      // with the second in hand
	lost.done() // of a connection that is gone: nothing happens
	send(3)
	send(4)

	got, stop = consumer()
	again := map[string]bool{} // not always in order
	for range 3 {
		w := next(got)
		again[w.text] = true
		w.done()
	}
	if !again["2"] || !again["3"] || !again["4"] {
		t.Errorf("again came %v, want 2, 3 and 4", again)
	}
	unconfirmed(0)
	stop()

	got, stop = consumer()
	send(5)
	if w := next(got); w.text != "5" {
		t.Errorf("got %s, want 5", w.text)
	}
	// It had no room for it, and asks for it once more.
	c.Renew()
	if w := next(got); w.text != "5" {
		t.Errorf("got %s, want 5 again", w.text)
	} else {
		w.done()
	}
	unconfirmed(0)
	stop()
}

// TestDeviceTellsItsCounters keeps what a device said last for a collector that
// comes later, and lets it speak for nobody else.
func TestDeviceTellsItsCounters(t *testing.T) {
	r := start(t, nil)
	esp := r.up(r.client("poort/esp-1", nil, nil))
	publish(t, esp, broker.CountersTopic("poort", "esp-1"), "7", true)
	// The library confirms a message before it has passed it on; with the next
	// one confirmed, the first one is through.
	publish(t, esp, broker.StatusTopic("poort", "esp-1"), "here", false)
	got := make(chan broker.Message, 10)
	r.up(r.client("perrondrukte", got, nil, broker.CountersFilter))
	if m := receive(t, got); string(m.Payload) != "7" || !m.Retained {
		t.Errorf("got %+v", m)
	}
	for i, topic := range []string{broker.CountersTopic("poort", "esp-2"), broker.CountersTopic("haven", "esp-1"), "application/a/device/d/event/up"} {
		within(t, "refused for publish to "+topic, func() bool {
			r.up(esp)
			if err := esp.Publish(t.Context(), broker.Message{Topic: topic, Payload: []byte("9"), Retained: true}); err == nil {
				t.Errorf("it may publish to %s", topic)
			}
			return testutil.ToFloat64(r.metrics.refused.WithLabelValues("publish")) >= float64(i+1)
		})
	}
	nothing(t, got, r.up(esp), broker.CountersTopic("poort", "esp-1"))
}

// TestKeptSessionWithEveryIdentifier comes back to a session that has messages
// under the identifiers with which a new connection begins.
func TestKeptSessionWithEveryIdentifier(t *testing.T) {
	r := start(t, nil)
	source := r.up(r.client("service/source", nil, nil))
	const messages = 20
	for life := range 2 {
		got := make(chan func(), 2*messages)
		c, err := broker.NewClient(broker.ClientConfig{
			URL: r.url, ClientID: "service/consumer", Username: "service/consumer", Password: "service/consumer?",
			KeepSession: true, Logger: testLog(t), MinBackoff: 5 * time.Millisecond,
		})
		if err != nil {
			t.Fatal(err)
		}
		c.Consume("application/+/device/+/event/up", func(_ broker.Message, done func()) { got <- done })
		ctx, cancel := context.WithCancel(r.ctx)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_ = c.Run(ctx)
		}()
		r.up(c)
		if life == 0 {
			for i := range messages {
				publish(t, source, "application/a/device/d/event/up", fmt.Sprint(i), false)
			}
		}
		within(t, "all of them", func() bool { return len(got) >= messages })
		cancel() // with all of them in hand
		<-ended
	}
}
