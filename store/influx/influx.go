// Package influx keeps events, counts, states, forecasts and actions in
// InfluxDB, by the write and Flux query API that 1.8 (with flux-enabled) and
// 2.x share. For 1.8 the token is "user:password", the organisation is ignored
// and the bucket is "database" or "database/retention-policy".
//
// InfluxDB has no transactions, and a point is its tags and its timestamp. So:
//
//   - An event's tags are its site, gateway, epoch, sensor and kind, and its
//     timestamp is the time of the event cut to the millisecond plus its
//     sequence number modulo 999,999, as nanoseconds. Two events of one instant
//     are two points, and a resend lands on the point that is there. The exact
//     time is a field.
//   - A commit writes the events, then counts anew the quarters of an hour that
//     they touch, from what is stored, then records losses, and moves the
//     gateway's cursor last. Whatever stops it on the way, the gateway resends,
//     and everything is written again over itself. Until then the events that did
//     arrive can be seen, though they are not acknowledged.
//   - Rollups, cursors and losses belong to one gateway and epoch, so that commits
//     of different gateways have nothing in common. One process at a time may
//     commit for a gateway.
//
// Measurements and fields, which never change their type: event (t, seq int;
// gate string), count (in, out int; tag gate; a point a quarter), cursor (acked,
// first, last int), aside, loss, sample, forecast, action, reading (data
// string), meta. The bucket must keep its data for ever: cursors, readings and
// some other points are stamped with the year 2000.
package influx

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	influxdb2 "github.com/influxdata/influxdb-client-go/v2"
	"github.com/influxdata/influxdb-client-go/v2/api"
	influxhttp "github.com/influxdata/influxdb-client-go/v2/api/http"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/perrondrukte/perrondrukte/store"
)

// Config says where the server is.
type Config struct {
	URL    string // http://host:8086
	Token  string // for 1.8 user:password
	Org    string // not for 1.8
	Bucket string // for 1.8 database or database/retention-policy
	// ForecastBucket is where forecasts go; empty is Bucket. The client cannot
	// delete what is old on 1.8, so a bucket with a retention of 60 days, say, is
	// how to keep them from growing by some 100 MB a year and site.
	ForecastBucket string
	// Timeout bounds one request; zero is 30 s.
	Timeout time.Duration
	// Transport replaces the HTTP transport, for certificates say; nil is one
	// of its own.
	Transport  http.RoundTripper
	Registerer prometheus.Registerer
}

// schema is the version of what the package comment describes.
const schema = 1

// epoch0 is the time of points that have no time of their own.
var epoch0 = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// A Store is a connection to a bucket. It may be used by many goroutines at
// once.
type Store struct {
	client            influxdb2.Client
	idle              func()
	query             api.QueryAPI
	write             api.WriteAPIBlocking
	writeForecasts    api.WriteAPIBlocking
	bucket, forecasts string // as Flux literals
	metrics           *store.Metrics
	closed            atomic.Bool

	mu      sync.Mutex
	streams map[streamID]*stream
	actions chan struct{} // held by who saves an action
}

// Open connects to the server and looks that the bucket can be written and
// read.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	s, err := open(cfg)
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", cfg.URL, err)
	}
	if err := s.begin(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open store %s, bucket %q: %w", cfg.URL, cfg.Bucket, err), s.Close())
	}
	return s, nil
}

func open(cfg Config) (*Store, error) {
	if cfg.Bucket == "" {
		return nil, errors.New("no bucket is named")
	}
	if cfg.ForecastBucket == "" {
		cfg.ForecastBucket = cfg.Bucket
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 30 * time.Second
	}
	metrics, err := store.NewMetrics(cfg.Registerer)
	if err != nil {
		return nil, err
	}
	idle := func() {}
	if cfg.Transport == nil {
		t := &http.Transport{
			Proxy:                 http.ProxyFromEnvironment,
			DialContext:           (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
			MaxIdleConnsPerHost:   16,
			IdleConnTimeout:       time.Minute,
			TLSHandshakeTimeout:   5 * time.Second,
			ResponseHeaderTimeout: cfg.Timeout,
		}
		cfg.Transport, idle = t, t.CloseIdleConnections
	}
	client := influxdb2.NewClientWithOptions(cfg.URL, cfg.Token, influxdb2.DefaultOptions().
		SetApplicationName("perrondrukte").
		SetHTTPClient(&http.Client{Transport: cfg.Transport, Timeout: cfg.Timeout}))
	return &Store{
		client: client, idle: idle, query: client.QueryAPI(cfg.Org),
		write: client.WriteAPIBlocking(cfg.Org, cfg.Bucket), writeForecasts: client.WriteAPIBlocking(cfg.Org, cfg.ForecastBucket),
		bucket: literal(cfg.Bucket), forecasts: literal(cfg.ForecastBucket),
		metrics: metrics,
		streams: make(map[streamID]*stream), actions: make(chan struct{}, 1),
	}, nil
}

// begin looks at the version of what is stored, and writes its own.
func (s *Store) begin(ctx context.Context) error {
	rows, err := s.rows(ctx, s.from(s.bucket, epoch0, epoch0.Add(1), `r._measurement == "meta"`)+pivot)
	if err != nil {
		return err
	}
	for _, r := range rows {
		if v := r.int("schema"); v > schema {
			return fmt.Errorf("the bucket has schema %d, made by a newer version of this program, which knows %d", v, schema)
		}
	}
	var l lines
	l.point("meta", tag{"app", "perrondrukte"})
	l.int("schema", schema)
	l.end(epoch0.UnixNano())
	if err := s.send(ctx, s.write, &l); err != nil {
		return fmt.Errorf("write (the bucket must keep data for ever): %w", err)
	}
	return nil
}

var errClosed = fmt.Errorf("%w: it is closed", store.ErrUnavailable)

// Close ends the connections. Later calls get [store.ErrUnavailable].
func (s *Store) Close() error {
	if s.closed.Swap(true) {
		return nil
	}
	s.client.Close()
	s.idle()
	return nil
}

// Ping asks the server for the mark that Open left in the bucket.
func (s *Store) Ping(ctx context.Context) error {
	rows, err := s.rows(ctx, s.from(s.bucket, epoch0, epoch0.Add(1), `r._measurement == "meta"`))
	if err == nil && len(rows) == 0 {
		err = fmt.Errorf("%w: the bucket has lost its mark", store.ErrUnavailable)
	}
	if err != nil {
		return fmt.Errorf("ping store: %w", err)
	}
	return nil
}

// explain adds the sentinel error that a caller can act on. The cause is kept as
// text only: an HTTP timeout of ours is not the end of the caller's context.
func explain(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return fmt.Errorf("%w (%v)", ctx.Err(), err)
	}
	if strings.Contains(err.Error(), "no space left on device") {
		return fmt.Errorf("%w: %v", store.ErrFull, err)
	}
	// 1.8 answers a question about a bucket that it does not have with 500.
	if strings.HasSuffix(strings.TrimSpace(err.Error()), "no database") {
		return fmt.Errorf("there is no such bucket: %w", err)
	}
	var e *influxhttp.Error
	if errors.As(err, &e) && e.StatusCode >= 400 && e.StatusCode < 500 &&
		e.StatusCode != http.StatusTooManyRequests && e.StatusCode != http.StatusRequestTimeout {
		return fmt.Errorf("the server refuses (%d): %w", e.StatusCode, err)
	}
	return fmt.Errorf("%w: %v", store.ErrUnavailable, err)
}
