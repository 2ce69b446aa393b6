// Package replay is a source of events from a recording: a CSV file with a line
// of column names, then a line for each passage, or for each interval with the
// number of passages in it.
//
// As fast as possible, the lines are taken in the order of the file, sorted or
// not. At a speed, they are taken in the order of their times. How far a replay
// is lies in the outbox beside its events, so it goes on after a crash with the
// first event that is not there yet.
//
// A broken line is told with its number and the reason. Either it is skipped,
// or the whole file is refused before anything is sent. A value that a map does
// not name is not broken: the line belongs to another gateway or says something
// else. Such lines are counted, and the values are told at the end.
package replay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc64"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/perrondrukte/perrondrukte/gateway"
	"github.com/perrondrukte/perrondrukte/internal/logs"
	"github.com/perrondrukte/perrondrukte/perron"
)

// Config says what is in a recording and how to play it. Either Sensor and
// Kind, or Key, or Counts is set.
type Config struct {
	File string
	// Speed is 1 for real time, 60 for a minute a second, 0 for as fast as
	// possible.
	Speed float64
	// ShiftToNow moves the times: at a speed, each event has the time at which
	// it is played; as fast as possible, the last time in the file becomes now
	// and the distances stay. Without it the recorded times are kept.
	ShiftToNow bool
	// Refuse sends nothing of a file with a broken line.
	Refuse bool

	Time   Time
	Sensor *Field
	Kind   *Field
	Key    *Key
	Counts *Counts
}

// Time is how times are written. In the hour that is there twice when summer
// time ends, a local time is taken as one of the two.
type Time struct {
	Column string
	Layout string         // of package time, or "unix", "unix_ms"
	Zone   *time.Location // of times that name none; nil is UTC
}

// A Field is a value from a column, by way of Map when there is one, or Value
// for every line.
type Field struct {
	Column, Value string
	Map           map[string]string
}

// A Key names sensor and kind by some columns together.
type Key struct {
	Columns []string
	Map     map[string]Meaning // by the texts of the columns, joined with a slash
}

// A Meaning is what a line is about.
type Meaning struct {
	Sensor string
	Kind   perron.Kind
}

// Counts are columns with a number of passages in the interval that begins at
// the line's time. They are spread evenly over it.
type Counts struct {
	In, Out *Count
	Over    time.Duration
}

// A Count is one column with a number of passages.
type Count struct{ Column, Sensor string }

// Source plays a recording.
type Source struct {
	cfg  Config
	cols *columns
	now  func() time.Time
	log  *slog.Logger
}

var (
	_ gateway.Source       = (*Source)(nil)
	_ gateway.SensorLister = (*Source)(nil)
	_ gateway.Checker      = (*Source)(nil)
)

// New checks the configuration; the file is opened by Run.
func New(cfg Config, now func() time.Time, log *slog.Logger) (*Source, error) {
	cols, err := newColumns(cfg)
	if err != nil {
		return nil, fmt.Errorf("replay: %w", err)
	}
	if cfg.File == "" {
		return nil, errors.New("replay: no file")
	}
	if cfg.Speed < 0 {
		return nil, fmt.Errorf("replay: speed %g is less than 0", cfg.Speed)
	}
	return &Source{cfg: cfg, cols: cols, now: now, log: log.With(logs.File, filepath.Base(cfg.File))}, nil
}

// batch is how many events are handed over at once, about.
const batch = 1000

// position is how far a replay is. It is kept as JSON.
type position struct {
	// Order is fileOrder or timeOrder; the meaning of At depends on it.
	Order string `json:"order"`
	// At counts bytes in file order, events in time order.
	At int64 `json:"at"`
	// Line is the number of lines before At, in file order.
	Line int `json:"line,omitempty"`
	// Sum is the CRC-64 (ECMA) of the first Size bytes of the file: in file
	// order what has been played, in time order all of it.
	Sum  uint64 `json:"sum"`
	Size int64  `json:"size"`
	// Shift is added to recorded times, in file order.
	Shift time.Duration `json:"shift,omitempty"`
	// Began is when the first event was due, in time order.
	Began time.Time `json:"began,omitzero"`
}

const (
	fileOrder = "file"
	timeOrder = "time"
)

func (p position) encode() []byte {
	b, err := json.Marshal(p)
	if err != nil {
		panic(err) // a struct of numbers and a time of this century
	}
	return b
}

var table = crc64.MakeTable(crc64.ECMA)

// resume reads what an earlier run left. Without one, or when it was about
// another file, the result is nil.
func (s *Source) resume(f *os.File, saved []byte, order string) (*position, error) {
	if saved == nil {
		return nil, nil
	}
	var p position
	if err := json.Unmarshal(saved, &p); err != nil {
		s.log.Warn("the outbox holds the position of another source; the recording is played from its beginning")
		return nil, nil
	}
	sum := crc64.New(table)
	n, err := io.CopyN(sum, f, p.Size)
	if err != nil && err != io.EOF {
		return nil, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	if n != p.Size || sum.Sum64() != p.Sum {
		s.log.Info("this is another recording than the one before; it is played from its beginning")
		return nil, nil
	}
	if p.Order != order {
		return nil, fmt.Errorf("the recording was begun in %s order and would go on in %s order: finish it with the speed it was begun with, or begin anew in another data directory", p.Order, order)
	}
	return &p, nil
}

// Run plays the recording to its end, or until ctx ends.
func (s *Source) Run(ctx context.Context, sink gateway.Sink) error {
	f, err := os.Open(s.cfg.File)
	if err != nil {
		return fmt.Errorf("replay: %w", err)
	}
	defer f.Close()
	if s.cfg.Speed > 0 {
		err = s.playTimed(ctx, f, sink)
	} else {
		err = s.playFast(ctx, f, sink)
	}
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("replay %s: %w", s.cfg.File, err)
	}
	return err
}

// Sensors names the sensors that the configuration speaks of, sorted. Those
// that only the file names are not among them.
func (s *Source) Sensors() []string {
	var ids []string
	if f := s.cfg.Sensor; f != nil {
		ids = slices.AppendSeq(ids, maps.Values(f.Map))
		if f.Value != "" {
			ids = append(ids, f.Value)
		}
	}
	if k := s.cfg.Key; k != nil {
		for _, m := range k.Map {
			ids = append(ids, m.Sensor)
		}
	}
	if n := s.cfg.Counts; n != nil {
		for _, one := range []*Count{n.In, n.Out} {
			if one != nil {
				ids = append(ids, one.Sensor)
			}
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// Check reads the whole file and returns what Run would refuse: nothing, where
// broken lines are skipped.
func (s *Source) Check(ctx context.Context) error {
	if !s.cfg.Refuse {
		return nil
	}
	f, err := os.Open(s.cfg.File)
	if err != nil {
		return fmt.Errorf("replay: %w", err)
	}
	defer f.Close()
	p := newProgress(s.log, true)
	err = s.scan(ctx, f, p, func([]perron.Event, *lines) error { return nil })
	if err = errors.Join(err, p.refusal()); err != nil {
		return fmt.Errorf("replay %s: %w", s.cfg.File, err)
	}
	return nil
}
