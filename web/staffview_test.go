package web

import (
	"strings"
	"testing"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
)

// Whatever a gateway says of a sensor, staff read it in words, with how long it
// has been so when it is not well.
func TestSensorHealthInWords(t *testing.T) {
	now := time.Date(2026, time.October, 10, 12, 0, 0, 0, time.UTC)
	since := now.Add(-25 * time.Minute)
	for _, w := range languages(t).All() {
		lang, howLong := w.Lang(), w.For(since, now)
		for health, well := range map[perron.SensorHealth]bool{
			perron.SensorOK: true, perron.SensorFinished: true, perron.SensorStuck: false, perron.SensorChatter: false,
			perron.SensorFault: false, perron.SensorSilent: false, perron.SensorStuckOff: false, perron.SensorQuiet: false,
		} {
			row := viewGateway(w, &perron.Site{}, &perron.GatewayStatus{Sensors: []perron.SensorStatus{
				{Sensor: "main-in", Health: health, Since: since},
			}}, now).Sensors[0]
			if row.OK != well || row.Health == "" || strings.Contains(row.Health, "health.") || strings.Contains(row.Health, howLong) == well {
				t.Errorf("%s, %s: %+v", lang, health, row)
			}
		}
		for _, kind := range []perron.DoubtKind{perron.DoubtStuckOff, perron.DoubtQuiet} {
			text := w.Doubt(&perron.Site{Name: "Yard"}, perron.Doubt{Kind: kind, Sensor: "main-in", Since: since}, now)
			if strings.Contains(text, "doubt.") || !strings.Contains(text, howLong) || !strings.Contains(text, "main-in") {
				t.Errorf("%s, %s: %s", lang, kind, text)
			}
		}
	}
}
