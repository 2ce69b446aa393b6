package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/perrondrukte/perrondrukte/broker"
)

// alive says whether every part makes progress; the watchdog asks. What another
// program does, a database or a broker elsewhere, is not looked at: starting
// this one again does not help against it.
func (a *app) alive(ctx context.Context) error {
	var errs []error
	for _, check := range a.checks {
		errs = append(errs, check(ctx))
	}
	return errors.Join(errs...)
}

// checkLink has a connection of our own show that the broker in this process
// serves.
func (a *app) checkLink(link *broker.Client) {
	if a.broker == nil {
		return
	}
	a.checks = append(a.checks, func(context.Context) error {
		if !link.Connected() {
			return errors.New("the broker in this process has no connection to the rest of it")
		}
		return nil
	})
}

// websiteAnswers asks the website as a visitor would.
func (a *app) websiteAnswers(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, siteURL(a.server.Addr())+"/healthz", nil)
	if err != nil {
		return fmt.Errorf("ask the website: %w", err)
	}
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("the website does not answer: %w", err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("the website answers %s", answer.Status)
	}
	return nil
}
