package certs

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/perrondrukte/perrondrukte/config"
	"github.com/perrondrukte/perrondrukte/internal/logs"
)

// Files are the certificate that the broker shows and the authorities whose
// clients it knows. They are read again when they have changed, as they do when
// a certificate is renewed: connections that stand go on, new ones get the new
// certificate. What cannot be read leaves the one before in place, and is logged.
type Files struct {
	certFile, keyFile, authority string
	now                          func() time.Time
	log                          *slog.Logger

	mu       sync.Mutex
	looked   time.Time
	stamps   [3]stamp
	pair     *tls.Certificate
	previous *tls.Certificate
	pool     *x509.CertPool // nil while there is no authority
	told     time.Time      // that the certificate shown has expired
}

// A stamp is how a change of a file is noticed; nil when there is none.
type stamp struct{ fs.FileInfo }

// is says whether a file is as it was. Two writes within a tick of the kernel's
// clock have the same time, but a file that is put in place of another is
// another.
func (s stamp) is(o stamp) bool {
	if s.FileInfo == nil || o.FileInfo == nil {
		return s.FileInfo == nil && o.FileInfo == nil
	}
	return os.SameFile(s.FileInfo, o.FileInfo) && s.Size() == o.Size() && s.ModTime().Equal(o.ModTime())
}

// lookEvery is how often files are looked at, at most.
const lookEvery = 100 * time.Millisecond

// OpenFiles reads a certificate and its key. authorityDir is the folder of an
// [Authority], which need not be there yet.
func OpenFiles(certFile, keyFile, authorityDir string, now func() time.Time, log *slog.Logger) (*Files, error) {
	f := &Files{certFile: certFile, keyFile: keyFile, authority: filepath.Join(authorityDir, authorityFile), now: now, log: log}
	f.stamps = f.stat()
	pair, err := f.readPair()
	if err != nil {
		return nil, err
	}
	f.pair = pair
	if f.pool, err = f.readPool(); err != nil {
		return nil, err
	}
	return f, nil
}

func (f *Files) readPair() (*tls.Certificate, error) {
	if err := config.CheckPrivate(f.keyFile); err != nil {
		return nil, fmt.Errorf("load the broker's certificate: %w", err)
	}
	pair, err := tls.LoadX509KeyPair(f.certFile, f.keyFile)
	if err != nil {
		return nil, fmt.Errorf("load the broker's certificate: %w", err)
	}
	return &pair, nil
}

func (f *Files) readPool() (*x509.CertPool, error) {
	text, err := os.ReadFile(f.authority)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("load the certificate authority: %w", err)
	}
	pool, err := Trusted(text)
	if err != nil {
		return nil, fmt.Errorf("load the certificate authority: %s %w", f.authority, err)
	}
	return pool, nil
}

func (f *Files) stat() (out [3]stamp) {
	for i, path := range []string{f.certFile, f.keyFile, f.authority} {
		if info, err := os.Stat(path); err == nil {
			out[i] = stamp{info}
		}
	}
	return out
}

// refresh reads what has changed. The caller holds mu.
func (f *Files) refresh() {
	if time.Since(f.looked) < lookEvery {
		return
	}
	f.looked = time.Now()
	stamps := f.stat()
	if !stamps[0].is(f.stamps[0]) || !stamps[1].is(f.stamps[1]) {
		pair, err := f.readPair()
		if err != nil {
			// A renewal writes one file after the other: until both are there, they
			// do not fit each other, and it is tried again with the next change.
			f.log.Warn("the broker's certificate has changed and cannot be used; the one before stays", logs.Error, err)
		} else {
			f.previous, f.pair = f.pair, pair
			words, _ := Left(pair.Leaf, f.now())
			f.log.Info("the broker's certificate was read anew; it " + words)
		}
	}
	if !stamps[2].is(f.stamps[2]) {
		pool, err := f.readPool()
		if err != nil {
			f.log.Warn("the certificate authority has changed and cannot be used; the one before stays", logs.Error, err)
		} else {
			f.pool = pool
		}
	}
	f.stamps = stamps
}

// Leaf is the certificate that is shown now.
func (f *Files) Leaf() *x509.Certificate {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refresh()
	return f.pair.Leaf
}

// Server is the side of the broker: it shows the certificate and verifies that
// of a client that has one. Whether a client needs one is asked later, when it
// has said who it is.
func (f *Files) Server() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.refresh()
			if words, _ := Left(f.pair.Leaf, f.now()); f.now().After(f.pair.Leaf.NotAfter) && time.Since(f.told) > time.Hour {
				f.told = time.Now()
				f.log.Error("the broker's certificate " + words + ": gateways refuse it until it is renewed")
			}
			c := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{*f.pair}, Time: f.now}
			if f.pool != nil {
				c.ClientAuth, c.ClientCAs = tls.VerifyClientCertIfGiven, f.pool
			}
			return c, nil
		},
	}
}

// Own is for our own connections to our own broker over loopback. The name on
// the certificate is that of the outside world, so the certificate itself is
// compared instead. Those connections do not care whether it has expired.
func (f *Files) Own() *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: true, // replaced by VerifyConnection
		VerifyConnection: func(s tls.ConnectionState) error {
			f.mu.Lock()
			defer f.mu.Unlock()
			for _, own := range []*tls.Certificate{f.pair, f.previous} {
				if own != nil && len(s.PeerCertificates) > 0 && s.PeerCertificates[0].Equal(own.Leaf) {
					return nil
				}
			}
			return fmt.Errorf("the broker shows another certificate than %s", f.certFile)
		},
	}
}
