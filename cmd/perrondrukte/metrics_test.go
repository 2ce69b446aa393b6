package main

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/perrondrukte/perrondrukte/config"
)

// The metrics have an address of their own; one that is taken does not keep
// the rest from running.
func TestMetrics_haveTheirOwnAddress(t *testing.T) {
	open := func(metrics string, log io.Writer) *app {
		t.Helper()
		cfg := config.Almere()
		cfg.DataDir, cfg.Listen.HTTP, cfg.Listen.Metrics, cfg.Broker.Embedded.Listen = t.TempDir(), "127.0.0.1:0", metrics, "127.0.0.1:0"
		a, err := openApp(t.Context(), cfg, realClock, slog.New(slog.NewTextHandler(log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := a.Close(); err != nil {
				t.Error(err)
			}
		})
		return a
	}
	a := open("127.0.0.1:0", t.Output())
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- a.Run(ctx) }()
	t.Cleanup(func() { // before the files are closed
		cancel()
		if err := <-ran; err != nil {
			t.Error(err)
		}
	})
	until(t, "all parts make progress", func() bool { return a.alive(t.Context()) == nil })
	get := func(addr string) (int, string) {
		t.Helper()
		answer, err := http.Get("http://" + addr + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return answer.StatusCode, string(text)
	}
	if code, text := get(a.metrics.Addr()); code != 200 || !strings.Contains(text, "\nperrondrukte_broker_clients ") {
		t.Errorf("%d %.200s", code, text)
	}
	if code, _ := get(a.server.Addr()); code != 404 {
		t.Errorf("at the public address: %d", code)
	}
	var log strings.Builder
	b := open(a.metrics.Addr(), &log)
	if b.metrics != nil || !strings.Contains(log.String(), "the metrics are not to be had") {
		t.Errorf("at a taken address:\n%s", &log)
	}
}
