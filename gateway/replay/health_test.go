package replay

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/perrondrukte/perrondrukte/broker"
	"github.com/perrondrukte/perrondrukte/gateway"
	"github.com/perrondrukte/perrondrukte/gateway/pulse"
	"github.com/perrondrukte/perrondrukte/perron"
)

// noLink is a broker that cannot be reached.
type noLink struct{}

func (noLink) Subscribe(string, func(broker.Message))              {}
func (noLink) OnUp(func())                                         {}
func (noLink) Connected() bool                                     { return false }
func (noLink) Publish(ctx context.Context, m broker.Message) error { return broker.ErrOffline }

// changes is a log that keeps what is said about the health of sensors.
type changes struct {
	mu    sync.Mutex
	all   []pulse.Change
	other []string // warnings and worse
	ended chan struct{}
}

func (c *changes) Enabled(context.Context, slog.Level) bool { return true }
func (c *changes) WithAttrs([]slog.Attr) slog.Handler       { return c }
func (c *changes) WithGroup(string) slog.Handler            { return c }

func (c *changes) Handle(_ context.Context, r slog.Record) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case r.Message == "a sensor's health has changed":
		var n pulse.Change
		r.Attrs(func(a slog.Attr) bool {
			switch a.Key {
			case "sensor":
				n.Sensor = a.Value.String()
			case "from":
				n.From = perron.SensorHealth(a.Value.String())
			case "to":
				n.To = perron.SensorHealth(a.Value.String())
			case "since":
				n.Since = a.Value.Time()
			case "noticed":
				n.At = a.Value.Time()
			}
			return true
		})
		c.all = append(c.all, n)
	case strings.HasPrefix(r.Message, "the source has come to its end"):
		close(c.ended)
	case r.Level >= slog.LevelWarn:
		c.other = append(c.other, r.Message)
	}
	return nil
}

// judged plays a recording through a gateway and returns how the health of its
// sensors changed, by sensor, and what its status is at the end.
func judged(t *testing.T, cfg Config) (map[string][]pulse.Change, map[string]perron.SensorStatus) {
	t.Helper()
	log := &changes{ended: make(chan struct{})}
	logger := slog.New(log)
	src, err := New(cfg, time.Now, logger)
	if err != nil {
		t.Fatal(err)
	}
	g, err := gateway.New(t.Context(), gateway.Config{
		Site: "yard", Gateway: "gate", DataDir: t.TempDir(), Source: src, Link: noLink{}, Logger: logger,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- g.Run(ctx) }()
	select {
	case <-log.ended:
	case err := <-ran:
		t.Fatalf("the gateway ends with %v", err)
	}
	// The end is noted after it is logged.
	var st perron.GatewayStatus
	for finished := false; !finished; time.Sleep(time.Millisecond) {
		st = g.Status(ctx)
		finished = slices.ContainsFunc(st.Sensors, func(s perron.SensorStatus) bool { return s.Health == perron.SensorFinished })
	}
	cancel()
	if err := <-ran; err != nil {
		t.Fatal(err)
	}
	log.mu.Lock()
	defer log.mu.Unlock()
	if len(log.other) > 0 {
		t.Errorf("the gateway warns: %s", log.other)
	}
	said := make(map[string][]pulse.Change)
	for _, c := range log.all {
		if c.From != c.To && c.To != perron.SensorFinished {
			said[c.Sensor] = append(said[c.Sensor], c)
		}
	}
	status := make(map[string]perron.SensorStatus)
	for _, s := range st.Sensors {
		status[s.Sensor] = s
	}
	return said, status
}

// channels of the controller's log.
var channels = []int{2, 3, 4, 8, 9, 15, 16, 17, 18, 19, 20, 22, 23, 24, 25, 26, 27, 37, 42, 46, 57, 58, 59}

// A line of the controller's log that is about a detector.
type detection struct {
	at      time.Time
	channel int
	on      bool
}

// detections reads the controller's log.
func detections(t *testing.T) []detection {
	t.Helper()
	f, err := os.Open(recording(t, "atspm/events.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var all []detection
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var event, channel int
		at, rest, _ := strings.Cut(lines.Text(), ",")
		if _, err := fmt.Sscanf(strings.ReplaceAll(rest, ",", " "), "1136 %d %d", &event, &channel); err != nil || event != 81 && event != 82 {
			continue
		}
		when, err := time.Parse(time.RFC3339, at)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, detection{when, channel, event == 82})
	}
	if err := lines.Err(); err != nil || len(all) == 0 {
		t.Fatalf("%d detections: %v", len(all), err)
	}
	return all
}

// written puts detections into a file, each as a presence of its loop and, when
// something arrives, as a passage.
func written(t *testing.T, all []detection) Config {
	t.Helper()
	slices.SortStableFunc(all, func(a, b detection) int { return a.at.Compare(b.at) })
	var b strings.Builder
	b.WriteString("t,s,k\n")
	for _, d := range all {
		at := d.at.Format(time.RFC3339Nano)
		if d.on {
			fmt.Fprintf(&b, "%s,loop-%d,on\n%s,count-%d,in\n", at, d.channel, at, d.channel)
		} else {
			fmt.Fprintf(&b, "%s,loop-%d,off\n", at, d.channel)
		}
	}
	file := filepath.Join(t.TempDir(), "detections.csv")
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return Config{
		File: file, Refuse: true, Time: Time{Column: "t", Layout: time.RFC3339Nano},
		Sensor: &Field{Column: "s"}, Kind: &Field{Column: "k"},
	}
}

// clock is a time of the controller's day.
func clock(text string) time.Time {
	at, err := time.Parse(time.DateTime, "2024-04-15 "+text)
	if err != nil {
		panic(err)
	}
	return at
}

// troubles are the changes for the worse, in words.
func troubles(all []pulse.Change) (said []string) {
	for _, c := range all {
		if c.To != perron.SensorOK {
			said = append(said, string(c.To))
		}
	}
	return said
}

// What each detector of a real intersection must be judged to be, in two hours
// in which none was repaired. The judgements were made on the list of events,
// before there was anything here to judge them.
//
// A signal is broken where it comes back within 0.2 s, or lasts for 0.1 s where
// its pulses usually last longer than a second: at 50 km/h a vehicle moves 2.8 m
// in 0.2 s, less than one is long. Counting zones (3, 19, 20, 42, 46) give
// nothing but pulses of 0.1 to 0.3 s, which is what they are for. Of the others,
// the part of the pulses that is broken is 21 % for channel 9, in every ten
// minutes 6 to 38 %, mostly more than 20 %; 9 % for channel 57, which covers
// several lanes; and at most 7 % for any other. So 9 is disturbed and no other.
//
// Nothing is on for longer than 79 s, so none is stuck on. Every channel has
// something in every ten minutes, also those with 4 an hour, and the longest
// pause (12 minutes, channel 23) is no longer than four vehicles there take: none
// is stuck off or silent. Channels 8, 15, 16, 17, 22, 24 and 25 say on without
// off in up to 21 % of their pulses, as detectors do whose signal is extended:
// that is their way, and counts as one long presence.
func TestHealthOfRealDetectors(t *testing.T) {
	const ok, chatter = "", "chatter"
	said, status := judged(t, written(t, detections(t)))
	for _, tt := range []struct {
		channel int
		why     string
		must    string
	}{
		{2, "0 % broken", ok},
		{3, "a counting zone", ok},
		{4, "4 % broken", ok},
		{8, "157 vehicles, one without off", ok},
		{9, "21 % broken", chatter},
		{15, "68 of 372 without off", ok},
		{16, "68 of 940 without off, 4 % broken", ok},
		{17, "38 of 682 without off, 4 % broken", ok},
		{18, "the busiest, 3 % broken", ok},
		{19, "a counting zone, 65 pulses of 0.1 s", ok},
		{20, "a counting zone, 105 pulses of 0.1 s", ok},
		{22, "pauses of 7 minutes, 40 vehicles an hour", ok},
		{23, "pauses of 12 minutes, 23 vehicles an hour", ok},
		{24, "31 of 150 without off, 7 % broken", ok},
		{25, "42 of 340 without off, 3 % broken", ok},
		{26, "9 presences of more than a minute, 2 % broken", ok},
		{27, "7 presences of more than a minute, 3 % broken", ok},
		{37, "5 % broken", ok},
		{42, "a counting zone, 67 pulses of 0.1 s", ok},
		{46, "a counting zone, 77 pulses of 0.1 s", ok},
		{57, "9 % broken, several lanes", ok},
		{58, "0 % broken", ok},
		{59, "0 % broken", ok},
	} {
		loop, count := fmt.Sprint("loop-", tt.channel), fmt.Sprint("count-", tt.channel)
		if got := strings.Join(troubles(said[loop]), ", "); got != tt.must {
			t.Errorf("%s (%s) is judged %q, want %q: %v", loop, tt.why, got, tt.must, said[loop])
		}
		// A count has no width, and all of them go on.
		if got := troubles(said[count]); len(got) > 0 {
			t.Errorf("%s (%s) is judged %q: %v", count, tt.why, got, said[count])
		}
		want := perron.SensorFinished
		if tt.must != ok {
			want = perron.SensorHealth(tt.must)
		}
		if st := status[loop]; st.Health != want {
			t.Errorf("the status at the end says of %s: %+v", loop, st)
		}
	}
	// By eye 9 is as bad in the first ten minutes as later; thirty pulses take it
	// half an hour.
	if st := status["loop-9"]; st.Since.After(clock("12:40:00")) {
		t.Errorf("loop-9 is said to be disturbed since %s", st.Since)
	}
	if c := said["loop-9"]; len(c) != 1 || c[0].At.After(clock("13:00:00")) {
		t.Errorf("loop-9 is noticed to be disturbed: %v", c)
	}
}

// Every detector of the intersection is made to fail in each way, from one
// o'clock on, some of them at a time, and the others must not suffer.
func TestHealthOfFailingDetectors(t *testing.T) {
	all := detections(t)
	failed := clock("13:00:00")
	passages := make(map[int]int) // until then
	for _, d := range all {
		if d.on && d.at.Before(failed) {
			passages[d.channel]++
		}
	}
	kinds := []string{"dead", "stuck on", "chattering"}
	delays := make(map[string][]time.Duration)
	missed := make(map[string][]int)
	wrong, hours := 0, 0.
	for round := range 6 {
		kind := func(channel int) string {
			if i := (slices.Index(channels, channel) + round) % 6; i < len(kinds) {
				return kinds[i]
			}
			return "sound"
		}
		var broken []detection
		done := make(map[int]bool)
		for _, d := range all {
			how := kind(d.channel)
			if d.at.Before(failed) || how == "sound" {
				broken = append(broken, d)
				continue
			}
			switch {
			case how == "stuck on" && d.on && !done[d.channel]:
				broken = append(broken, d)
				done[d.channel] = true
			case how == "chattering" && !done[d.channel]:
				done[d.channel] = true
				for i := range 300 { // half a minute
					broken = append(broken, detection{d.at.Add(time.Duration(i) * 100 * time.Millisecond), d.channel, i%2 == 0})
				}
			case how == "chattering":
				broken = append(broken, d)
			}
		}
		said, _ := judged(t, written(t, broken))
		for _, channel := range channels {
			how := kind(channel)
			loop, count := said[fmt.Sprint("loop-", channel)], said[fmt.Sprint("count-", channel)]
			look := func(at []pulse.Change, want perron.SensorHealth) {
				i := slices.IndexFunc(at, func(c pulse.Change) bool { return c.To == want && c.At.After(failed) })
				if i < 0 {
					missed[how] = append(missed[how], channel)
					return
				}
				delays[how] = append(delays[how], at[i].At.Sub(failed))
				if d := at[i].Since.Sub(failed).Abs(); want != perron.SensorStuckOff && channel != 9 && d > 10*time.Minute {
					t.Errorf("channel %d, %s from one o'clock: said to be so since %s", channel, how, at[i].Since)
				}
				if want == perron.SensorStuckOff && at[i].Since.After(failed) {
					t.Errorf("channel %d, dead from one o'clock: said to be so since %s", channel, at[i].Since)
				}
			}
			switch how {
			case "dead":
				look(count, perron.SensorStuckOff)
			case "stuck on":
				look(loop, perron.SensorStuck)
			case "chattering":
				if channel == 9 {
					continue // it is known to be already
				}
				look(loop, perron.SensorChatter)
			default:
				hours += 4 // two sensors, two hours
				for _, c := range slices.Concat(loop, count) {
					if c.To != perron.SensorOK && channel != 9 {
						wrong++
						t.Errorf("round %d: channel %d is sound: %+v", round, channel, c)
					}
				}
			}
		}
	}
	for _, how := range kinds {
		slices.Sort(delays[how])
		d := delays[how]
		if len(d) == 0 {
			t.Fatalf("%s: never noticed", how)
		}
		t.Logf("%s: noticed %d of %d, median after %s, at the latest after %s; missed %v", how, len(d), len(d)+len(missed[how]),
			d[len(d)/2].Round(time.Second), d[len(d)-1].Round(time.Second), missed[how])
	}
	t.Logf("false alarms: %d in %.0f sensor hours", wrong, hours)
	for _, channel := range missed["dead"] {
		// Of the two with the least traffic an hour does not tell.
		if passages[channel] >= 60 {
			t.Errorf("channel %d is dead, had %d passages in the hour before, and nobody noticed", channel, passages[channel])
		}
	}
	if n := len(missed["stuck on"]) + len(missed["chattering"]); n > 0 {
		t.Errorf("not noticed: %v", missed)
	}
}
