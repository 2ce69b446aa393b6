// Package demo is what a demonstration has in place of a yard: a past that
// looks as if it had been measured, gateways whose sensors are simulated, and a
// clock that can begin at any time and run fast. Everything else of a demo is
// the real thing.
package demo
