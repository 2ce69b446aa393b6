package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/perrondrukte/perrondrukte/config"
	"github.com/perrondrukte/perrondrukte/gateway"
	"github.com/perrondrukte/perrondrukte/internal/logs"
)

// socketFile is where a running gateway shows itself to who is on the device
// and may read its data, within the data directory.
const socketFile = "watch.sock"

// maxWatchers bounds how many look at once.
const maxWatchers = 4

func socketOf(g *config.Gateway) string { return filepath.Join(g.DataDir, socketFile) }

// showSelf writes a view of the gateway, as a line of JSON, to everyone who
// connects, every frame until they leave. A gateway counts without it.
func showSelf(ctx context.Context, path string, gw *gateway.Gateway, log *slog.Logger) {
	// The outbox is locked by this process: whatever is there is left over.
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		log.Warn("watch cannot look at this gateway", logs.Error, err)
		return
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "unix", path)
	if err == nil {
		err = os.Chmod(path, 0o600)
	}
	if err != nil {
		log.Warn("watch cannot look at this gateway", logs.Error, err)
		if l != nil {
			l.Close()
		}
		return
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	defer context.AfterFunc(ctx, func() { l.Close() })()
	seats := make(chan struct{}, maxWatchers)
	for {
		conn, err := l.Accept()
		if err != nil {
			if ctx.Err() == nil {
				log.Warn("watch cannot look at this gateway any more", logs.Error, err)
			}
			return
		}
		select {
		case seats <- struct{}{}:
			wg.Go(func() {
				defer func() { <-seats }()
				defer conn.Close()
				show(ctx, conn, gw)
			})
		default:
			conn.Close()
		}
	}
}

// show ends when the other side does, which is no fault.
func show(ctx context.Context, conn net.Conn, gw *gateway.Gateway) {
	enc := json.NewEncoder(conn)
	tick := time.NewTicker(frame)
	defer tick.Stop()
	for {
		v, err := gw.View(ctx)
		if err != nil || conn.SetWriteDeadline(time.Now().Add(5*time.Second)) != nil || enc.Encode(v) != nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// errNoService means that no gateway runs that shows itself.
var errNoService = errors.New("no running gateway shows itself")

// lookAt calls see with every view of the running gateway until ctx ends or see
// fails. It is errNoService when there is none, and an error when it ends.
func lookAt(ctx context.Context, path string, see func(gateway.View) error) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", path)
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("the running gateway may be looked at by root and by its own user only: sudo -u perron-gateway perron-gateway … : %w", err)
	}
	if err != nil {
		return errNoService
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	for dec := json.NewDecoder(conn); ; {
		var v gateway.View
		if err := dec.Decode(&v); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("the gateway has stopped: %w", err)
		}
		if err := see(v); err != nil {
			return err
		}
	}
}
