package test

import (
	"fmt"
	"testing"
	"time"

	"github.com/perrondrukte/perrondrukte/broker"
)

// TestHostileTimes lets a gateway with a valid credential send times that no
// clock tells, and some that one tells that was never set. Neither ends the
// server, nor makes a state of a time that never was.
func TestHostileTimes(t *testing.T) {
	dir := t.TempDir()
	config := write(t, dir, "server.yaml", serverYAML(dir))
	secret := addGateway(t, config, "yard", "yard-1")
	s := startServer(t, config, true)
	p := newPeer(t, s.broker, "yard", "yard-1", secret)
	events, status := broker.EventsTopic("yard", "yard-1"), broker.StatusTopic("yard", "yard-1")
	now := time.Now().UTC()

	for _, at := range []string{"0001-01-01T00:00:01Z", "1905-03-04T05:06:07Z", "1969-12-31T23:59:59Z", "1970-01-01T00:00:40Z", "9999-12-31T23:59:59Z"} {
		for _, fields := range []string{
			`"at":%q`, `"at":%[1]q,"waiting":1,"oldestWaiting":%[1]q`, `"at":%[1]q,"started":%[1]q,"failingSince":%[1]q`,
			`"at":%[1]q,"outages":[{"from":%[1]q,"until":%[1]q}],"sensors":[{"sensor":"main-in","health":"quiet","since":%[1]q,"gaps":[{"kind":"jump","from":%[1]q,"to":%[1]q}]}]`,
		} {
			payload := `{"v":1,"site":"yard","gateway":"yard-1","online":true,"epoch":"e1",` + fmt.Sprintf(fields, at) + "}"
			if err := p.publish(status, []byte(payload)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(30 * time.Millisecond) // a state is computed at most every 25 ms
		}
	}
	p.send(events, broker.Events{Epoch: "e1", Floor: 1, First: 1, Events: passages(time.Unix(-1e9, 0).UTC(), 2)})
	p.waitAck(2)
	p.send(events, broker.Events{Epoch: "e1", Floor: 3, First: 3, Events: passages(now, 3)})
	p.waitAck(5)
	if n := countIn(s); n != 3 {
		t.Errorf("counted %d, want 3: two of five are of 1938", n)
	}
	if n := metric(s, `perrondrukte_collector_panics_total\{.*\}`); n != 0 {
		t.Errorf("%v panics", n)
	}
	payload := fmt.Sprintf(`{"v":1,"site":"yard","gateway":"yard-1","online":true,"epoch":"e1","at":%q}`, time.Now().UTC().Format(time.RFC3339))
	if err := p.publish(status, []byte(payload)); err != nil {
		t.Fatal(err)
	}
	eventually(t, 10*time.Second, "the state is that of now", func() bool {
		var answer struct {
			State struct {
				Level      string    `json:"level"`
				MeasuredAt time.Time `json:"measuredAt"`
			} `json:"state"`
		}
		s.get("/api/v1/sites/yard", &answer)
		return answer.State.Level == "quiet" && time.Since(answer.State.MeasuredAt) < time.Minute
	})
}
