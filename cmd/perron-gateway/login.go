package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/perrondrukte/perrondrukte/broker"
	"github.com/perrondrukte/perrondrukte/config"
	"github.com/perrondrukte/perrondrukte/internal/certs"
	"github.com/perrondrukte/perrondrukte/internal/logs"
)

// A credential is what the gateway shows to the broker. It is read from the
// configuration again when that changes, so that one that is replaced is used
// without a restart: a restart would cost the counts of a second.
type credential struct {
	log *slog.Logger

	mu    sync.Mutex
	shown [4][]byte // password, certificate, key, authorities
	login broker.Login
	told  time.Time // that the certificate ends soon
}

func newCredential(b *config.GatewayBroker, log *slog.Logger) (*credential, error) {
	c := &credential{log: log}
	_, err := c.renew(b)
	return c, err
}

// renew uses what the configuration holds and says whether it is something new.
func (c *credential) renew(b *config.GatewayBroker) (changed bool, err error) {
	password, err := b.ReadPassword()
	if err != nil {
		return false, err
	}
	certificate, key, ca, err := b.ReadTLS()
	if err != nil {
		return false, err
	}
	shown := [4][]byte{[]byte(password), certificate, key, ca}
	login := broker.Login{Password: password}
	if ca != nil || certificate != nil {
		login.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if ca != nil {
		if login.TLS.RootCAs, err = certs.Trusted(ca); err != nil {
			return false, fmt.Errorf("broker.ca: %w", err)
		}
	}
	if certificate != nil {
		pair, err := tls.X509KeyPair(certificate, key)
		if err != nil {
			return false, fmt.Errorf("broker.certificate and broker.key: %w", err)
		}
		login.TLS.Certificates = []tls.Certificate{pair}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range shown {
		changed = changed || !bytes.Equal(shown[i], c.shown[i])
	}
	c.shown, c.login = shown, login
	if changed {
		c.told = time.Time{}
	}
	return changed, nil
}

// Login is what is shown at the next connection. A certificate that has expired
// is shown all the same: it may be this clock that is wrong, and it is for the
// broker to refuse it.
func (c *credential) Login() (broker.Login, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.warn(time.Now())
	return c.login, nil
}

// warn says once a day that the certificate ends soon. The caller holds mu.
func (c *credential) warn(now time.Time) {
	if c.login.TLS == nil || len(c.login.TLS.Certificates) == 0 || now.Sub(c.told).Abs() < 24*time.Hour {
		return
	}
	if words, warn := certs.Left(c.login.TLS.Certificates[0].Leaf, now); warn {
		c.told = now
		c.log.Warn("this gateway's certificate " + words + " by this device's clock; issue another on the server with: perrondrukte gateway rotate")
	}
}

// lookEvery is how often the configuration is looked at.
const lookEvery = 5 * time.Second

// watch takes in what changes in the file's section broker, and calls renew
// then, until ctx ends. What cannot be used is logged once, and the one before
// stays.
func (c *credential) watch(ctx context.Context, path string, renew func()) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	complained := ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		changed, err := c.reload(path)
		switch {
		case err != nil && err.Error() != complained:
			complained = err.Error()
			c.log.Warn("the configuration cannot be used; the credential before stays", logs.File, path, logs.Error, err)
		case err == nil:
			complained = ""
		}
		if changed {
			c.log.Info("the credential has changed; connecting anew", logs.File, path)
			renew()
		}
		c.mu.Lock()
		c.warn(time.Now())
		c.mu.Unlock()
	}
}

func (c *credential) reload(path string) (changed bool, err error) {
	if _, err := os.Stat(path); err != nil { // being replaced, perhaps
		return false, err
	}
	g, err := config.LoadGateway(path)
	if err != nil {
		return false, fmt.Errorf("%s", strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	return c.renew(&g.Broker)
}
