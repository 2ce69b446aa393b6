package embedded

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/perrondrukte/perrondrukte/broker"
	"github.com/perrondrukte/perrondrukte/internal/logs"
	"github.com/perrondrukte/perrondrukte/internal/rarely"
)

const (
	protocol311 = 4 // the protocol level of MQTT 3.1.1
	serviceMark = "\x00service"
	// supersededTopic is where the will of a client goes whose place another one of
	// its name has taken: to nobody.
	supersededTopic = "perrondrukte/superseded"
)

var (
	errProtocol  = errors.New("not MQTT 3.1.1")
	errKeepAlive = errors.New("keep-alive is zero or too long")
)

// guard decides who comes in and who may do what. A client that is in has
// proved to bear its user name, which says it all of a gateway. The library has
// no place for what a hook knows of a client, so the user name of a service is
// replaced by a mark that no gateway can bear.
type guard struct {
	mochi.HookBase
	broker     *Broker
	refused    *rarely.Limiter
	superseded sync.Map // *mochi.Client → struct{}, until it has left
	asked      sync.Map // *mochi.Client → chan struct{}: whether it is still there
}

func (g *guard) ID() string { return "perrondrukte" }

func (g *guard) Provides(b byte) bool {
	switch b {
	case mochi.OnConnect, mochi.OnConnectAuthenticate, mochi.OnPacketRead, mochi.OnSessionEstablish, mochi.OnWill, mochi.OnDisconnect, mochi.OnACLCheck, mochi.OnPublish, mochi.OnPublishDropped:
		return true
	}
	return false
}

// OnConnect refuses what the library cannot be configured to refuse.
func (g *guard) OnConnect(cl *mochi.Client, pk packets.Packet) error {
	if pk.ProtocolVersion != protocol311 {
		_ = g.broker.server.SendConnack(cl, packets.ErrUnsupportedProtocolVersion, false, nil)
		g.refuse("protocol", cl, slog.Any(logs.Protocol, pk.ProtocolVersion))
		return errProtocol
	}
	// Without a keep-alive the library never notices that a client is gone.
	if s := pk.Connect.Keepalive; s == 0 || time.Duration(s)*time.Second > g.broker.cfg.MaxKeepAlive {
		_ = g.broker.server.SendConnack(cl, packets.ErrServerUnavailable, false, nil)
		g.refuse("keep_alive", cl, slog.Any(logs.KeepAlive, s))
		return errKeepAlive
	}
	return nil
}

// OnConnectAuthenticate checks user, password, client id and last will.
func (g *guard) OnConnectAuthenticate(cl *mochi.Client, pk packets.Packet) bool {
	user := string(pk.Connect.Username)
	login := Login{Username: user, Password: string(pk.Connect.Password), Certificate: certificateOf(cl)}
	p, err := g.broker.cfg.Credentials.Authenticate(login)
	if err == nil && !p.consistent(user) {
		err = errors.New("the credential is of somebody else")
	}
	switch {
	case err != nil:
		g.refuse("credentials", cl, slog.Any(logs.Error, err))
	case !mayBear(user, pk.Connect.ClientIdentifier, p.Service):
		g.refuse("client_id", cl, slog.String(logs.Client, clip(pk.Connect.ClientIdentifier)))
	case p.Service:
		cl.Properties.Username = []byte(serviceMark)
		return true
	case pk.Connect.WillFlag && !mayPublish(user, pk.Connect.WillTopic):
		// The library publishes a will without asking anybody.
		g.refuse("will", cl, slog.String(logs.Topic, clip(pk.Connect.WillTopic)))
	case g.rivals(cl, pk.Connect.ClientIdentifier, p.Site, p.Gateway):
		_ = g.broker.server.SendConnack(cl, packets.ErrClientIdentifierNotValid, false, nil)
		g.refuse("in_use", cl, slog.String(logs.Hint, "a client with this name is connected and alive; two devices must not have one name"))
	default:
		return true
	}
	return false
}

// certificateOf is the certificate that a client has proved to hold.
func certificateOf(cl *mochi.Client) *x509.Certificate {
	conn, ok := cl.Net.Conn.(*tls.Conn)
	if !ok {
		return nil
	}
	if state := conn.ConnectionState(); len(state.VerifiedChains) > 0 {
		return state.PeerCertificates[0]
	}
	return nil
}

// OnSessionEstablish comes before an older connection of the same client is
// thrown out. Its will would report the gateway offline after the newer
// connection has said that it is online.
func (g *guard) OnSessionEstablish(cl *mochi.Client, _ packets.Packet) {
	if old, ok := g.broker.server.Clients.Get(cl.ID); ok && !old.Closed() {
		g.superseded.Store(old, struct{}{})
	}
}

// OnWill takes the sting out of a will that must not be sent. The library can
// only change a will; nobody listens to where this one goes. That the broker
// itself stops does not mean that the gateways died.
func (g *guard) OnWill(cl *mochi.Client, will mochi.Will) (mochi.Will, error) {
	if _, ok := g.superseded.Load(cl); ok || g.broker.stopping.Load() {
		return mochi.Will{TopicName: supersededTopic}, nil
	}
	return will, nil
}

// OnDisconnect comes after the will.
func (g *guard) OnDisconnect(cl *mochi.Client, _ error, _ bool) { g.superseded.Delete(cl) }

// OnACLCheck is asked for each publish and each subscription, and for each
// message before it is delivered.
func (g *guard) OnACLCheck(cl *mochi.Client, topic string, write bool) bool {
	user := string(cl.Properties.Username)
	if write {
		if mayPublish(user, topic) {
			return true
		}
		g.refuse("publish", cl, slog.String(logs.Topic, clip(topic)))
		return false
	}
	if mayRead(user, topic) {
		return true
	}
	g.refuse("subscribe", cl, slog.String(logs.Topic, clip(topic)))
	return false
}

// OnPublish keeps events from being retained: a batch belongs to the collector
// once, not to every subscriber for ever.
func (g *guard) OnPublish(_ *mochi.Client, pk packets.Packet) (packets.Packet, error) {
	if pk.FixedHeader.Retain && strings.HasSuffix(pk.TopicName, "/"+broker.LeafEvents) {
		pk.FixedHeader.Retain = false
	}
	return pk, nil
}

// OnPublishDropped hears of messages that a slow client did not fetch.
func (g *guard) OnPublishDropped(cl *mochi.Client, pk packets.Packet) {
	if n, ok := g.refused.Allow("dropped " + cl.ID); ok {
		g.broker.cfg.Logger.Warn("message dropped, the client reads too slowly", logs.Client, cl.ID, logs.Topic, pk.TopicName, logs.Times, n)
	}
}

// refuse counts and logs that a client did not get its way, and one detail of it.
func (g *guard) refuse(reason string, cl *mochi.Client, detail slog.Attr) {
	g.broker.metrics.refused.WithLabelValues(reason).Inc()
	user := clip(strings.ToValidUTF8(string(cl.Properties.Username), "?"))
	key := reason + " " + user
	if detail.Key == logs.Error { // one that changes is told at once
		key += " " + detail.Value.String()
	}
	if n, ok := g.refused.Allow(key); ok {
		g.broker.cfg.Logger.Warn("broker refused a client", logs.Reason, reason, logs.User, user, logs.Address, cl.Net.Remote, logs.Times, n, detail)
	}
}

// mayBear says whether the client id goes with the user name.
func mayBear(user, client string, service bool) bool {
	if client == user {
		return true
	}
	rest, ok := strings.CutPrefix(client, user+".")
	return service && ok && rest != ""
}

// mayPublish and mayRead hold for a user name that was proved, or the mark.
func mayPublish(user, topic string) bool {
	if user == serviceMark {
		return true
	}
	site, gateway, ok := strings.Cut(user, "/")
	return ok && (topic == broker.EventsTopic(site, gateway) || topic == broker.StatusTopic(site, gateway) || topic == broker.CountersTopic(site, gateway))
}

func mayRead(user, filter string) bool {
	if user == serviceMark {
		return true
	}
	site, gateway, ok := strings.Cut(user, "/")
	return ok && filter == broker.AckTopic(site, gateway) // which holds no wildcard
}

func clip(s string) string {
	const most = 80
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
