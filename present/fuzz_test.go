package present

import (
	"encoding/binary"
	"math"
	"testing"
	"time"

	"github.com/perrondrukte/perrondrukte/occupancy"
	"github.com/perrondrukte/perrondrukte/perron"
)

// FuzzSite lets a site with the real estimator hear of events, statuses, losses,
// recounts and questions with any times in any order, as far as a decoder lets
// them through: whatever a gateway sends, the site must answer, and with numbers.
func FuzzSite(f *testing.F) {
	step := func(kind byte, at time.Time) []byte {
		return append([]byte{kind}, binary.BigEndian.AppendUint64(nil, uint64(at.Unix()))...)
	}
	var day, odd []byte
	for i := range 60 {
		day = append(day, step(byte(i), noon.Add(time.Duration(i*i)*time.Second))...)
		odd = append(odd, step(byte(i), time.Unix(int64(i-30)*1e7*int64(i), 0))...)
	}
	f.Add(day)
	f.Add(odd)
	f.Add(append(step(3, time.Unix(40, 0)), step(4, time.Unix(-60, 0))...))
	f.Fuzz(func(t *testing.T, data []byte) {
		const length, most = 9, 120
		site := caseSite()
		s := New(Config{Site: site, StaleAfter: 5 * time.Minute, NewEstimator: func() Estimator { return occupancy.New(site) }})
		now := noon
		if err := s.Load(now, none, nil, nil, nil); err != nil {
			t.Fatal(err)
		}
		var actions []perron.Action
		for n := 0; len(data) >= length && n < most; n++ {
			kind, at := data[0], time.Unix(int64(binary.BigEndian.Uint64(data[1:length])), 0).UTC()
			data = data[length:]
			if y := at.Year(); y < 1 || y > 9999 {
				continue // no decoder lets it through
			}
			gateway := site.Gateways[kind/16%2]
			switch kind % 8 {
			case 0, 1, 2:
				e := perron.Event{Time: at, Sensor: "main-in", Kind: perron.In}
				switch kind % 8 {
				case 1:
					e.Sensor, e.Kind = "main-out", perron.Out
				case 2:
					e.Sensor, e.Kind = "queue-1", perron.On
				}
				if !at.After(now.Add(perron.MaxAhead)) && !at.Before(perron.Earliest) { // else it is set aside
					s.Reported(gateway, at, now)
					s.Observe(e, now)
				}
			case 3:
				s.Hear(Status{GatewayStatus: perron.GatewayStatus{
					Gateway: gateway, At: at, Online: true, Started: at, Waiting: uint64(kind), OldestWaiting: at,
					Outages: []perron.Outage{{From: at, Until: now}},
					Sensors: []perron.SensorStatus{{Sensor: "main-in", Since: at, Gaps: []perron.CounterGap{{From: at, To: at, Counted: 3}}}},
				}, Heard: at}, now)
			case 4:
				s.Hear(Status{GatewayStatus: perron.GatewayStatus{Gateway: gateway, At: now, Online: true, FailingSince: at}, Heard: now}, now)
			case 5:
				s.Lose(Loss{Gateway: gateway, Kind: perron.DoubtLost, At: at, Count: uint64(kind)})
			case 6:
				actions = append(actions, perron.Action{ID: string(rune('a' + n)), At: at, Kind: perron.Recount, Vehicles: int(kind)})
				s.Act(actions)
			case 7:
				now = now.Add(time.Duration(kind) * time.Second)
				ask(t, s, now)
			}
			if c := s.Calls(); c.Replay > NotAtAll && n%5 == 0 {
				if err := s.Replay(nil); err != nil {
					t.Fatal(err)
				}
			}
		}
		ask(t, s, now)
		if _, err := s.Mend(now); err != nil {
			t.Error(err)
		}
	})
}

func ask(t *testing.T, s *Site, now time.Time) {
	t.Helper()
	b, err := s.Busyness(now)
	if err != nil {
		t.Error(err)
	}
	for _, v := range []float64{b.OnSite.Mid, b.Queue.Mid, b.Wait.Low, b.Wait.Mid, b.Wait.High} {
		if math.IsNaN(v) || v < 0 {
			t.Errorf("%+v", b)
		}
	}
	if due := s.Due(now); !due.After(now) || due.Sub(now) > time.Hour {
		t.Errorf("at %v it is due at %v", now, due)
	}
	if b.MeasuredAt.After(now) {
		t.Errorf("measured at %v, after %v", b.MeasuredAt, now)
	}
}
