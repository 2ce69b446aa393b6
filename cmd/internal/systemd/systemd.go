// Package systemd tells the service manager that a program is ready and that it
// still makes progress, as sd_notify(3) describes. Without systemd it does
// nothing.
package systemd

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/perrondrukte/perrondrukte/internal/logs"
)

// Watch says READY=1 when ready is closed, or if it is nil when alive first
// succeeds, and WATCHDOG=1 each time that alive does, twice within systemd's
// patience, until ctx ends. A program that is alive no more falls silent, and
// systemd starts it anew. alive has to answer before its context ends.
func Watch(ctx context.Context, ready <-chan struct{}, alive func(context.Context) error, log *slog.Logger) {
	interval := watchdogInterval()
	every := interval
	if every == 0 {
		every = time.Minute
	}
	told := false
	ok := func() bool {
		within, cancel := context.WithTimeout(ctx, every)
		defer cancel()
		err := alive(within)
		if err == nil {
			return true
		}
		switch {
		case ctx.Err() != nil: // being stopped is no fault
		case told:
			log.Error("no progress", logs.Error, err)
		default:
			log.Debug("not ready yet", logs.Error, err)
		}
		return false
	}
	tell := func(state string) {
		if err := notify(state); err != nil {
			log.Warn("systemd cannot be told", logs.State, state, logs.Error, err)
		}
	}
	if ready != nil {
		select {
		case <-ready:
			tell("READY=1")
			told = true
		case <-ctx.Done():
			tell("STOPPING=1")
			return
		}
	}
	if told && interval == 0 {
		return
	}
	for {
		if ok() && ctx.Err() == nil {
			if !told {
				tell("READY=1")
				told = true
			}
			if interval > 0 {
				tell("WATCHDOG=1")
			}
		}
		if told && interval == 0 {
			return
		}
		wait := every
		if !told {
			wait = min(wait, time.Second)
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			tell("STOPPING=1")
			return
		case <-timer.C:
		}
	}
}

// notify sends a state to systemd.
func notify(state string) error {
	socket := os.Getenv("NOTIFY_SOCKET")
	if socket == "" {
		return nil
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.Write([]byte(state)); err != nil {
		return fmt.Errorf("send to %s: %w", socket, err)
	}
	return nil
}

// watchdogInterval is how often to tell systemd of progress: twice within its
// patience, see sd_watchdog_enabled(3). It is 0 when systemd does not ask.
func watchdogInterval() time.Duration {
	if pid := os.Getenv("WATCHDOG_PID"); pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return 0
	}
	us, err := strconv.ParseInt(os.Getenv("WATCHDOG_USEC"), 10, 64)
	if err != nil || us <= 0 {
		return 0
	}
	return time.Duration(us) * time.Microsecond / 2
}
