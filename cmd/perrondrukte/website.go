package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/perrondrukte/perrondrukte/api"
	"github.com/perrondrukte/perrondrukte/broker"
	"github.com/perrondrukte/perrondrukte/collector"
	"github.com/perrondrukte/perrondrukte/eval"
	"github.com/perrondrukte/perrondrukte/store"
	"github.com/perrondrukte/perrondrukte/store/sqlite"
	"github.com/perrondrukte/perrondrukte/web"
)

// A Store is what the roles together need of a backend.
type Store interface {
	collector.Store
	web.History
	api.ActionStore
	Ping(ctx context.Context) error
	Close() error
}

// newServer puts API and pages together behind one address.
func newServer(a *app, link *broker.Client) (*api.Server, error) {
	live := api.NewLive(a.sites, link, a.now, a.logger)
	staff := api.NewStaff(a.sites, a.store, link, a.now, a.logger)
	auth := api.NewAuth(api.AuthConfig{
		Accounts: a.accounts, Sessions: a.accounts.Sessions(),
		SecureCookies: a.cfg.SecureCookies, TrustedProxies: a.cfg.Proxies(), Logger: a.logger,
	})
	pages, err := web.New(web.Config{
		Sites: a.sites, Live: live, History: a.store, Staff: staff, Auth: auth,
		OnSite: eval.NewClosedDays(a.store).OnSite,
		Now:    a.now, Logger: a.logger, Title: a.cfg.Title,
	})
	if err != nil {
		return nil, fmt.Errorf("make the pages: %w", err)
	}
	server, err := api.New(api.Config{
		Sites: a.sites, Store: a.store, Live: live, Staff: staff, Auth: auth, Pages: pages,
		Now: a.now, Logger: a.logger, Registry: a.registry,
		Origins: a.cfg.Origins, SecureCookies: a.cfg.SecureCookies, TrustedProxies: a.cfg.Proxies(),
		Ready: func(ctx context.Context) error {
			if err := a.store.Ping(ctx); err != nil {
				return err
			}
			if !link.Connected() {
				return fmt.Errorf("%w: %w", store.ErrUnavailable, broker.ErrOffline)
			}
			return nil
		},
	})
	if err != nil {
		return nil, fmt.Errorf("make the website: %w", err)
	}
	return server, nil
}

// setUser adds a user, or gives one who is there a new password. The role of
// someone who is there cannot change by accident: it has to be the same.
func setUser(ctx context.Context, accounts *sqlite.Accounts, name, hash, role string) error {
	err := accounts.AddUser(ctx, name, hash, role)
	if !errors.Is(err, store.ErrExists) {
		return err
	}
	_, was, err := accounts.User(ctx, name)
	if err != nil {
		return err
	}
	if was != role {
		return fmt.Errorf("is there already as %s: remove the user first to change the role", was)
	}
	return accounts.SetPassword(ctx, name, hash)
}
