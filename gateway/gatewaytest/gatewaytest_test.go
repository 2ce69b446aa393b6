package gatewaytest_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perrondrukte/perrondrukte/gateway/gatewaytest"
	"github.com/perrondrukte/perrondrukte/gateway/pulse"
	"github.com/perrondrukte/perrondrukte/perron"
)

// A recorder that is held takes nothing until it is released, and lets go of who
// stops meanwhile. What does not block in a gateway does not block here.
func TestHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := gatewaytest.NewRecorder(nil)
		release := r.Hold()
		stopping, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- r.Edge(stopping, pulse.Edge{Input: "a"}) }()
		taken := make(chan error, 1)
		go func() {
			taken <- r.Events(t.Context(), []perron.Event{{Sensor: "main", Kind: perron.In, Time: time.Now()}}, nil)
		}()
		r.Report("main", perron.SensorOK, nil)
		synctest.Wait()
		if s := r.Seen(); len(s.Edges)+len(s.Events) > 0 || s.Health["main"] != perron.SensorOK {
			t.Errorf("held, it has %+v", s)
		}
		stop()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("stopped while it was held: %v", err)
		}
		release()
		if err := <-taken; err != nil {
			t.Error(err)
		}
		if s := r.Seen(); len(s.Edges) != 0 || len(s.Events) != 1 {
			t.Errorf("released, it has %+v", s)
		}
	})
}
