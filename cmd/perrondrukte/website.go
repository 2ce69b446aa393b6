package main

import (
	"context"
	"fmt"
	"time"

	"github.com/perrondrukte/perrondrukte/access"
	"github.com/perrondrukte/perrondrukte/api"
	"github.com/perrondrukte/perrondrukte/broker"
	"github.com/perrondrukte/perrondrukte/collector"
	"github.com/perrondrukte/perrondrukte/hindsight"
	"github.com/perrondrukte/perrondrukte/store"
	"github.com/perrondrukte/perrondrukte/web"
	"github.com/perrondrukte/perrondrukte/words"
)

// A Store is what the roles together need of a backend.
type Store interface {
	collector.Store
	web.History
	api.ActionStore
	Ping(ctx context.Context) error
	Close() error
}

// Accounts are what the roles and commands together need of a backend that keeps
// people and credentials.
type Accounts interface {
	access.UserSetter
	RemoveUser(ctx context.Context, name string) error
	Users(ctx context.Context) ([]store.User, error)
	Sessions() store.Sessions

	access.Credentials
	access.CredentialSetter
	access.CredentialLister
	RotateCredential(ctx context.Context, c store.Credential, until time.Time) error
	RemoveGateway(ctx context.Context, site, gateway string) error

	Close() error
}

// newServer puts API and pages together behind one address.
func newServer(a *app, link *broker.Client) (*api.Server, error) {
	languages, err := words.Built()
	if err != nil {
		return nil, fmt.Errorf("load the languages: %w", err)
	}
	live := api.NewLive(a.sites, link, a.now, a.logger)
	staff := api.NewStaff(a.sites, languages.Tags(), a.store, link, a.now, a.logger)
	auth := api.NewAuth(api.AuthConfig{
		Accounts: a.accounts, Sessions: a.accounts.Sessions(),
		SecureCookies: a.cfg.SecureCookies, TrustedProxies: a.cfg.Proxies(), Logger: a.logger,
	})
	pages, err := web.New(web.Config{
		Sites: a.sites, Words: languages, Live: live, History: a.store, Staff: staff, Auth: auth,
		OnSite: hindsight.New(a.store).OnSite,
		Now:    a.now, Logger: a.logger, Title: a.cfg.Title,
	})
	if err != nil {
		return nil, fmt.Errorf("make the pages: %w", err)
	}
	server, err := api.New(api.Config{
		Sites: a.sites, Words: languages, Store: a.store, Live: live, Staff: staff, Auth: auth, Pages: pages,
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
