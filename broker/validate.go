package broker

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
)

func validateStatus(s *perron.GatewayStatus) error {
	if !perron.ValidID(s.Site) {
		return invalid("site", s.Site, "a valid id")
	}
	if !perron.ValidID(s.Gateway) {
		return invalid("gateway", s.Gateway, "a valid id")
	}
	if s.Epoch != "" && !ValidEpoch(s.Epoch) {
		return invalid("epoch", s.Epoch, wantEpoch)
	}
	if len(s.Version) > 100 {
		return invalid("version", s.Version, "at most 100 bytes")
	}
	if s.OutboxBytes < 0 {
		return invalid("outboxBytes", strconv.FormatInt(s.OutboxBytes, 10), "a size")
	}
	if len(s.Sensors) > MaxSensors {
		return invalid("sensors", strconv.Itoa(len(s.Sensors)), fmt.Sprintf("at most %d sensors", MaxSensors))
	}
	if s.Omitted < 0 {
		return invalid("omitted", strconv.Itoa(s.Omitted), "a number of sensors")
	}
	if len(s.Outages) > maxOutages {
		return invalid("outages", strconv.Itoa(len(s.Outages)), fmt.Sprintf("at most %d outages", maxOutages))
	}
	for _, f := range []struct {
		name string
		at   time.Time
	}{
		{"at", s.At},
		{"started", s.Started},
		{"oldestWaiting", s.OldestWaiting},
		{"failingSince", s.FailingSince},
		{"rival", s.Rival},
	} {
		if err := validateTime(f.name, f.at); err != nil {
			return err
		}
	}
	for i, o := range s.Outages {
		if err := errors.Join(validateTime(fmt.Sprintf("outages[%d].from", i), o.From), validateTime(fmt.Sprintf("outages[%d].until", i), o.Until)); err != nil {
			return err
		}
	}
	for i, sensor := range s.Sensors {
		if err := validateSensor(fmt.Sprintf("sensors[%d]", i), &sensor); err != nil {
			return err
		}
	}
	return nil
}

func validateSensor(field string, s *perron.SensorStatus) error {
	if !perron.ValidID(s.Sensor) {
		return invalid(field+".sensor", s.Sensor, "a valid id")
	}
	if !word(string(s.Health)) {
		return invalid(field+".health", string(s.Health), "a health")
	}
	if err := errors.Join(validateTime(field+".since", s.Since), validateTime(field+".last", s.Last)); err != nil {
		return err
	}
	if n := len(s.Gaps); n > perron.MaxGaps {
		return invalid(field+".gaps", strconv.Itoa(n), fmt.Sprintf("at most %d gaps", perron.MaxGaps))
	}
	for i, g := range s.Gaps {
		gap := fmt.Sprintf("%s.gaps[%d]", field, i)
		if !word(g.Kind) {
			return invalid(gap+".kind", g.Kind, "a kind")
		}
		if err := errors.Join(validateTime(gap+".from", g.From), validateTime(gap+".to", g.To)); err != nil {
			return err
		}
	}
	return nil
}

// oldest is the earliest instant that any clock tells: one that was never set
// begins in 1970, and what is reckoned back from there may lie a little before.
var oldest = time.Date(1969, 12, 1, 0, 0, 0, 0, time.UTC)

// validateTime lets through an instant that a clock can tell, and the zero time,
// which says nothing. JSON can write any year up to 9999.
func validateTime(field string, at time.Time) error {
	if at.IsZero() || !at.Before(oldest) && at.UTC().Year() <= 9999 {
		return nil
	}
	return invalid(field, at.Format(time.RFC3339), "an instant from December 1969 to 9999")
}

func validateBusyness(b *perron.Busyness) error {
	if !perron.ValidID(b.Site) {
		return invalid("site", b.Site, "a valid id")
	}
	if b.At.IsZero() {
		return invalid("at", b.At.Format(time.RFC3339), "an instant")
	}
	for _, f := range []struct{ name, value string }{
		{"level", string(b.Level)},
		{"quality", string(b.Quality)},
		{"trend", string(b.Trend)},
		{"typicalLevel", string(b.TypicalLevel)},
	} {
		if !word(f.value) {
			return invalid(f.name, f.value, "a lower-case word")
		}
	}
	if b.Closure != nil {
		if err := validateText("closure.reason", b.Closure.Reason); err != nil {
			return err
		}
	}
	if b.Notice != nil {
		return validateText("notice.text", b.Notice.Text)
	}
	return nil
}

func validateForecast(f *perron.Forecast) error {
	if !perron.ValidID(f.Site) {
		return invalid("site", f.Site, "a valid id")
	}
	if f.Origin.IsZero() {
		return invalid("origin", f.Origin.Format(time.RFC3339), "an instant")
	}
	for _, list := range []struct {
		name  string
		slots []perron.Slot
	}{{"measured", f.Measured}, {"quarters", f.Quarters}, {"hours", f.Hours}} {
		if len(list.slots) > maxSlots {
			return invalid(list.name, strconv.Itoa(len(list.slots)), fmt.Sprintf("at most %d slots", maxSlots))
		}
		for i, s := range list.slots {
			if s.Minutes < 1 || s.Minutes > 24*60 {
				return invalid(fmt.Sprintf("%s[%d].minutes", list.name, i), strconv.Itoa(s.Minutes), "from 1 to 1440")
			}
			if !word(string(s.Level)) {
				return invalid(fmt.Sprintf("%s[%d].level", list.name, i), string(s.Level), "a level")
			}
		}
	}
	if len(f.Best) > maxSlots {
		return invalid("best", strconv.Itoa(len(f.Best)), fmt.Sprintf("at most %d moments", maxSlots))
	}
	if f.Score != nil && len(f.Score.Horizons) > maxHorizons {
		return invalid("score.horizons", strconv.Itoa(len(f.Score.Horizons)), fmt.Sprintf("at most %d", maxHorizons))
	}
	return nil
}

func validateAction(a *perron.Action) error {
	if !perron.ValidID(a.Site) {
		return invalid("site", a.Site, "a valid id")
	}
	if len(a.ID) < 1 || len(a.ID) > 64 {
		return invalid("id", a.ID, "1 to 64 bytes")
	}
	if a.At.IsZero() {
		return invalid("at", a.At.Format(time.RFC3339), "an instant")
	}
	switch a.Kind {
	case perron.Recount, perron.Close, perron.Reopen, perron.Announce, perron.Withdraw, perron.Undo:
	default:
		return invalid("kind", string(a.Kind), "an action")
	}
	if a.Vehicles < 0 {
		return invalid("vehicles", strconv.Itoa(a.Vehicles), "a number of vehicles")
	}
	if len(a.By) > 100 {
		return invalid("by", a.By, "at most 100 bytes")
	}
	if len(a.Undoes) > 64 {
		return invalid("undoes", a.Undoes, "at most 64 bytes")
	}
	return validateText("text", a.Text)
}

func validateText(field string, text map[string]string) error {
	if len(text) > 40 {
		return invalid(field, strconv.Itoa(len(text)), "at most 40 languages")
	}
	for tag, s := range text {
		if len(tag) < 1 || len(tag) > 35 {
			return invalid(field, tag, "a language tag")
		}
		if len(s) > maxText {
			return invalid(field+"."+tag, s, fmt.Sprintf("at most %d bytes", maxText))
		}
	}
	return nil
}

// word says whether s is an identifier such as very_busy. Values that this
// version does not know pass, so that a newer sender can add one.
func word(s string) bool {
	if len(s) < 1 || len(s) > 32 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && c != '_' {
			return false
		}
	}
	return true
}
