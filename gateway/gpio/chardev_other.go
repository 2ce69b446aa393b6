//go:build !linux

package gpio

import (
	"context"
	"errors"
	"time"

	"github.com/perrondrukte/perrondrukte/gateway"
)

// line does not exist here.
type line struct {
	Input
	settled bool
}

func openLine(*pin) (*line, error) { return nil, errors.New("line events are Linux's") }

func (l *line) close() {}

func readLines(context.Context, []*line, gateway.Sink, func() time.Time, *doorbell) error { return nil }

func pullIs(*pin) bool { return false }

func (l *inspection) watch(context.Context, *line, time.Duration) {}
