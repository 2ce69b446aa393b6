package main

import (
	"crypto/tls"
	"fmt"
	"os"

	"github.com/perrondrukte/perrondrukte/internal/certs"
)

// clientTLS trusts the certificates in a PEM file; nil, for those of the
// system, without a file.
func clientTLS(caFile string) (*tls.Config, error) {
	if caFile == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(caFile)
	if err != nil {
		return nil, fmt.Errorf("read ca_file: %w", err)
	}
	pool, err := certs.Trusted(pem)
	if err != nil {
		return nil, fmt.Errorf("read ca_file: %s %w", caFile, err)
	}
	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, nil
}
