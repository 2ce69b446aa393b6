package broker

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
)

const (
	// Version of every message.
	Version = 1
	// MaxMessage is the largest message, in bytes, that is sent or decoded.
	MaxMessage = 256 << 10
	// MaxEvents is the most events that one batch may hold.
	MaxEvents = 1000

	// MaxSensors is the most sensors that one status may hold.
	MaxSensors = 256

	maxOutages = 64  // in one status
	maxSlots   = 500 // in one list of a forecast
	maxText    = 2000

	maxHorizons = 32 // in the score of a forecast
)

// Events is a batch of consecutive events of a gateway.
type Events struct {
	Epoch string
	// Floor is the lowest sequence number that the gateway still holds, or the
	// next it will give out when it holds none. It is at most First.
	Floor uint64
	// First is the sequence number of Events[0], from 1.
	First  uint64
	Events []perron.Event
}

// Ack tells a gateway up to which sequence number everything is stored.
type Ack struct {
	Epoch string `json:"epoch"`
	Acked uint64 `json:"acked"`
	// Rival tells it instead that another device has come with its name. Then
	// Epoch is empty, and nothing is acknowledged.
	Rival bool `json:"rival,omitempty"`
}

// An InvalidError says which field of a message holds what it may not.
type InvalidError struct {
	Field, Value, Want string
}

func (e *InvalidError) Error() string {
	return fmt.Sprintf("%s: %q is not %s", e.Field, clip(e.Value), e.Want)
}

func invalid(field, value, want string) error {
	return &InvalidError{Field: field, Value: value, Want: want}
}

// ValidEpoch says whether s can name an epoch: 1 to 64 letters, digits, and
// . _ : -.
func ValidEpoch(s string) bool {
	if len(s) < 1 || len(s) > 64 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '.', c == '_', c == ':', c == '-':
		default:
			return false
		}
	}
	return true
}

const wantEpoch = "1 to 64 letters, digits, '.', '_', ':' or '-'"

// Validate says what is wrong with the batch, if anything.
func (m Events) Validate() error {
	if !ValidEpoch(m.Epoch) {
		return invalid("epoch", m.Epoch, wantEpoch)
	}
	if m.First < 1 || m.First > math.MaxInt64-MaxEvents {
		return invalid("first", strconv.FormatUint(m.First, 10), "a sequence number from 1 to 2^63")
	}
	if m.Floor < 1 || m.Floor > m.First {
		return invalid("floor", strconv.FormatUint(m.Floor, 10), "from 1 to first")
	}
	if len(m.Events) > MaxEvents {
		return invalid("events", strconv.Itoa(len(m.Events)), fmt.Sprintf("at most %d events", MaxEvents))
	}
	for i, e := range m.Events {
		if !e.Kind.Valid() {
			return invalid(fmt.Sprintf("events[%d].k", i), string(e.Kind), "one of in, out, on, off")
		}
		if !perron.ValidID(e.Sensor) {
			return invalid(fmt.Sprintf("events[%d].s", i), e.Sensor, "a valid id")
		}
		if y := e.Time.UTC().Year(); y < 1 || y > 9999 {
			return invalid(fmt.Sprintf("events[%d].t", i), strconv.Itoa(y), "a year from 1 to 9999")
		}
	}
	return nil
}

// Encode is the batch on the wire. It refuses what DecodeEvents would.
func (m Events) Encode() ([]byte, error) {
	if err := m.Validate(); err != nil {
		return nil, fmt.Errorf("encode events: %w", err)
	}
	// Ids and epochs hold nothing that JSON escapes, so the batch can be written
	// directly. It saves the gateway most of its time a batch.
	b := make([]byte, 0, 96+72*len(m.Events))
	b = append(b, `{"v":1,"epoch":"`...)
	b = append(b, m.Epoch...)
	b = append(b, `","floor":`...)
	b = strconv.AppendUint(b, m.Floor, 10)
	b = append(b, `,"first":`...)
	b = strconv.AppendUint(b, m.First, 10)
	b = append(b, `,"events":[`...)
	for i, e := range m.Events {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"t":"`...)
		b = e.Time.UTC().AppendFormat(b, time.RFC3339Nano)
		b = append(b, `","s":"`...)
		b = append(b, e.Sensor...)
		b = append(b, `","k":"`...)
		b = append(b, e.Kind...)
		if e.Unsure {
			b = append(b, `","u":true}`...)
			continue
		}
		b = append(b, `"}`...)
	}
	b = append(b, "]}"...)
	return bounded("events", b)
}

type wireEvents struct {
	V      int         `json:"v"`
	Epoch  string      `json:"epoch"`
	Floor  uint64      `json:"floor"`
	First  uint64      `json:"first"`
	Events []wireEvent `json:"events"`
}

type wireEvent struct {
	T string      `json:"t"`
	S string      `json:"s"`
	K perron.Kind `json:"k"`
	U bool        `json:"u"` // the time is unsure
}

// DecodeEvents reads a batch. Times are UTC.
func DecodeEvents(b []byte) (Events, error) {
	var w wireEvents
	if err := decode("events", b, &w, &w.V); err != nil {
		return Events{}, err
	}
	if len(w.Events) > MaxEvents {
		return Events{}, fmt.Errorf("decode events: %w",
			invalid("events", strconv.Itoa(len(w.Events)), fmt.Sprintf("at most %d events", MaxEvents)))
	}
	m := Events{Epoch: w.Epoch, Floor: w.Floor, First: w.First, Events: make([]perron.Event, len(w.Events))}
	for i, e := range w.Events {
		t, err := time.Parse(time.RFC3339Nano, e.T)
		if err != nil {
			return Events{}, fmt.Errorf("decode events: %w", invalid(fmt.Sprintf("events[%d].t", i), e.T, "an RFC 3339 time"))
		}
		sensor := e.S
		if i > 0 && sensor == m.Events[i-1].Sensor {
			sensor = m.Events[i-1].Sensor // one string for a run of one sensor
		}
		m.Events[i] = perron.Event{Time: t.UTC(), Sensor: sensor, Kind: e.K, Unsure: e.U}
	}
	if err := m.Validate(); err != nil {
		return Events{}, fmt.Errorf("decode events: %w", err)
	}
	return m, nil
}

// Encode is the acknowledgement on the wire.
func (m Ack) Encode() ([]byte, error) {
	if err := m.validate(); err != nil {
		return nil, fmt.Errorf("encode ack: %w", err)
	}
	return encode("ack", struct {
		V int `json:"v"`
		Ack
	}{Version, m})
}

// DecodeAck reads an acknowledgement.
func DecodeAck(b []byte) (Ack, error) {
	var w struct {
		V int `json:"v"`
		Ack
	}
	if err := decode("ack", b, &w, &w.V); err != nil {
		return Ack{}, err
	}
	if err := w.Ack.validate(); err != nil {
		return Ack{}, fmt.Errorf("decode ack: %w", err)
	}
	return w.Ack, nil
}

func (m Ack) validate() error {
	if m.Rival && m.Epoch == "" && m.Acked == 0 {
		return nil
	}
	if m.Rival {
		return invalid("rival", "true", "without epoch and acked")
	}
	if !ValidEpoch(m.Epoch) {
		return invalid("epoch", m.Epoch, wantEpoch)
	}
	if m.Acked > math.MaxInt64 {
		return invalid("acked", strconv.FormatUint(m.Acked, 10), "a sequence number below 2^63")
	}
	return nil
}

type wireStatus struct {
	V int `json:"v"`
	perron.GatewayStatus
}

// EncodeStatus is a gateway's status on the wire.
func EncodeStatus(s perron.GatewayStatus) ([]byte, error) {
	if err := validateStatus(&s); err != nil {
		return nil, fmt.Errorf("encode status: %w", err)
	}
	return encode("status", wireStatus{Version, s})
}

// DecodeStatus reads a gateway's status.
func DecodeStatus(b []byte) (perron.GatewayStatus, error) {
	var w wireStatus
	if err := decode("status", b, &w, &w.V); err != nil {
		return perron.GatewayStatus{}, err
	}
	if err := validateStatus(&w.GatewayStatus); err != nil {
		return perron.GatewayStatus{}, fmt.Errorf("decode status: %w", err)
	}
	return w.GatewayStatus, nil
}

type wireBusyness struct {
	V int `json:"v"`
	perron.Busyness
}

// EncodeBusyness is the live state of a site on the wire.
func EncodeBusyness(s perron.Busyness) ([]byte, error) {
	if err := validateBusyness(&s); err != nil {
		return nil, fmt.Errorf("encode busyness: %w", err)
	}
	return encode("busyness", wireBusyness{Version, s})
}

// DecodeBusyness reads the live state of a site.
func DecodeBusyness(b []byte) (perron.Busyness, error) {
	var w wireBusyness
	if err := decode("busyness", b, &w, &w.V); err != nil {
		return perron.Busyness{}, err
	}
	if err := validateBusyness(&w.Busyness); err != nil {
		return perron.Busyness{}, fmt.Errorf("decode busyness: %w", err)
	}
	return w.Busyness, nil
}

type wireForecast struct {
	V int `json:"v"`
	perron.Forecast
}

// EncodeForecast is a forecast on the wire.
func EncodeForecast(f perron.Forecast) ([]byte, error) {
	if err := validateForecast(&f); err != nil {
		return nil, fmt.Errorf("encode forecast: %w", err)
	}
	return encode("forecast", wireForecast{Version, f})
}

// DecodeForecast reads a forecast.
func DecodeForecast(b []byte) (perron.Forecast, error) {
	var w wireForecast
	if err := decode("forecast", b, &w, &w.V); err != nil {
		return perron.Forecast{}, err
	}
	if err := validateForecast(&w.Forecast); err != nil {
		return perron.Forecast{}, fmt.Errorf("decode forecast: %w", err)
	}
	return w.Forecast, nil
}

type wireAction struct {
	V int `json:"v"`
	perron.Action
}

// EncodeAction is what staff did, on the wire.
func EncodeAction(a perron.Action) ([]byte, error) {
	if err := validateAction(&a); err != nil {
		return nil, fmt.Errorf("encode action: %w", err)
	}
	return encode("action", wireAction{Version, a})
}

// DecodeAction reads what staff did.
func DecodeAction(b []byte) (perron.Action, error) {
	var w wireAction
	if err := decode("action", b, &w, &w.V); err != nil {
		return perron.Action{}, err
	}
	if err := validateAction(&w.Action); err != nil {
		return perron.Action{}, fmt.Errorf("decode action: %w", err)
	}
	return w.Action, nil
}

func encode(what string, v any) ([]byte, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", what, err)
	}
	return bounded(what, b)
}

func bounded(what string, b []byte) ([]byte, error) {
	if len(b) > MaxMessage {
		return nil, fmt.Errorf("encode %s: %d bytes are more than %d", what, len(b), MaxMessage)
	}
	return b, nil
}

// decode fills v, whose version field is at version, and checks size and
// version.
func decode(what string, b []byte, v any, version *int) error {
	if len(b) > MaxMessage {
		return fmt.Errorf("decode %s: %d bytes are more than %d", what, len(b), MaxMessage)
	}
	err := json.Unmarshal(b, v)
	if err != nil {
		// Of another version the fields may well differ; then the version is what
		// is wrong, not the field.
		var peek struct {
			V json.Number `json:"v"`
		}
		if json.Unmarshal(b, &peek) == nil && peek.V != "" && peek.V != "1" {
			return fmt.Errorf("decode %s: %w", what, invalid("v", peek.V.String(), "1"))
		}
		var wrong *json.UnmarshalTypeError
		if errors.As(err, &wrong) {
			return fmt.Errorf("decode %s: %w", what, invalid(wrong.Field, wrong.Value, "a "+wrong.Type.String()))
		}
		return fmt.Errorf("decode %s: %w", what, err)
	}
	if *version != Version {
		return fmt.Errorf("decode %s: %w", what, invalid("v", strconv.Itoa(*version), "1"))
	}
	return nil
}
