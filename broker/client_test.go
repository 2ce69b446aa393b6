package broker

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// A message at which its handler panics ends nothing, is told once a minute, and is
// acknowledged unless it must not be lost.
func TestAPanicOfAHandlerEndsNothing(t *testing.T) {
	var log bytes.Buffer
	c, err := NewClient(ClientConfig{
		URL: "tcp://127.0.0.1", ClientID: "test", Registerer: prometheus.NewRegistry(),
		Logger: slog.New(slog.NewTextHandler(&log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	c.Subscribe("a/#", func(Message) { panic("made to break") })
	c.Consume("b/#", func(Message, func()) { panic("made to break") })
	done := make(map[string]int)
	for range 100 {
		for _, s := range c.subscriptions {
			c.handle(s, Message{Topic: s.filter, Payload: []byte("x")}, func() { done[s.filter]++ })
		}
	}
	if done["a/#"] != 100 || done["b/#"] != 0 {
		t.Errorf("acknowledged: %v", done)
	}
	if n := testutil.ToFloat64(c.metrics.panics); n != 200 {
		t.Errorf("%v panics are counted, want 200", n)
	}
	if n := strings.Count(log.String(), "level=ERROR"); n != 2 {
		t.Errorf("%d lines in the log, want one for each subscription:\n%.2000s", n, &log)
	}
}
