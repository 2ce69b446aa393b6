package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// A part is something that runs until its context ends.
type part struct {
	name string
	run  func(context.Context) error
}

// stopLimit is how long a part may take to end.
const stopLimit = 10 * time.Second

// runParts runs parts that are given in the order of the flow, upstream first.
// When ctx ends or a part fails, they are stopped in the reverse order, each
// one only when what depends on it has ended, so that nothing is asked of a
// part that is gone. The first failure is returned.
func runParts(ctx context.Context, parts []part) error {
	type running struct {
		part
		cancel context.CancelFunc
		done   chan error
	}
	ended := make(chan struct{}, len(parts))
	var up []running
	for _, p := range parts {
		pctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
		r := running{p, cancel, make(chan error, 1)}
		go func() {
			r.done <- p.run(pctx)
			ended <- struct{}{}
		}()
		up = append(up, r)
	}
	select {
	case <-ctx.Done():
	case <-ended: // a part that ends by itself takes the others with it
	}
	var errs []error
	for i := len(up) - 1; i >= 0; i-- {
		r := up[i]
		r.cancel()
		select {
		case err := <-r.done:
			if err != nil && !errors.Is(err, context.Canceled) {
				errs = append(errs, fmt.Errorf("%s: %w", r.name, err))
			}
		case <-time.After(stopLimit):
			errs = append(errs, fmt.Errorf("%s did not end within %s", r.name, stopLimit))
		}
	}
	return errors.Join(errs...)
}
