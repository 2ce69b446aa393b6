package gateway

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/perrondrukte/perrondrukte/internal/logs"
	"github.com/perrondrukte/perrondrukte/perron"
)

const (
	// HabitsFile is the name of the file, within the data directory, with what
	// the sensors are used to.
	HabitsFile = "habits.json"
	// rememberEvery is how much of a habit a power cut takes. It is written
	// seldom, for the sake of the card.
	rememberEvery = 6 * time.Hour
)

// recall lets the machine know what the sensors are used to. Without it their
// habits are learned anew, which takes two weeks: that is no reason not to run.
func (s *sink) recall(path string) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err == nil {
		s.mu.Lock()
		err = s.machine.Recall(b)
		s.mu.Unlock()
	}
	if err != nil {
		s.log.Warn("what the sensors are used to is learned anew", logs.Error, err)
	}
}

// remember keeps what the sensors are used to, now and then and at the end.
func (s *sink) remember(ctx context.Context, path string) {
	tick := time.NewTicker(rememberEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
		s.mu.Lock()
		b, err := s.machine.Habits()
		s.mu.Unlock()
		if err == nil {
			err = replaceFile(path, b)
		}
		if err != nil {
			s.log.Warn("what the sensors are used to cannot be kept", logs.Error, err)
		}
		if ctx.Err() != nil {
			return
		}
	}
}

// replaceFile leaves the old file or the new one, whatever happens.
func replaceFile(path string, b []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".habits-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // it has another name when all went well
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// tellChanges logs which sensors' health has changed. The status has only what
// is now.
func (s *sink) tellChanges() {
	for _, c := range s.machine.Changes() {
		level := slog.LevelWarn
		if c.To == perron.SensorOK || c.To == perron.SensorFinished {
			level = slog.LevelInfo
		}
		s.log.Log(context.Background(), level, "a sensor's health has changed",
			logs.Sensor, c.Sensor, logs.From, c.From, logs.To, c.To, logs.Since, c.Since, logs.Noticed, c.At)
	}
}
