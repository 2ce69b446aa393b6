package embedded

import (
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/perrondrukte/perrondrukte/broker"
)

// askAgain is for how long an answer holds.
const askAgain = time.Second

// rivals says whether a connected client with the id of the one that logs in is
// still there. By the rules of MQTT the newer one takes over, so two devices
// with one name would throw each other out for ever. A device that comes again
// after it has lost its link finds the old connection silent, and takes over.
//
// The older one is told of its rival, on the topic that it listens to anyway;
// whatever it answers shows that it is there.
func (g *guard) rivals(cl *mochi.Client, id, site, gateway string) bool {
	old, ok := g.broker.server.Clients.Get(id)
	if !ok || old == cl || old.Closed() {
		return false
	}
	heard := make(chan struct{}, 1)
	if _, busy := g.asked.LoadOrStore(old, heard); busy {
		return true // it is being asked, or has just answered
	}
	alive := false
	defer func() {
		if alive {
			// Whoever hammers at the door makes no work for the one inside.
			time.AfterFunc(askAgain, func() { g.asked.Delete(old) })
		} else {
			g.asked.Delete(old)
		}
	}()
	payload, err := broker.Ack{Rival: true}.Encode()
	if err != nil {
		return false // cannot be: nothing of it comes from outside
	}
	packetID, err := old.NextPacketID()
	if err != nil {
		return false // it has confirmed nothing for a long time
	}
	question := packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: 1},
		TopicName:   broker.AckTopic(site, gateway), Payload: payload, PacketID: uint16(packetID),
	}
	// Writing may block until the deadline of a connection that is stuck.
	go func() { _ = old.WritePacket(question) }() // a failure is a silence
	limit := time.NewTimer(g.broker.cfg.AliveWithin)
	defer limit.Stop()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for {
		select {
		case <-heard:
			alive = true
			return true
		case <-look.C:
			if old.Closed() {
				return false
			}
		case <-limit.C:
			return false
		}
	}
}

// OnPacketRead comes before anything is done with a packet.
func (g *guard) OnPacketRead(cl *mochi.Client, pk packets.Packet) (packets.Packet, error) {
	if heard, ok := g.asked.Load(cl); ok {
		select {
		case heard.(chan struct{}) <- struct{}{}:
		default:
		}
	}
	return pk, nil
}
