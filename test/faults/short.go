package main

import (
	"math/rand/v2"
	"time"
)

// short are sequences that have every kind of fault but one that takes minutes,
// each at least once: what is done to them, each to another gateway in turn.
// Traps come first, while there is something to catch.
var short = []struct {
	shape  shape
	faults []fault
}{
	{whole, []fault{killAtPublish, killAtPuback, killGateway, killServer, stopGateway, cutBoth}},
	{whole, []fault{killAtAck, killAtStored, stopServer, cutUp, duplicate, reset}},
	{whole, []fault{deleteOutbox, damageOutbox, fullGateway, fullServer}},
	{whole, []fault{clock1970, clockJump, clockSlew, leapSecond}},
	{foreign, []fault{killBroker, killCollector, cutCollector, swallow, reorder, latency}},
	{foreign, []fault{twins, resetBroker, stopBroker}},
	{apart, []fault{powerGateway, powerServer, twins, powerGateway, powerServer}},
	{secure, []fault{certificate, revoke, rotate, halfOpen, slow, cutDown}},
}

// shortPlan draws the plan of one of them, for some seconds.
func shortPlan(seed uint64, i int) *plan {
	r := rand.New(rand.NewPCG(seed, uint64(i)))
	const (
		span     = 3 * time.Second
		recorded = 3 * time.Hour
		gateways = 2
	)
	p := &plan{seed: seed + uint64(i), shape: short[i].shape, speed: float64(recorded / span), clockWait: 5 * time.Minute}
	from := time.Now().UTC().Truncate(time.Hour).Add(-recorded)
	for g := range gateways {
		p.gateways = append(p.gateways, passagesOf(r, g, 300+r.IntN(700), from, recorded))
		p.twins = append(p.twins, passagesOf(r, g, 50, from.AddDate(0, -1, 0), recorded))
	}
	apart := span / time.Duration(len(short[i].faults)+1)
	for n, f := range short[i].faults {
		p.steps = append(p.steps, step{
			fault: f, gateway: n % gateways, random: r.Uint64(),
			after: time.Duration(n)*apart + time.Duration(r.Int64N(int64(apart))),
			lasts: time.Duration(100+r.IntN(600)) * time.Millisecond,
		})
	}
	return p
}
