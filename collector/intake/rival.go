package intake

import (
	"slices"
	"time"

	"github.com/perrondrukte/perrondrukte/broker"
	"github.com/perrondrukte/perrondrukte/internal/logs"
	"github.com/perrondrukte/perrondrukte/store"
)

const (
	// A run of a gateway that was followed by another one is over. One that is
	// heard again so often within so long is a second device with the same name.
	rivalReturns = 2
	rivalWithin  = 10 * time.Minute
)

// runs are the starts of one gateway, the last one heard at the end. Our own
// broker refuses a second device with the name of one that is connected; others
// let the newer one take over, so that two throw each other out for ever, and
// the collector is the first to notice. Only the handler of statuses uses it.
type runs struct {
	started []time.Time
	returns []time.Time // by the machine's clock
}

// returned says whether a run that was over is heard, again and again.
func (r *runs) returned(started, now time.Time) bool {
	n := len(r.started)
	if started.IsZero() || n > 0 && r.started[n-1].Equal(started) {
		return false
	}
	if i := slices.IndexFunc(r.started, started.Equal); i >= 0 {
		r.started = slices.Delete(r.started, i, i+1)
		r.returns = append(slices.DeleteFunc(r.returns, func(t time.Time) bool { return now.Sub(t) > rivalWithin }), now)
	}
	const most = 4
	r.started = append(r.started, started)
	if len(r.started) > most {
		r.started = r.started[1:]
	}
	return len(r.returns) >= rivalReturns
}

// rival says in the log that two devices have one name, and tells the one that
// is connected now, which says it in its own log and in its status. A message
// that is lost is sent again with the next change.
func (in *Intake) rival(g *gateway) {
	if n, ok := in.rare.Allow("rival " + g.name()); ok {
		in.log.Error("two devices have the name of one gateway and throw each other off the broker; one needs a name and a credential of its own",
			logs.Site, g.site.ID, logs.Gateway, g.id, logs.Times, n)
	}
	g.acks.add(broker.Ack{Rival: true}, &store.Result{})
}
