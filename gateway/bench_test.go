package gateway

import (
	"bytes"
	"context"
	"encoding/binary"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/perrondrukte/perrondrukte/broker"
)

// swallow is a link whose other side acknowledges every batch at once, and
// looks at no more of it than that takes.
type swallow struct{ handle func(broker.Message) }

func (l *swallow) Subscribe(_ string, handle func(broker.Message)) { l.handle = handle }
func (l *swallow) OnUp(func())                                     {}
func (l *swallow) Connected() bool                                 { return true }

func (l *swallow) Publish(_ context.Context, m broker.Message) error {
	rest, ok := bytes.CutPrefix(m.Payload, []byte(`{"v":1,"epoch":"`))
	if !ok || !strings.HasSuffix(m.Topic, "/events") {
		return nil
	}
	epoch, rest, _ := bytes.Cut(rest, []byte(`"`))
	_, rest, _ = bytes.Cut(rest, []byte(`"first":`))
	number, rest, _ := bytes.Cut(rest, []byte(`,`))
	first, err := strconv.ParseUint(string(number), 10, 64)
	if err != nil {
		return err
	}
	n := bytes.Count(rest, []byte(`{"t"`))
	ack, err := broker.Ack{Epoch: string(epoch), Acked: first + uint64(n) - 1}.Encode()
	if err == nil {
		l.handle(broker.Message{Payload: ack})
	}
	return err
}

// BenchmarkGateway is all that a gateway does for an event: outbox, read,
// encode, acknowledge, delete.
func BenchmarkGateway(b *testing.B) {
	done := make(chan struct{})
	g, err := New(b.Context(), Config{
		Site: "poort", Gateway: "gate-1", DataDir: b.TempDir(), Link: new(swallow),
		Source: sourceFunc(func(ctx context.Context, s Sink) error {
			defer close(done)
			for i := 0; i < b.N; i += 1000 {
				// Spread over seconds, as in a recording.
				events := passages(i, 1000)
				for j := range events {
					events[j].Time = events[j].Time.Add(time.Duration(i+j) * time.Second / 3)
				}
				if err := s.Events(ctx, events, binary.AppendUvarint(nil, uint64(i))); err != nil {
					return err
				}
			}
			return nil
		}),
	})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	var wg sync.WaitGroup
	b.ReportAllocs()
	b.ResetTimer()
	wg.Go(func() {
		if err := g.Run(ctx); err != nil {
			b.Error(err)
		}
	})
	<-done
	for !g.Idle() {
		time.Sleep(100 * time.Microsecond)
	}
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
	cancel()
	wg.Wait()
}
