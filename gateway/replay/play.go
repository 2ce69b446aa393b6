package replay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/perrondrukte/perrondrukte/gateway"
	"github.com/perrondrukte/perrondrukte/internal/logs"
	"github.com/perrondrukte/perrondrukte/perron"
)

// toldLines is how many broken lines are told one by one.
const toldLines = 10

// A progress counts what became of the lines of a recording: events, or why not.
type progress struct {
	log     *slog.Logger
	refuse  bool
	events  int
	broken  int
	faults  []error // the first of them
	foreign int
	values  map[string]int
}

func newProgress(log *slog.Logger, refuse bool) *progress {
	return &progress{log: log, refuse: refuse, values: make(map[string]int)}
}

func (p *progress) line(number int, err error) {
	var f foreign
	if errors.As(err, &f) {
		p.foreign++
		if s := f.column + " " + f.value; p.values[s] > 0 || len(p.values) < 20 {
			p.values[s]++
		}
		return
	}
	p.broken++
	if len(p.faults) >= toldLines {
		return
	}
	p.faults = append(p.faults, fmt.Errorf("line %d: %w", number, err))
	if !p.refuse {
		p.log.Warn("a broken line is skipped", logs.Line, number, logs.Error, err)
	}
}

// refusal is why the file may not be played.
func (p *progress) refusal() error {
	if p.refuse && p.broken > 0 {
		more := ""
		if n := p.broken - len(p.faults); n > 0 {
			more = fmt.Sprintf("\nand %d more", n)
		}
		return fmt.Errorf("broken lines, nothing is sent:\n%w%s", errors.Join(p.faults...), more)
	}
	if p.events == 0 && p.foreign > 0 {
		return fmt.Errorf("no line is about this gateway: the maps do not name %v", slices.Sorted(maps.Keys(p.values)))
	}
	return nil
}

func (p *progress) tell() {
	if p.broken > 0 {
		p.log.Warn("broken lines were skipped", logs.Lines, p.broken)
	}
	if p.foreign > 0 {
		p.log.Info("lines that no map names were left out", logs.Lines, p.foreign, logs.Values, p.values)
	}
}

// scan reads a file from its beginning and calls take after each line that has
// events; those are take's.
func (s *Source) scan(ctx context.Context, r io.Reader, p *progress, take func([]perron.Event, *lines) error) error {
	l := newLines(r)
	if err := s.head(l); err != nil {
		return err
	}
	return s.rest(ctx, l, p, take)
}

func (s *Source) head(l *lines) error {
	line, err := l.next()
	if err == io.EOF {
		return errors.New("the file is empty: want a line of column names")
	}
	if err != nil {
		return fmt.Errorf("line 1: %w", err)
	}
	return s.cols.header(line)
}

func (s *Source) rest(ctx context.Context, l *lines, p *progress, take func([]perron.Event, *lines) error) error {
	var events []perron.Event
	for {
		line, err := l.next()
		switch {
		case err == io.EOF:
			return nil
		case err == errLong:
		case err != nil:
			return err
		case len(line) == 0:
			continue
		default:
			events, err = s.cols.events(nil, line)
		}
		if err != nil {
			p.line(l.number, err)
			continue
		}
		p.events += len(events)
		if err := take(events, l); err != nil {
			return err
		}
		if l.number%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// playFast hands everything over in the order of the file.
func (s *Source) playFast(ctx context.Context, f *os.File, sink gateway.Sink) error {
	began := s.now()
	pos, err := s.resume(f, sink.Position(), fileOrder)
	if err != nil {
		return err
	}
	if s.cfg.Refuse || s.cfg.ShiftToNow && pos == nil {
		latest, err := s.preview(ctx, f)
		if err != nil {
			return err
		}
		if pos == nil && s.cfg.ShiftToNow && !latest.IsZero() {
			pos = &position{Order: fileOrder, Shift: s.now().Sub(latest).Truncate(time.Millisecond)}
		}
	}
	if pos == nil {
		pos = &position{Order: fileOrder}
	}
	p := newProgress(s.log, false)
	l := newLines(f)
	if err := s.head(l); err != nil {
		return err
	}
	resumed := pos.At > l.offset
	if resumed {
		s.log.Info("the replay goes on where it was", logs.Line, pos.Line)
		// Reading again what was played keeps the sum right.
		for l.offset < pos.At {
			if _, err := l.next(); err != nil && err != errLong {
				return err
			}
		}
	}
	note := func() []byte {
		pos.At, pos.Line, pos.Size, pos.Sum = l.offset, l.number, l.offset, l.sum.Sum64()
		return pos.encode()
	}
	pending := make([]perron.Event, 0, batch)
	flush := func() error {
		err := sink.Events(ctx, pending, note())
		pending = make([]perron.Event, 0, batch)
		return err
	}
	err = s.rest(ctx, l, p, func(events []perron.Event, _ *lines) error {
		for i := range events {
			events[i].Time = events[i].Time.Add(pos.Shift)
		}
		pending = append(pending, events...)
		if len(pending) < batch {
			return nil
		}
		return flush()
	})
	if err != nil {
		return err
	}
	if !resumed {
		if err := p.refusal(); err != nil {
			return err
		}
	}
	if err := flush(); err != nil {
		return err
	}
	p.tell()
	s.log.Info("the recording has been read", logs.Events, p.events, logs.Took, s.now().Sub(began).Round(time.Millisecond))
	return nil
}

// preview reads all of a file to refuse it if need be, and returns the latest
// time in it.
func (s *Source) preview(ctx context.Context, f *os.File) (latest time.Time, err error) {
	p := newProgress(s.log, s.cfg.Refuse)
	if err := s.scan(ctx, f, p, func(events []perron.Event, _ *lines) error {
		for _, e := range events {
			if e.Time.After(latest) {
				latest = e.Time
			}
		}
		return nil
	}); err != nil {
		return latest, err
	}
	if err := p.refusal(); err != nil {
		return latest, err
	}
	_, err = f.Seek(0, io.SeekStart)
	return latest, err
}

// timed is an event in little space: a recording is held in memory to sort it.
type timed struct {
	at   int64 // nanoseconds since 1970
	what uint16
}

// playTimed hands each event over when it is due.
func (s *Source) playTimed(ctx context.Context, f *os.File, sink gateway.Sink) error {
	p := newProgress(s.log, s.cfg.Refuse)
	var all []timed
	var meanings []Meaning
	index := make(map[Meaning]uint16)
	pos, err := s.resume(f, sink.Position(), timeOrder)
	if err != nil {
		return err
	}
	l := newLines(f)
	if err := s.head(l); err != nil {
		return err
	}
	if err := s.rest(ctx, l, p, func(events []perron.Event, _ *lines) error {
		for _, e := range events {
			m := Meaning{e.Sensor, e.Kind}
			i, ok := index[m]
			if !ok {
				if len(meanings) > 1<<15 {
					return errors.New("holds more than 32768 different sensors")
				}
				i = uint16(len(meanings))
				index[m] = i
				meanings = append(meanings, m)
			}
			all = append(all, timed{e.Time.UnixNano(), i})
		}
		return nil
	}); err != nil {
		return err
	}
	if err := p.refusal(); err != nil {
		return err
	}
	p.tell()
	slices.SortStableFunc(all, func(a, b timed) int { return cmp.Compare(a.at, b.at) })
	if pos != nil && pos.Size != l.offset {
		return errors.New("the file has grown since its replay began; at a speed it cannot go on: begin anew in another data directory")
	}
	if pos == nil {
		pos = &position{Order: timeOrder, Size: l.offset, Sum: l.sum.Sum64(), Began: s.now().Round(0).UTC()}
	} else {
		s.log.Info("the replay goes on where it was", logs.Event, pos.At, logs.Of, len(all))
	}
	if len(all) == 0 {
		return nil
	}
	due := func(i int) time.Time {
		return pos.Began.Add(time.Duration(float64(all[i].at-all[0].at) / s.cfg.Speed))
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for i := int(pos.At); i < len(all); {
		now := s.now()
		if d := due(i).Sub(now); d > 0 {
			timer.Reset(d)
			select {
			case <-timer.C:
			case <-ctx.Done():
				return ctx.Err()
			}
			continue
		}
		var events []perron.Event
		for ; i < len(all) && len(events) < batch && !due(i).After(now); i++ {
			at := time.Unix(0, all[i].at).UTC()
			if s.cfg.ShiftToNow {
				at = due(i)
			}
			m := meanings[all[i].what]
			events = append(events, perron.Event{Time: at, Sensor: m.Sensor, Kind: m.Kind})
		}
		pos.At = int64(i)
		if err := sink.Events(ctx, events, pos.encode()); err != nil {
			return err
		}
	}
	return nil
}
