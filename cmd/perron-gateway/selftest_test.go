package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/perrondrukte/perrondrukte/gateway"
	"github.com/perrondrukte/perrondrukte/gateway/gatewaytest"
)

// selftest runs the program and returns what it says, and its exit status.
func selftest(t *testing.T, config string) (said string, code int) {
	t.Helper()
	cmd := program(t, "selftest", "--config", config)
	out, err := cmd.CombinedOutput()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// certificate makes one for 127.0.0.1 that signs itself and is good for d.
func certificate(t *testing.T, d time.Duration) (tls.Certificate, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(d), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func TestSelftest(t *testing.T) {
	s := newServer(t)
	url := "tcp://" + s.broker.Addr()
	good, _ := recording(t, 10, url)
	text, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Dir(good)
	write(t, dir, "file", "not a directory")

	// A server that shakes hands, and hangs up.
	soon, ca := certificate(t, 5*24*time.Hour)
	_, other := certificate(t, time.Hour)
	write(t, dir, "ca.pem", string(ca))
	write(t, dir, "other.pem", string(other))
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{soon}})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.(*tls.Conn).Handshake() // its error is the test's to see
			c.Close()
		}
	}()

	for _, c := range []struct {
		name     string
		old, new string // in the configuration
		code     int
		want     []string
	}{
		{"all well", "", "", 0, []string{"ok    poort/poort-1 is logged in and may read perron/v1/poort/poort-1/ack", "enough for an outbox", "written is on the disk after", "fit: wiring, clock, disk and link"}},
		{"password", "password: secret", "password: wrong", 1, []string{"WRONG the server refuses poort/poort-1", "perrondrukte gateway add", "not fit: one thing is wrong"}},
		{"nobody listens", url, "tcp://127.0.0.1:1", 1, []string{"WRONG no TCP connection"}},
		{"no such name", url, "tcp://gateway.invalid:1883", 1, []string{"WRONG the name gateway.invalid is not found"}},
		{"no room for files", "data_dir: data", "data_dir: file/data", 1, []string{"WRONG mkdir", "not a directory"}},
		{"certificate ends", url + `"`, "ssl://" + l.Addr().String() + `", ca_file: ca.pem`, 1, []string{"WRONG TLS: the server's certificate ends in 4 days", "WRONG the server refuses"}},
		{"other authority", url + `"`, "ssl://" + l.Addr().String() + `", ca_file: other.pem`, 1, []string{"WRONG no TLS:", "broker.ca_file"}},
		{"no pins", "", "", 1, []string{"WRONG input a (NOSUCHPIN)"}},
		{"no counter", "", "", 1, []string{"WRONG sensor main, in: unit 3, input register 12 on tcp://127.0.0.1:1: open tcp://127.0.0.1:1:", "connection refused"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := strings.Replace(string(text), c.old, c.new, 1)
			switch c.name {
			case "no counter":
				config = fmt.Sprintf(`
site: poort
gateway: poort-1
data_dir: data
broker: {url: %q, password: secret}
source:
  driver: modbus
  modbus: {buses: [{url: "tcp://127.0.0.1:1", counters: [{sensor: main, direction: in, unit: 3, register: input, address: 12, bits: 32, first: high}]}]}
`, url)
			case "no pins":
				config = fmt.Sprintf(`
site: poort
gateway: poort-1
data_dir: data
broker: {url: %q, password: secret}
inputs: [{id: a, pin: NOSUCHPIN}]
sensors: [{id: main-in, type: pulse, input: a, direction: in}]
`, url)
			}
			said, code := selftest(t, write(t, dir, "this.yaml", config))
			if code != c.code {
				t.Errorf("exit status %d", code)
			}
			for _, w := range c.want {
				if !strings.Contains(said, w) {
					t.Errorf("%q is missing in\n%s", w, said)
				}
			}
		})
	}

	t.Run("beside the service", func(t *testing.T) {
		cmd := program(t, "run", "--config", good)
		var log lockedBuffer
		cmd.Stderr = &log
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		gatewaytest.Until(t, "the recording is sent", func() bool { return s.count() >= 10 })
		said, code := selftest(t, good)
		if code != 0 || !strings.Contains(said, "ok    the running gateway is logged in") {
			t.Errorf("exit status %d\n%s", code, said)
		}
		if err := errors.Join(cmd.Process.Signal(os.Interrupt), cmd.Wait()); err != nil {
			t.Error(err)
		}
		if strings.Contains(log.String(), "another device") || strings.Contains(log.String(), "connection lost") {
			t.Errorf("the service was disturbed:\n%s", log.String())
		}
	})
}

// What is said of what is not there to be tried.
func TestSelftestWords(t *testing.T) {
	yes, no := true, false
	for _, c := range []struct {
		say  func(*report)
		want string
	}{
		{func(r *report) { r.finding(gateway.Finding{Grade: gateway.Good, Text: "input a: 100 % well"}) }, "ok    input a: 100 % well"},
		{func(r *report) { r.finding(gateway.Finding{Grade: gateway.Note, Text: "somebody else asks"}) }, "note  somebody else asks"},
		{func(r *report) { r.finding(gateway.Finding{Grade: gateway.Wrong, Text: "input a: no pin"}) }, "WRONG input a: no pin"},
		{func(r *report) { sayClock(r, &yes, 3*time.Millisecond, true, false) }, "ok    synchronised, at most 3 ms off"},
		{func(r *report) { sayClock(r, &no, 16*time.Second, true, false) }, "WRONG it is not synchronised"},
		{func(r *report) { sayClock(r, &no, 16*time.Second, true, true) }, "note  it is not synchronised, but"},
		{func(r *report) { sayClock(r, nil, 0, false, false) }, "note  the kernel does not say"},
	} {
		var out bytes.Buffer
		r := &report{w: &out}
		c.say(r)
		if !strings.Contains(out.String(), c.want) || (r.bad == 1) != strings.Contains(c.want, "WRONG") {
			t.Errorf("says %q, want %q", out.String(), c.want)
		}
	}
}
