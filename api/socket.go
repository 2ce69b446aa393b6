package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"github.com/perrondrukte/perrondrukte/api/hub"
	"github.com/perrondrukte/perrondrukte/internal/logs"
	"github.com/perrondrukte/perrondrukte/words"
)

// Viewers bounds the websockets of a server. Zero values stand for the
// defaults.
type Viewers struct {
	Max   int // at once; 5000
	PerIP int // at once from one address (IPv6: one /64); 1000. Loopback is not counted
	Queue int // messages that a viewer may lag behind; 64
	// Gap is the least time between two messages to the public about one site;
	// the first after a pause goes out at once. 40 ms.
	Gap time.Duration
	// Write is how long one message may take to get into the network; 10 s.
	Write time.Duration
	// Ping is the time between pings; 30 s. A viewer that is not heard of for two
	// and a half times as long is gone.
	Ping time.Duration
}

func (v Viewers) withDefaults() Viewers {
	set(&v.Max, 5000)
	set(&v.PerIP, 1000) // thousands of phones share an address of a mobile network
	set(&v.Queue, 64)
	set(&v.Gap, 40*time.Millisecond)
	set(&v.Write, 10*time.Second)
	set(&v.Ping, 30*time.Second)
	return v
}

func set[T int | time.Duration](v *T, fallback T) {
	if *v <= 0 {
		*v = fallback
	}
}

// Sockets are small: clients send nothing but control frames, and what they
// are sent is prepared beforehand.
const (
	socketBuffer   = 512 // bytes
	socketReadSize = 512
	closeTimeout   = time.Second
)

// A frame is a message made ready once for all who get it.
type frame struct {
	text     []byte
	prepared *websocket.PreparedMessage
}

// prepare makes a LiveMessage or a StatementMessage ready. Its texts stand in no HTML,
// so that a < needs no escape.
func prepare(m any) (*frame, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(m); err != nil {
		return nil, err
	}
	text := bytes.TrimSuffix(out.Bytes(), []byte("\n"))
	prepared, err := websocket.NewPreparedMessage(websocket.TextMessage, text)
	return &frame{text, prepared}, err
}

// A lounge holds the viewers' websockets.
type lounge struct {
	limits   Viewers
	trusted  []netip.Prefix
	origins  []string
	upgrader websocket.Upgrader
	live     *Live
	feed     *feed
	auth     *Auth
	metrics  *metrics
	logger   *slog.Logger

	mu      sync.Mutex
	conns   map[*websocket.Conn]struct{}
	total   int
	perIP   map[string]int
	told    time.Time // when it was last logged that an address has too many
	closing bool
	wg      sync.WaitGroup
}

func newLounge(c *Config, f *feed, m *metrics) *lounge {
	l := &lounge{
		limits: c.Viewers, trusted: c.TrustedProxies, origins: c.Origins,
		live: c.Live, feed: f, auth: c.Auth,
		metrics: m, logger: c.Logger, perIP: make(map[string]int), conns: make(map[*websocket.Conn]struct{}),
	}
	l.upgrader = websocket.Upgrader{
		HandshakeTimeout: 10 * time.Second,
		ReadBufferSize:   socketBuffer,
		WriteBufferSize:  socketBuffer,
		WriteBufferPool:  new(sync.Pool),
		CheckOrigin:      l.sameOrigin,
		Error: func(w http.ResponseWriter, r *http.Request, status int, reason error) {
			problem(w, r, l.logger, &failure{status: status, detail: reason.Error()})
		},
	}
	return l
}

// sameOrigin admits pages of this host and of the configured origins.
// Requests without an Origin do not come from a page.
func (l *lounge) sameOrigin(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return true
	}
	return ownPage(r) || slices.ContainsFunc(l.origins, func(o string) bool {
		return strings.EqualFold(o, origin)
	})
}

// ownPage says whether the request comes from a page of this host, or from no
// page.
func ownPage(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return true
	}
	u, err := url.Parse(origin)
	return err == nil && u.Host != "" && strings.EqualFold(u.Host, r.Host)
}

// A request for a websocket, checked.
type viewerRequest struct {
	view  *view
	sites []string // empty for all
	at    *hub.Position
	// stillValid is asked now and then by viewers with a session.
	stillValid func(context.Context) bool
}

func (l *lounge) parse(r *http.Request) (*viewerRequest, error) {
	q := r.URL.Query()
	v := new(viewerRequest)
	named := q["site"]
	if len(named) > len(l.live.sites) {
		return nil, invalid("site", fmt.Sprint(len(named)), "%d are named, there are %d", len(named), len(l.live.sites))
	}
	for _, id := range named {
		if _, ok := l.live.sites[id]; !ok {
			return nil, &failure{
				status: http.StatusNotFound, parameter: "site", value: clip(id),
				detail: fmt.Sprintf("there is no site %q", clip(id)),
			}
		}
		if !slices.Contains(v.sites, id) {
			v.sites = append(v.sites, id)
		}
	}
	if since := q.Get("since"); since != "" {
		seq, err := strconv.ParseUint(since, 10, 63)
		if err != nil {
			return nil, invalid("since", since, "%q is not a sequence number", clip(since))
		}
		v.at = &hub.Position{Run: q.Get("run"), Seq: seq}
	}
	to := words.ToAll
	switch detail := q.Get("detail"); detail {
	case "":
	case "staff":
		// A page of a neighbouring host gets the cookie too, and what staff see is
		// not meant for it, whatever else it may show.
		if !ownPage(r) {
			return nil, &failure{status: http.StatusForbidden, detail: "pages of this origin may not see what staff see", value: clip(r.Header.Get("Origin"))}
		}
		valid, err := l.auth.authorize(r)
		if err != nil {
			return nil, err
		}
		to, v.stillValid = words.ToStaff, valid
	default:
		return nil, invalid("detail", detail, "%q is not staff", clip(detail))
	}
	lang := q.Get("lang")
	var ok bool
	if v.view, ok = l.feed.view(to, lang); !ok {
		return nil, noLanguage(lang)
	}
	if !websocket.IsWebSocketUpgrade(r) {
		return nil, &failure{status: http.StatusUpgradeRequired, detail: "this is a websocket: ask for it with Upgrade: websocket"}
	}
	if !l.sameOrigin(r) {
		return nil, &failure{status: http.StatusForbidden, detail: "pages of this origin may not open the websocket", value: clip(r.Header.Get("Origin"))}
	}
	return v, nil
}

// admit counts a viewer in, within the limits. leave counts it out.
func (l *lounge) admit(addr netip.Addr) (leave func(), err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := clientKey(addr)
	switch {
	case l.closing:
		return nil, &failure{status: http.StatusServiceUnavailable, detail: "the server is going away", retryAfter: 5 * time.Second}
	case l.total >= l.limits.Max:
		l.metrics.refused.WithLabelValues("full").Inc()
		return nil, &failure{status: http.StatusServiceUnavailable, detail: "too many viewers", retryAfter: 30 * time.Second}
	case l.perIP[key] >= l.limits.PerIP && !addr.IsLoopback():
		l.metrics.refused.WithLabelValues("address").Inc()
		if now := time.Now(); now.Sub(l.told) >= time.Minute {
			l.told = now
			l.logger.Warn("an address has too many viewers; if it is a proxy of yours, name it in trusted_proxies", logs.Address, addr, logs.Viewers, l.perIP[key])
		}
		return nil, &failure{status: http.StatusTooManyRequests, detail: "too many viewers from one address", retryAfter: 30 * time.Second}
	}
	l.total++
	l.perIP[key]++
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.total--
		if l.perIP[key]--; l.perIP[key] == 0 {
			delete(l.perIP, key)
		}
	}, nil
}

// handle turns a request into a viewer. The request's goroutine ends at once,
// so that a viewer does not hold on to what net/http keeps of a request.
func (l *lounge) handle(w http.ResponseWriter, r *http.Request) error {
	v, err := l.parse(r)
	if err != nil {
		return err
	}
	leave, err := l.admit(clientAddr(r, l.trusted))
	if err != nil {
		return err
	}
	conn, err := l.upgrader.Upgrade(w, r, nil)
	if err != nil {
		leave()
		l.metrics.refused.WithLabelValues("handshake").Inc()
		return nil // the upgrader has answered
	}
	member, welcome, ok := v.view.hub.Join(v.sites, l.limits.Queue, v.at)
	if !ok {
		leave()
		l.close(conn, websocket.CloseGoingAway, "")
		return nil
	}
	l.mu.Lock()
	if l.closing { // wait may have returned already
		l.mu.Unlock()
		leave()
		member.Leave()
		l.close(conn, websocket.CloseGoingAway, "")
		return nil
	}
	l.wg.Add(2)
	l.conns[conn] = struct{}{}
	l.mu.Unlock()
	l.metrics.viewers.WithLabelValues(v.view.name).Inc()
	go func() {
		defer l.wg.Done()
		defer member.Leave() // which ends the writer
		l.read(conn)
	}()
	go func() {
		defer l.wg.Done()
		defer leave()
		defer l.forget(conn)
		defer l.metrics.viewers.WithLabelValues(v.view.name).Dec()
		defer conn.Close() // which ends the reader
		defer member.Leave()
		if err := l.write(conn, v, member, welcome); err != nil && !errors.Is(err, net.ErrClosed) {
			l.logger.Debug("viewer lost", logs.Address, conn.RemoteAddr().String(), logs.Error, err)
		}
	}()
	return nil
}

// read takes in pongs and the end of the connection. Clients have nothing to
// say; one that says something is sent away.
func (l *lounge) read(conn *websocket.Conn) {
	patience := l.limits.Ping * 5 / 2
	extend := func(string) error { return conn.SetReadDeadline(time.Now().Add(patience)) }
	conn.SetReadLimit(socketReadSize)
	conn.SetPongHandler(extend)
	if extend("") != nil {
		return
	}
	if _, _, err := conn.NextReader(); err == nil {
		l.metrics.dropped.WithLabelValues("talked").Inc()
		l.close(conn, websocket.ClosePolicyViolation, "this websocket takes no messages")
	}
}

// write is the only writer of data frames on the connection.
func (l *lounge) write(conn *websocket.Conn, v *viewerRequest, member *hub.Member[*frame], welcome hub.Welcome[*frame]) error {
	send := func(f *frame) error {
		if err := conn.SetWriteDeadline(time.Now().Add(l.limits.Write)); err != nil {
			return err
		}
		err := conn.WritePreparedMessage(f.prepared)
		if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
			l.metrics.dropped.WithLabelValues("slow").Inc()
		}
		return err
	}
	first, err := l.greeting(v, welcome)
	if err != nil {
		return err
	}
	for _, f := range first {
		if err := send(f); err != nil {
			return err
		}
	}
	ping := time.NewTicker(l.limits.Ping)
	defer ping.Stop()
	for {
		select {
		case f := <-member.Messages():
			if err := send(f); err != nil {
				return err
			}
		case <-ping.C:
			if v.stillValid != nil && !l.ask(v.stillValid) {
				l.close(conn, websocket.ClosePolicyViolation, "the session has ended")
				return nil
			}
			if err := conn.WriteControl(websocket.PingMessage, nil, time.Now().Add(l.limits.Write)); err != nil {
				return err
			}
		case <-member.Done():
			switch member.Why() {
			case hub.Slow:
				l.metrics.dropped.WithLabelValues("slow").Inc()
				l.close(conn, websocket.CloseTryAgainLater, "too slow")
			case hub.Closed:
				l.close(conn, websocket.CloseGoingAway, "")
			}
			return nil
		}
	}
}

func (l *lounge) ask(valid func(context.Context) bool) bool {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return valid(ctx)
}

// greeting is the snapshot, or what a returning viewer missed; one that missed
// nothing gets a heartbeat, so that it knows it is back.
func (l *lounge) greeting(v *viewerRequest, welcome hub.Welcome[*frame]) ([]*frame, error) {
	if welcome.Resumed && len(welcome.Missed) > 0 {
		return welcome.Missed, nil
	}
	m := v.view.beat(welcome.Seq, l.live.now())
	if !welcome.Resumed {
		sites := v.sites
		if len(sites) == 0 {
			for _, s := range l.live.order {
				sites = append(sites, s.ID)
			}
		}
		m = v.view.snapshot(sites, welcome.Seq, l.live.now())
	}
	f, err := prepare(m)
	if err != nil {
		return nil, fmt.Errorf("encode greeting: %w", err)
	}
	return []*frame{f}, nil
}

// close says goodbye, as far as the other side still listens, and closes.
func (l *lounge) close(conn *websocket.Conn, code int, reason string) {
	// Neither error is of use: the connection is given up either way.
	_ = conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, reason), time.Now().Add(closeTimeout))
	_ = conn.Close()
}

// shut admits nobody any more and sends everybody away. wait returns when all
// are gone.
func (l *lounge) shut() {
	l.mu.Lock()
	l.closing = true
	l.mu.Unlock()
	l.feed.close()
}

// wait gives viewers that do not listen a moment and then hangs up.
func (l *lounge) wait() {
	hangUp := time.AfterFunc(2*closeTimeout, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		for conn := range l.conns {
			_ = conn.Close()
		}
	})
	defer hangUp.Stop()
	l.wg.Wait()
}

func (l *lounge) forget(conn *websocket.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, conn)
}
