package pace

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestInsist(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wrong := errors.New("not yet")
		tried, told := 0, 0
		began := time.Now()
		err := Insist(t.Context(), func(err error) {
			if !errors.Is(err, wrong) {
				t.Errorf("told of %v", err)
			}
			told++
		}, func() error {
			if tried++; tried < 10 {
				return wrong
			}
			return nil
		})
		if err != nil || tried != 10 || told != 9 {
			t.Errorf("%v after %d tries, told of %d", err, tried, told)
		}
		if took := time.Since(began); took < 10*time.Second || took > 30*time.Second {
			t.Errorf("took %v, want the waits to grow up to %v", took, MaxRetry)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := Insist(ctx, func(error) {}, func() error { return wrong }); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("ended with %v", err)
		}
	})
}

func TestPoke(t *testing.T) {
	c := make(chan struct{}, 1)
	Poke(c)
	Poke(c)
	<-c
	select {
	case <-c:
		t.Error("two pokes wake twice")
	default:
	}
}

func TestPauseEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		if !Pause(t.Context(), time.Hour) {
			t.Error("an hour does not pass")
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		began := time.Now()
		if Pause(ctx, time.Hour) || time.Since(began) > 0 {
			t.Error("it waits on")
		}
	})
}
