package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/perrondrukte/perrondrukte/access"
	"github.com/perrondrukte/perrondrukte/broker"
	"github.com/perrondrukte/perrondrukte/config"
	"github.com/perrondrukte/perrondrukte/perron"
)

// A process for the broker, one for the API and two collectors, as four
// machines would run them: each yard's events are stored and acknowledged by
// one of the collectors, and the API shows what both of them make of it.
func TestRoles_aProcessEach(t *testing.T) {
	dir := t.TempDir()
	password := filepath.Join(dir, "service-password")
	if err := os.WriteFile(password, []byte("a password of some length\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ran, started := make(chan error), 0
	defer func() {
		cancel()
		for range started {
			if err := <-ran; err != nil {
				t.Error(err)
			}
		}
	}()
	open := func(change func(*config.Server), roles ...config.Role) *app {
		t.Helper()
		cfg := config.Almere()
		cfg.DataDir, cfg.Listen, cfg.Roles = dir, config.Listen{HTTP: "127.0.0.1:0"}, roles
		change(cfg)
		if err := cfg.Validate(); err != nil {
			t.Fatal(err)
		}
		a, err := openApp(ctx, cfg, realClock, slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})))
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
	run := func(a *app) {
		started++
		go func() { ran <- a.Run(ctx) }()
	}

	hub := open(func(c *config.Server) {
		c.Broker.Embedded.Listen, c.Broker.Embedded.ServicePasswordFile = "127.0.0.1:0", password
	}, config.RoleBroker)
	run(hub)
	elsewhere := func(index int) func(*config.Server) {
		return func(c *config.Server) {
			c.Broker = config.ServerBroker{URL: "tcp://" + hub.broker.Addr(), Username: "service", PasswordFile: password}
			if index >= 0 {
				c.Collectors = &config.Collectors{Index: index, Of: 2}
			}
		}
	}
	site := open(elsewhere(-1), config.RoleAPI)
	run(site)
	served := map[int]bool{}
	for i := range 2 {
		a := open(elsewhere(i), config.RoleCollector)
		for _, s := range a.sites {
			served[i] = served[i] || a.cfg.Collectors.Serves(s.ID)
		}
		run(a)
	}
	if len(served) != 2 || !served[0] || !served[1] {
		t.Fatal("one of the collectors has nothing to do: choose other sites for this test")
	}

	var gateways []part
	var acked atomic.Int32
	for _, s := range hub.sites {
		id := s.ID
		secret, err := access.Issue(ctx, hub.accounts, id, s.Gateways[0])
		if err != nil {
			t.Fatal(err)
		}
		user := id + "/" + s.Gateways[0]
		link, err := broker.NewClient(broker.ClientConfig{
			URL: "tcp://" + hub.broker.Addr(), ClientID: user, Username: user, Password: secret, Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
		told := make(chan struct{}, 16)
		link.Subscribe(broker.AckTopic(id, s.Gateways[0]), func(m broker.Message) {
			if a, err := broker.DecodeAck(m.Payload); err == nil && a.Acked == 1 {
				told <- struct{}{}
			}
		})
		batch, err := broker.Events{Epoch: "e", Floor: 1, First: 1, Events: []perron.Event{{Time: time.Now().UTC(), Sensor: s.Gates[0].Sensors[0], Kind: perron.In}}}.Encode()
		if err != nil {
			t.Fatal(err)
		}
		status, err := broker.EncodeStatus(perron.GatewayStatus{Site: id, Gateway: s.Gateways[0], At: time.Now().UTC(), Online: true, Epoch: "e"})
		if err != nil {
			t.Fatal(err)
		}
		gateways = append(gateways, part{"link of " + user, link.Run}, part{user, func(ctx context.Context) error {
			// A collector that is not there yet has not heard the first one.
			for ctx.Err() == nil {
				_ = link.Publish(ctx, broker.Message{Topic: broker.StatusTopic(id, s.Gateways[0]), Payload: status, Retained: true})
				_ = link.Publish(ctx, broker.Message{Topic: broker.EventsTopic(id, s.Gateways[0]), Payload: batch})
				select {
				case <-told:
					acked.Add(1)
					<-ctx.Done()
				case <-time.After(200 * time.Millisecond):
				case <-ctx.Done():
				}
			}
			return nil
		}})
	}
	started++
	go func() { ran <- runParts(ctx, gateways) }()

	until(t, "every yard is acknowledged", func() bool { return int(acked.Load()) == len(hub.sites) })
	until(t, "the API shows every yard", func() bool {
		answer, err := http.Get(siteURL(site.server.Addr()) + "/api/v1/sites")
		if err != nil {
			return false
		}
		defer answer.Body.Close()
		var list struct {
			Sites []struct {
				State struct {
					MeasuredAt time.Time `json:"measuredAt"`
				} `json:"state"`
			} `json:"sites"`
		}
		if err := json.NewDecoder(answer.Body).Decode(&list); err != nil || len(list.Sites) != len(hub.sites) {
			return false
		}
		for _, s := range list.Sites {
			if s.State.MeasuredAt.IsZero() {
				return false
			}
		}
		return true
	})
}
