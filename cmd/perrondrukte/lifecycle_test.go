package main

import (
	"context"
	"errors"
	"strings"
	"testing"
)

func TestRunParts_stopsInReverseOrder(t *testing.T) {
	var order []string // each part writes only while the later ones have ended
	record := func(name string) part {
		return part{name, func(ctx context.Context) error {
			<-ctx.Done()
			order = append(order, name)
			return ctx.Err()
		}}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := runParts(ctx, []part{record("broker"), record("collector"), record("api")}); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(order, " "); got != "api collector broker" {
		t.Errorf("stopped in the order %q", got)
	}
}

func TestRunParts_failureEndsTheOthers(t *testing.T) {
	boom := errors.New("no room")
	ended := false
	err := runParts(t.Context(), []part{
		{"broker", func(ctx context.Context) error { <-ctx.Done(); ended = true; return nil }},
		{"collector", func(context.Context) error { return boom }},
	})
	if !errors.Is(err, boom) || !ended {
		t.Errorf("got %v, broker ended: %v", err, ended)
	}
}
