package gateway

import (
	"context"
	"log/slog"
	"reflect"
	"slices"
	"time"

	"github.com/perrondrukte/perrondrukte/broker"
	"github.com/perrondrukte/perrondrukte/gateway/outbox"
	"github.com/perrondrukte/perrondrukte/internal/logs"
	"github.com/perrondrukte/perrondrukte/perron"
)

const (
	// statusPause is the least time between two statuses.
	statusPause = time.Second
	// behind is how old the oldest waiting event may be before the gateway
	// counts as behind, which is a change worth a status.
	behind = 10 * time.Second
	// farewell is how long the goodbye may take.
	farewell = 2 * time.Second
)

// reporter publishes the gateway's status.
type reporter struct {
	cfg   *Config
	box   *outbox.Outbox
	sink  *sink
	times *timekeeper
	rival *rival
	log   *slog.Logger
	up    chan struct{}
	pings chan chan struct{}
}

func newReporter(cfg *Config, box *outbox.Outbox, s *sink, times *timekeeper, rv *rival, log *slog.Logger) *reporter {
	return &reporter{
		cfg: cfg, box: box, sink: s, times: times, rival: rv, log: log,
		up: make(chan struct{}, 1), pings: make(chan chan struct{}),
	}
}

func (r *reporter) run(ctx context.Context) {
	tick := time.NewTicker(statusPause)
	defer tick.Stop()
	var last perron.GatewayStatus // as sent, without what changes all the time
	var sent time.Time
	due := true
	for {
		select {
		case <-ctx.Done():
			return
		case done := <-r.pings:
			close(done)
			continue
		case <-r.up:
			due = true
		case <-tick.C:
		}
		if !r.cfg.Link.Connected() {
			continue
		}
		st := r.now(ctx)
		essence := r.essence(st)
		if !due && reflect.DeepEqual(essence, last) && time.Since(sent) < r.cfg.StatusEvery {
			continue
		}
		if err := r.publish(ctx, st); err != nil {
			if ctx.Err() == nil {
				r.log.Warn("status cannot be sent", logs.Error, err)
			}
			due = true
			continue
		}
		last, sent, due = essence, time.Now(), false
	}
}

// now is the status at this instant.
func (r *reporter) now(ctx context.Context) perron.GatewayStatus {
	s := r.box.State()
	st := perron.GatewayStatus{
		Site: r.cfg.Site, Gateway: r.cfg.Gateway, Online: true, Version: r.cfg.Version,
		Epoch: s.Epoch, Waiting: s.Waiting, OutboxBytes: s.Bytes, Dropped: s.Dropped, LostEdges: s.LostEdges,
		FailingSince: r.times.right(s.FailingSince), Damaged: s.Damaged,
	}
	if st.Next = s.Next; !s.Sure {
		st.Next = s.Opened // later ones may yet be given other numbers
	}
	st.Rival = r.times.right(r.rival.since())
	st.Sensors, st.LossUnseen = r.sink.sensors()
	if s.Waiting > 0 {
		switch b, err := r.box.Read(ctx, s.Acked+1, 1); {
		case err != nil && ctx.Err() == nil:
			r.log.Error("the oldest waiting event cannot be read", logs.Error, err)
		case len(b.Events) > 0:
			st.OldestWaiting = b.Events[0].Time
		}
	}
	if r.cfg.ClockSynced != nil {
		st.ClockSynced = r.cfg.ClockSynced()
	}
	r.times.tell(&st)
	fit(&st)
	return st
}

// fit leaves out sensors that the message has no room for: those that are well
// first, so that no fault is hidden.
func fit(st *perron.GatewayStatus) {
	n := len(st.Sensors) - broker.MaxSensors
	if n <= 0 {
		return
	}
	st.Omitted = n
	keep := make([]perron.SensorStatus, 0, broker.MaxSensors)
	for _, s := range slices.Backward(st.Sensors) {
		if n > 0 && (s.Health == perron.SensorOK || s.Health == perron.SensorFinished) {
			n--
			continue
		}
		keep = append(keep, s)
	}
	slices.Reverse(keep)
	st.Sensors = keep[:min(len(keep), broker.MaxSensors)]
}

// essence leaves out of a status what changes with every event. What remains
// is worth a status of its own when it changes.
func (r *reporter) essence(st perron.GatewayStatus) perron.GatewayStatus {
	late := st.Waiting > 0 && st.At.Sub(st.OldestWaiting) > behind
	st.At, st.OldestWaiting, st.OutboxBytes, st.Waiting, st.Next = time.Time{}, time.Time{}, 0, 0, 0
	if late {
		st.Waiting = 1
	}
	// By a clock that is slewed the same instant is another time at each look.
	for _, since := range []*time.Time{&st.FailingSince, &st.Rival} {
		if !since.IsZero() {
			*since = time.Unix(0, 0)
		}
	}
	sensors := make([]perron.SensorStatus, len(st.Sensors))
	for i, s := range st.Sensors {
		sensors[i] = perron.SensorStatus{Sensor: s.Sensor, Health: s.Health, Gaps: s.Gaps}
	}
	st.Sensors = sensors
	return st
}

func (r *reporter) publish(ctx context.Context, st perron.GatewayStatus) error {
	payload, err := broker.EncodeStatus(st)
	if err != nil {
		return err
	}
	return r.cfg.Link.Publish(ctx, broker.Message{Topic: broker.StatusTopic(st.Site, st.Gateway), Payload: payload, Retained: true})
}

// goodbye tells that the gateway is switched off.
func (r *reporter) goodbye() {
	if !r.cfg.Link.Connected() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), farewell)
	defer cancel()
	st := r.now(ctx)
	st.Online = false
	if err := r.publish(ctx, st); err != nil {
		r.log.Warn("the last status cannot be sent; the broker will send the last will", logs.Error, err)
	}
}
