package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/perrondrukte/perrondrukte/config"
	"github.com/perrondrukte/perrondrukte/gateway"
	"github.com/perrondrukte/perrondrukte/gateway/pulse"
	"github.com/perrondrukte/perrondrukte/perron"
)

type watchCmd struct {
	Config string `required:"" help:"The gateway's YAML file."`
	Plain  bool   `help:"A line an event instead of a screen; so it is anyway when the output is not a terminal."`
}

// frame is how often the screen is drawn.
const frame = 100 * time.Millisecond

func (c *watchCmd) Run(e *env) error {
	g, err := config.LoadGateway(c.Config)
	if err != nil {
		return err
	}
	w := &watcher{title: g.Username() + ", driver " + string(g.Source.Driver), now: time.Now}
	p, err := newParts(g, w.now, slog.New(slog.NewTextHandler(&noteWriter{w}, nil)))
	if err != nil {
		return err
	}
	if w.machine, err = pulse.New(p.inputs, p.sensors); err != nil {
		return err
	}
	var out display = &plain{w: e.stdout}
	if f, ok := e.stdout.(*os.File); ok && !c.Plain {
		if info, err := f.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
			out = &screen{w: f}
		}
	}
	return w.run(e.ctx, p.source, out)
}

// A display shows views.
type display interface {
	show(view) error
	close() error
}

// A view is all that there is to see.
type view struct {
	title   string
	now     time.Time
	inputs  []pulse.Level
	sensors []perron.SensorStatus
	in, out map[string]int // passages by sensor
	recent  []perron.Event // oldest first
	fresh   int            // how many of them are new since the last view
	lost    uint64
	note    string // the last thing that was logged
	ended   bool
}

// A watcher is a sink that keeps nothing.
type watcher struct {
	title string
	now   func() time.Time

	mu      sync.Mutex
	machine *pulse.Machine
	in, out map[string]int
	recent  []perron.Event
	fresh   int
	lost    uint64
	note    string
	ended   bool
}

var _ gateway.Sink = (*watcher)(nil)

// keepRecent is how many events that were shown are kept for the screen.
const keepRecent = 200

func (w *watcher) run(ctx context.Context, source gateway.Source, out display) (err error) {
	w.in, w.out = make(map[string]int), make(map[string]int)
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	var failed error
	wg.Go(func() {
		switch err := source.Run(ctx, w); {
		case ctx.Err() != nil:
		case err != nil:
			failed = err
			cancel()
		default:
			w.mu.Lock()
			w.ended = true
			w.machine.Finish(w.now())
			w.mu.Unlock()
		}
	})
	defer func() {
		cancel()
		wg.Wait()
		err = errors.Join(failed, err, out.show(w.view()), out.close())
	}()
	tick := time.NewTicker(frame)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if err := out.show(w.view()); err != nil {
				return err
			}
		}
	}
}

// view lets time go by and returns what there is to see.
func (w *watcher) view() view {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.now()
	w.took(w.machine.Advance(now))
	v := view{
		title: w.title, now: now, inputs: w.machine.Levels(), sensors: w.machine.Sensors(),
		in: make(map[string]int), out: make(map[string]int),
		recent: slices.Clone(w.recent), fresh: w.fresh, lost: w.lost, note: w.note, ended: w.ended,
	}
	for _, s := range v.sensors {
		v.in[s.Sensor], v.out[s.Sensor] = w.in[s.Sensor], w.out[s.Sensor]
	}
	w.fresh = 0
	if n := len(w.recent) - keepRecent; n > 0 {
		w.recent = slices.Delete(w.recent, 0, n)
	}
	return v
}

func (w *watcher) took(events []perron.Event) {
	for _, e := range events {
		switch e.Kind {
		case perron.In:
			w.in[e.Sensor]++
		case perron.Out:
			w.out[e.Sensor]++
		}
	}
	w.recent = append(w.recent, events...)
	w.fresh += len(events)
}

func (w *watcher) Edge(_ context.Context, e pulse.Edge) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	events, err := w.machine.Edge(e)
	w.took(events)
	return err
}

func (w *watcher) Events(ctx context.Context, events []perron.Event, _ []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.machine.Observe(events, w.now())
	w.took(events)
	return ctx.Err()
}

func (w *watcher) Position() []byte { return nil }

func (w *watcher) Lost(_ string, n uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lost += n
}

func (w *watcher) Blind(input string) {
	w.say("it cannot be noticed when edges of input " + input + " are lost")
}

func (w *watcher) Report(sensor string, health perron.SensorHealth, gaps []perron.CounterGap) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.machine.Report(sensor, health, gaps, w.now())
}

func (w *watcher) Fault(input string, err error) {
	w.mu.Lock()
	w.machine.Fault(input, w.now())
	w.mu.Unlock()
	w.say(err.Error())
}

func (w *watcher) say(note string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.note = note
}

// noteWriter puts the log on the screen's last line.
type noteWriter struct{ w *watcher }

func (n *noteWriter) Write(b []byte) (int, error) {
	n.w.say(string(b))
	return len(b), nil
}

// plain prints a line an event, for a pipe.
type plain struct{ w io.Writer }

func (p *plain) show(v view) error {
	for _, e := range v.recent[len(v.recent)-v.fresh:] {
		if _, err := fmt.Fprintf(p.w, "%s %-16s %s\n", e.Time.In(perron.Amsterdam).Format("2006-01-02 15:04:05.000"), e.Sensor, e.Kind); err != nil {
			return err
		}
	}
	return nil
}

func (p *plain) close() error { return nil }
