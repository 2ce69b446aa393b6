package broker

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
)

// An UplinkFormat is how a LoRaWAN network server writes what a device sent.
type UplinkFormat string

// The formats.
const (
	// ChirpStack is the JSON of ChirpStack v4, topic
	// application/{id}/device/{devEui}/event/up; see
	// https://www.chirpstack.io/docs/chirpstack/integrations/events.html.
	ChirpStack UplinkFormat = "chirpstack"
	// TheThingsStack is the JSON of The Things Stack v3, topic
	// v3/{application}@{tenant}/devices/{device id}/up; see
	// https://www.thethingsindustries.com/docs/integrations/data-formats/.
	TheThingsStack UplinkFormat = "thethingsstack"
)

// UplinkFormats are all of them.
func UplinkFormats() []UplinkFormat { return []UplinkFormat{ChirpStack, TheThingsStack} }

const (
	maxUplinkDepth = 32  // nesting of an uplink
	maxDevice      = 64  // length of a device's name
	maxPath        = 200 // length of a path
	maxSteps       = 16  // elements of a path
)

// An Uplink is one message of a device over LoRaWAN, as its network server
// passes it on. Both servers leave out a frame counter of zero.
type Uplink struct {
	// Device is the DevEUI (ChirpStack, in lower case) or the device id (The
	// Things Stack).
	Device string
	// Session is another each time the device joins; frame counters begin anew
	// then.
	Session string
	// Frame is the frame counter.
	Frame uint32
	// Time is when the network received it.
	Time time.Time

	decoded any
}

// DecodeUplink reads an uplink; join, acknowledgement and other events are
// errors. What the server's codec made of the payload is kept for
// [Uplink.Count].
func DecodeUplink(format UplinkFormat, b []byte) (Uplink, error) {
	u, err := decodeUplink(format, b)
	if err != nil {
		return Uplink{}, fmt.Errorf("decode %s uplink: %w", format, err)
	}
	return u, nil
}

func decodeUplink(format UplinkFormat, b []byte) (Uplink, error) {
	if len(b) > MaxMessage {
		return Uplink{}, fmt.Errorf("%d bytes are more than %d", len(b), MaxMessage)
	}
	if err := shallow(b); err != nil {
		return Uplink{}, err
	}
	var u Uplink
	var at string
	var frame *json.Number
	var object json.RawMessage
	switch format {
	case ChirpStack:
		var w struct {
			Time       string `json:"time"`
			DeviceInfo struct {
				DevEUI string `json:"devEui"`
			} `json:"deviceInfo"`
			DevAddr   string          `json:"devAddr"`
			FCnt      *json.Number    `json:"fCnt"`
			TxInfo    json.RawMessage `json:"txInfo"`
			QueueItem string          `json:"queueItemId"` // of a downlink
			Object    json.RawMessage `json:"object"`
		}
		if err := json.Unmarshal(b, &w); err != nil {
			return u, wrongType(err)
		}
		if w.TxInfo == nil || w.QueueItem != "" {
			return u, errors.New("not an uplink: want one with txInfo")
		}
		u.Device, u.Session = strings.ToLower(w.DeviceInfo.DevEUI), strings.ToLower(w.DevAddr)
		at, frame, object = w.Time, w.FCnt, w.Object
		if !isHex(u.Device, 16) {
			return u, invalid("deviceInfo.devEui", u.Device, "16 hexadecimal digits")
		}
	case TheThingsStack:
		var w struct {
			IDs struct {
				Device  string `json:"device_id"`
				DevAddr string `json:"dev_addr"`
			} `json:"end_device_ids"`
			ReceivedAt string `json:"received_at"`
			Uplink     *struct {
				Session    string          `json:"session_key_id"`
				FCnt       *json.Number    `json:"f_cnt"`
				Decoded    json.RawMessage `json:"decoded_payload"`
				ReceivedAt string          `json:"received_at"`
			} `json:"uplink_message"`
		}
		if err := json.Unmarshal(b, &w); err != nil {
			return u, wrongType(err)
		}
		if w.Uplink == nil {
			return u, errors.New("not an uplink: want one with uplink_message")
		}
		u.Device, u.Session = w.IDs.Device, w.Uplink.Session
		if u.Session == "" { // a device that was activated by hand has none
			u.Session = strings.ToLower(w.IDs.DevAddr)
		}
		at, frame, object = w.Uplink.ReceivedAt, w.Uplink.FCnt, w.Uplink.Decoded
		if at == "" {
			at = w.ReceivedAt
		}
		if u.Device == "" || len(u.Device) > maxDevice {
			return u, invalid("end_device_ids.device_id", u.Device, "the id of a device")
		}
	default:
		return u, fmt.Errorf("format %q is not known", format)
	}
	if len(u.Session) > maxDevice {
		return u, invalid("session", u.Session, fmt.Sprintf("at most %d bytes", maxDevice))
	}
	t, err := time.Parse(time.RFC3339Nano, at)
	if err != nil || t.Before(perron.Earliest) || t.Year() > 2200 {
		return u, invalid("time", at, "an RFC 3339 time since 2000")
	}
	u.Time = t.UTC()
	if frame != nil {
		n, err := strconv.ParseUint(frame.String(), 10, 32)
		if err != nil {
			return u, invalid("frame counter", frame.String(), "a number from 0 to 2^32-1")
		}
		u.Frame = uint32(n)
	}
	if len(object) > 0 {
		d := json.NewDecoder(bytes.NewReader(object))
		d.UseNumber()
		if err := d.Decode(&u.decoded); err != nil {
			return u, err
		}
	}
	return u, nil
}

// shallow refuses what is nested deeper than any uplink, before it is built up
// in memory.
func shallow(b []byte) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	for depth := 0; ; {
		t, err := d.Token()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if p, ok := t.(json.Delim); ok {
			switch p {
			case '{', '[':
				depth++
			default:
				depth--
			}
			if depth > maxUplinkDepth {
				return fmt.Errorf("nested deeper than %d", maxUplinkDepth)
			}
		}
	}
}

func wrongType(err error) error {
	if t, ok := err.(*json.UnmarshalTypeError); ok {
		return invalid(t.Field, t.Value, "a "+t.Type.String())
	}
	return err
}

func isHex(s string, n int) bool {
	if len(s) != n {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// A Path finds a value in the decoded payload of an uplink: keys and indices
// from 0, joined by dots, like counters.0.in.
type Path struct {
	text  string
	steps []string
}

// ParsePath reads a path. A key that itself has a dot in it cannot be named.
func ParsePath(s string) (Path, error) {
	p := Path{s, strings.Split(s, ".")}
	if s == "" || len(s) > maxPath || len(p.steps) > maxSteps {
		return Path{}, fmt.Errorf("%q is not a path: want keys joined by dots, like counter.in", clip(s))
	}
	for _, step := range p.steps {
		if step == "" || step != strings.TrimSpace(step) {
			return Path{}, fmt.Errorf("%q is not a path: want keys joined by dots, like counter.in", clip(s))
		}
	}
	return p, nil
}

// String is the path as it is written.
func (p Path) String() string { return p.text }

// Count is the count at the path of the decoded payload. Found is false when
// there is nothing, as in a message that the device sends for another purpose.
func (u *Uplink) Count(p Path) (n uint64, found bool, err error) {
	v := u.decoded
	for _, step := range p.steps {
		switch node := v.(type) {
		case map[string]any:
			v = node[step]
		case []any:
			i, err := strconv.ParseUint(step, 10, 16)
			if err != nil || i >= uint64(len(node)) {
				return 0, false, nil
			}
			v = node[i]
		default:
			return 0, false, nil
		}
	}
	switch v := v.(type) {
	case nil:
		return 0, false, nil
	case json.Number:
		if n, err := strconv.ParseUint(v.String(), 10, 64); err == nil && n <= maxCount {
			return n, true, nil
		}
		// Codecs are written in JavaScript, where every number is a fraction.
		if f, err := v.Float64(); err == nil && f >= 0 && f <= maxCount && f == math.Trunc(f) {
			return uint64(f), true, nil
		}
		return 0, false, invalid(p.text, v.String(), "a count from 0 to 2^53")
	}
	return 0, false, invalid(p.text, fmt.Sprintf("%T", v), "a number")
}
