// Package pace is how loops wait: for a while, for a poke, or until something
// that fails succeeds. All of it ends with a context.
package pace

import (
	"context"
	"math/rand/v2"
	"time"
)

// Waits of [Insist] and of others that try again.
const (
	MinRetry = 100 * time.Millisecond
	MaxRetry = 5 * time.Second
)

// Poke wakes whoever reads c, once for any number of pokes.
func Poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Pause waits and says whether ctx is still alive.
func Pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// Jitter is a duration between half of d and d, so that not all try again at
// once.
func Jitter(d time.Duration) time.Duration { return d/2 + rand.N(d/2) }

// Insist does something until it succeeds or ctx ends, whose error it returns
// then. Failed is told of each other error.
func Insist(ctx context.Context, failed func(error), do func() error) error {
	for wait := MinRetry; ; wait = min(2*wait, MaxRetry) {
		err := do()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		failed(err)
		if !Pause(ctx, Jitter(wait)) {
			return ctx.Err()
		}
	}
}
