//go:build linux

package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/perrondrukte/perrondrukte/perron"
)

// Lines of the chip, by their place in it.
const (
	gpio17 = iota
	gpio27
	gpio22
	unnamed
)

const (
	high = true
	low  = false
)

// contacts pull their lines to ground when a vehicle is there; the last line is
// driven high instead.
var idle = []bool{high, high, high, low}

// single is a contact that counts, and whose every edge is seen as well.
func single(pin, input string) string {
	return fmt.Sprintf(`
inputs:
  - {id: a, pin: %s%s}
sensors:
  - {id: gate, type: pulse, input: a, direction: in, min_headway: 1us}
  - {id: loop, type: presence, input: a}
`, pin, input)
}

const pair = `
inputs:
  - {id: outer, pin: GPIO17}
  - {id: inner, pin: GPIO27}
sensors:
  - {id: lane, type: pair, inputs: [outer, inner], direction: in, max_gap: 3s}
`

// rawPair sees every edge, and every pulse of the loops too.
const rawPair = `
inputs:
  - {id: outer, pin: GPIO17, debounce: 0s}
  - {id: inner, pin: GPIO27, debounce: 0s}
sensors:
  - {id: lane, type: pair, inputs: [outer, inner], direction: in, max_gap: 3s}
`

const (
	raw      = ", debounce: 0s"
	settled  = ", debounce: 10ms"
	highSide = ", debounce: 0s, pull: down, active: high"
	noPull   = ", debounce: 0s, pull: none"
)

var cases = []testCase{
	{name: "1-hz-5-ms", config: single("GPIO17", raw), idle: idle, drive: train(gpio17, low, 10, time.Second, 5*time.Millisecond)},
	{name: "1-hz-50-ms", config: single("GPIO17", settled), idle: idle, drive: train(gpio17, low, 10, time.Second, 50*time.Millisecond)},
	{name: "10-hz-5-ms", config: single("GPIO27", raw), idle: idle, drive: train(gpio27, low, 100, 100*time.Millisecond, 5*time.Millisecond)},
	{name: "10-hz-50-ms", config: single("GPIO27", settled), idle: idle, drive: train(gpio27, low, 100, 100*time.Millisecond, 50*time.Millisecond)},
	{name: "100-hz-5-ms", config: single("gpiochip0-3", highSide), idle: idle, drive: train(unnamed, high, 500, 10*time.Millisecond, 5*time.Millisecond)},
	{name: "900-hz", config: single("GPIO22", raw), idle: idle, drive: train(gpio22, low, 2000, time.Second/900, time.Second/1800)},
	{name: "bounce", config: single("GPIO17", settled), idle: idle, drive: bounce},
	{name: "glitch", config: single("GPIO17", settled), idle: idle, drive: glitch},
	{name: "pair", config: pair, idle: idle, drive: bothWays},
	{name: "pair-flat-out", config: rawPair, idle: idle, drive: laneFlatOut},
	{name: "pair-stopped", config: rawPair, idle: idle, drive: laneStopped},
	{name: "flat-out", config: single("GPIO17", raw), idle: idle, drive: stopped(1000, 0, 0)},
	{name: "stopped", config: single("GPIO17", raw), idle: idle, drive: stopped(0, 400, 400)},
	{name: "overflow", config: single("GPIO17", raw), idle: idle, drive: stopped(0, 3000, 1024)},
	{name: "overflow-odd", config: single("GPIO17", raw), idle: idle, drive: stopped(0, 3001, 1024)},
	{name: "overflow-vehicle", config: single("GPIO17", raw), idle: idle, drive: stopped(1, 2999, 1024)},
	{name: "closed-at-start", config: single("GPIO17", noPull), idle: []bool{low, high, high, low}, drive: closedAtStart},
	{name: "pin-in-use", config: single("GPIO17", raw), idle: idle, drive: pinInUse},
	{name: "stopped-in-lane", config: pair, idle: idle, drive: stoppedInLane, threads: 4},
}

// rising and falling are what the two sensors of single make of an edge.
func rising(at moment) []expected {
	return []expected{{"gate", perron.In, at}, {"loop", perron.On, at}}
}

func falling(at moment) []expected { return []expected{{"loop", perron.Off, at}} }

// free is what a presence says first.
var free = expected{sensor: "loop", kind: perron.Off}

// train is a row of pulses, exactly in time.
func train(line int, active bool, n int, period, width time.Duration) func(*yard) ([]expected, error) {
	return func(y *yard) ([]expected, error) {
		want := []expected{free}
		begin := time.Now()
		for i := range n {
			at := begin.Add(time.Duration(i) * period)
			sleep(at)
			want = append(want, rising(y.pull(line, active))...)
			sleep(at.Add(width))
			want = append(want, falling(y.pull(line, !active))...)
		}
		return want, nil
	}
}

// bounce is a contact that takes 10 edges within 8 ms to make up its mind, at
// both ends of each pulse. The vehicle is there from the first to the last.
func bounce(y *yard) ([]expected, error) {
	want := []expected{free}
	// An odd number of edges ends at the other level.
	chatter := func(to bool) (last moment) {
		begin := time.Now()
		for i := range 11 {
			sleep(begin.Add(time.Duration(i) * 800 * time.Microsecond))
			last = y.pull(gpio17, to != (i%2 == 1))
		}
		return last
	}
	for range 20 {
		want = append(want, rising(chatter(low))...)
		sleep(time.Now().Add(200 * time.Millisecond))
		want = append(want, falling(chatter(high))...)
		sleep(time.Now().Add(300 * time.Millisecond))
	}
	return want, nil
}

// glitch is interference that is shorter than the debounce.
func glitch(y *yard) ([]expected, error) {
	for range 20 {
		y.pull(gpio17, low)
		sleep(time.Now().Add(5 * time.Millisecond))
		y.pull(gpio17, high)
		sleep(time.Now().Add(100 * time.Millisecond))
	}
	return []expected{free}, nil
}

// bothWays is traffic over two loops that a vehicle covers both for a while.
// Of every five vehicles two come in, two go out and one turns back.
func bothWays(y *yard) ([]expected, error) {
	var want []expected
	const step = 120 * time.Millisecond
	over := func(lines [4]int) (last moment) {
		active := make(map[int]bool)
		for _, l := range lines {
			active[l] = !active[l]
			last = y.pull(l, !active[l])
			sleep(time.Now().Add(step))
		}
		sleep(time.Now().Add(300 * time.Millisecond))
		return last
	}
	for range 10 {
		for _, way := range []perron.Kind{perron.In, perron.Out, perron.Out, "", perron.In} {
			switch way {
			case perron.In:
				want = append(want, expected{"lane", way, over([4]int{gpio17, gpio27, gpio17, gpio27})})
			case perron.Out:
				want = append(want, expected{"lane", way, over([4]int{gpio27, gpio17, gpio27, gpio17})})
			default:
				over([4]int{gpio17, gpio27, gpio27, gpio17})
			}
		}
	}
	return want, nil
}

// crossing is the edges of a vehicle that covers both loops for a while.
func crossing(y *yard, from, to int) (gone moment) {
	y.pull(from, low)
	y.pull(to, low)
	y.pull(from, high)
	return y.pull(to, high)
}

// laneFlatOut is vehicles in both directions whose edges are as close as the
// kernel can take them: their order is all that tells the direction.
func laneFlatOut(y *yard) (want []expected, _ error) {
	for i := range 250 {
		if i%3 == 2 {
			want = append(want, expected{"lane", perron.Out, crossing(y, gpio27, gpio17)})
		} else {
			want = append(want, expected{"lane", perron.In, crossing(y, gpio17, gpio27)})
		}
	}
	return want, nil
}

func laneStopped(y *yard) (want []expected, err error) {
	err = y.paused(func() { want, _ = laneFlatOut(y) })
	return want, err
}

// flip moves the contact for the i-th time, without a pause.
func flip(y *yard, i int) []expected {
	if i%2 == 0 {
		return rising(y.pull(gpio17, low))
	}
	return falling(y.pull(gpio17, high))
}

// stopped moves the contact before times while the gateway runs, and n times
// while it cannot, of which the kernel keeps the newest for it.
func stopped(before, n, kept int) func(*yard) ([]expected, error) {
	return func(y *yard) ([]expected, error) {
		want := []expected{free}
		for i := range before {
			want = append(want, flip(y, i)...)
		}
		if n == 0 {
			return want, nil
		}
		first := before + n - kept
		err := y.paused(func() {
			for i := before; i < before+n; i++ {
				e := flip(y, i)
				if i < first {
					continue
				}
				// The level is told when the edge in front of the first is lost.
				switch back := last(want).kind; {
				case i > first:
				case i%2 == 0 && back == perron.On:
					want = append(want, expected{sensor: "loop", kind: perron.Off})
				case i%2 == 1 && back == perron.Off:
					want = append(want, expected{sensor: "loop", kind: perron.On})
				}
				want = append(want, e...)
			}
		})
		return want, err
	}
}

func last(all []expected) expected { return all[len(all)-1] }

// paused stops the gateway while f is done, and a little longer. It has said
// before that it reads its inputs, and has nothing else to do at first.
func (y *yard) paused(f func()) error {
	sleep(time.Now().Add(settle))
	if err := y.gw.Process.Signal(unix.SIGSTOP); err != nil {
		return err
	}
	sleep(time.Now().Add(20 * time.Millisecond))
	f()
	sleep(time.Now().Add(20 * time.Millisecond))
	return y.gw.Process.Signal(unix.SIGCONT)
}

// closedAtStart has a vehicle on the contact when the gateway starts, which is
// not counted, but seen.
func closedAtStart(y *yard) ([]expected, error) {
	want := []expected{{sensor: "loop", kind: perron.On}}
	sleep(time.Now().Add(time.Second))
	want = append(want, falling(y.pull(gpio17, high))...)
	sleep(time.Now().Add(time.Second))
	want = append(want, rising(y.pull(gpio17, low))...)
	sleep(time.Now().Add(time.Second))
	return append(want, falling(y.pull(gpio17, high))...), nil
}

// pinInUse starts a second gateway on the same pin, between the two edges of a
// vehicle: it has to say who has the pin and leave it alone.
func pinInUse(y *yard) ([]expected, error) {
	want := append([]expected{free}, rising(y.pull(gpio17, low))...)
	const file = "/run/pin-in-use/second.yaml"
	text := strings.Replace(preamble, "data_dir: data", "data_dir: second", 1) + single("GPIO17", raw)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return nil, err
	}
	out, err := exec.Command("/perron-gateway", "run", "--config", file).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "pin GPIO17 is in use by perron-gateway") {
		return nil, fmt.Errorf("the second gateway: %w, it says: %s", err, out)
	}
	if err := selftests(); err != nil {
		return nil, err
	}
	return append(want, falling(y.pull(gpio17, high))...), nil
}

// selftests tests the inputs of the gateway that runs, that of another
// configuration, and one that is free. That there is neither a server nor a time
// server has to be said, too.
func selftests() error {
	const dir = "/run/pin-in-use/"
	free := strings.Replace(preamble, "data_dir: data", "data_dir: free", 1) + single("GPIO27", raw)
	if err := os.WriteFile(dir+"free.yaml", []byte(free), 0o600); err != nil {
		return err
	}
	for file, wants := range map[string][]string{
		"gateway.yaml": {"ok    input a (GPIO17): the running gateway has it: now ACTIVE"},
		"second.yaml":  {"WRONG input a (GPIO17): is in use by perron-gateway"},
		"free.yaml":    {"ok    input a (GPIO27) on /dev/gpiochip", "present, pull up, now free, 0 edges in 100ms", "WRONG it is not synchronised", "WRONG no TCP connection"},
	} {
		out, err := exec.Command("/perron-gateway", "selftest", "--for", "100ms", "--config", dir+file).CombinedOutput()
		if err == nil {
			return fmt.Errorf("selftest of %s finds nothing wrong: %s", file, out)
		}
		for _, w := range wants {
			if !strings.Contains(string(out), w) {
				return fmt.Errorf("selftest of %s does not say %q: %s", file, w, out)
			}
		}
	}
	return nil
}

// stoppedInLane stops the gateway for longer than the pair's patience while a
// vehicle is between the loops: the kernel's times tell that it went through.
func stoppedInLane(y *yard) ([]expected, error) {
	var want []expected
	for range 20 {
		y.pull(gpio17, low)
		sleep(time.Now().Add(200 * time.Millisecond))
		y.pull(gpio17, high)
		err := y.paused(func() {
			y.pull(gpio27, low)
			sleep(time.Now().Add(200 * time.Millisecond))
			want = append(want, expected{"lane", perron.In, y.pull(gpio27, high)})
			sleep(time.Now().Add(5 * time.Second))
		})
		if err != nil {
			return nil, err
		}
		sleep(time.Now().Add(time.Second))
	}
	return want, nil
}
