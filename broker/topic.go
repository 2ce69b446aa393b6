// Package broker is the contract on the wire: topics, versioned messages, and a
// client for any MQTT 3.1.1 broker.
//
// The messages are JSON with a version, bounded in size, and refused with an
// error that names the field and the value when they are not what they should
// be. Unknown fields are tolerated, so that a newer sender can say more;
// an unknown version is not.
package broker

import (
	"fmt"
	"strings"

	"github.com/perrondrukte/perrondrukte/perron"
)

// prefix names the contract and its major version.
const prefix = "perron/v1/"

// The last element of a topic.
const (
	LeafEvents   = "events"   // gateway → collector
	LeafAck      = "ack"      // collector → gateway
	LeafStatus   = "status"   // gateway → all, retained and last will
	LeafBusyness = "busyness" // collector → api nodes, retained
	LeafForecast = "forecast" // collector → api nodes, retained
	LeafActions  = "actions"  // api node → collector: staff did something
)

// Filters that select one kind of topic of all sites.
const (
	EventsFilter   = prefix + "+/+/" + LeafEvents
	StatusFilter   = prefix + "+/+/" + LeafStatus
	BusynessFilter = prefix + "+/" + LeafBusyness
	ForecastFilter = prefix + "+/" + LeafForecast
	ActionsFilter  = prefix + "+/" + LeafActions
)

// EventsTopic is where a gateway publishes its batches.
func EventsTopic(site, gateway string) string { return gatewayTopic(site, gateway, LeafEvents) }

// AckTopic is where the collector tells a gateway what is stored.
func AckTopic(site, gateway string) string { return gatewayTopic(site, gateway, LeafAck) }

// StatusTopic is where a gateway tells how it is.
func StatusTopic(site, gateway string) string { return gatewayTopic(site, gateway, LeafStatus) }

// BusynessTopic carries the live state of a site.
func BusynessTopic(site string) string { return prefix + site + "/" + LeafBusyness }

// ForecastTopic carries the forecast of a site.
func ForecastTopic(site string) string { return prefix + site + "/" + LeafForecast }

// ActionsTopic carries the nudge that staff acted on a site. The store holds
// the truth; the message only says that it is worth a look.
func ActionsTopic(site string) string { return prefix + site + "/" + LeafActions }

func gatewayTopic(site, gateway, leaf string) string {
	return prefix + site + "/" + gateway + "/" + leaf
}

// A Topic is a topic of the contract, taken apart.
type Topic struct {
	Site    string
	Gateway string // empty for the topics of a site as a whole
	Leaf    string
}

// String is the topic as it is on the wire.
func (t Topic) String() string {
	if t.Gateway == "" {
		return prefix + t.Site + "/" + t.Leaf
	}
	return gatewayTopic(t.Site, t.Gateway, t.Leaf)
}

// ParseTopic takes a topic apart. Site and gateway are valid by
// [perron.ValidID] when there is no error.
func ParseTopic(s string) (Topic, error) {
	rest, ok := strings.CutPrefix(s, prefix)
	if !ok {
		return Topic{}, fmt.Errorf("topic %q does not begin with %q", clip(s), prefix)
	}
	parts := strings.Split(rest, "/")
	var t Topic
	switch len(parts) {
	case 2:
		t = Topic{Site: parts[0], Leaf: parts[1]}
		switch t.Leaf {
		case LeafBusyness, LeafForecast, LeafActions:
		default:
			return Topic{}, fmt.Errorf("topic %q: %q is not a topic of a site", clip(s), clip(t.Leaf))
		}
	case 3:
		t = Topic{Site: parts[0], Gateway: parts[1], Leaf: parts[2]}
		switch t.Leaf {
		case LeafEvents, LeafAck, LeafStatus, LeafCounters:
		default:
			return Topic{}, fmt.Errorf("topic %q: %q is not a topic of a gateway", clip(s), clip(t.Leaf))
		}
		if !perron.ValidID(t.Gateway) {
			return Topic{}, fmt.Errorf("topic %q: gateway %q is not a valid id", clip(s), clip(t.Gateway))
		}
	default:
		return Topic{}, fmt.Errorf("topic %q has %d elements after %q, want 2 or 3", clip(s), len(parts), prefix)
	}
	if !perron.ValidID(t.Site) {
		return Topic{}, fmt.Errorf("topic %q: site %q is not a valid id", clip(s), clip(t.Site))
	}
	return t, nil
}

// clip keeps a foreign string in an error message short.
func clip(s string) string {
	const most = 80
	if len(s) <= most {
		return s
	}
	return s[:most] + "…"
}
