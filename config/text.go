package config

import (
	"encoding"
	"fmt"
	"math"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
)

// A Duration is written as 30s, 15m or 1h30m.
type Duration time.Duration

// D is the duration as the standard library knows it.
func (d Duration) D() time.Duration { return time.Duration(d) }

// String is the shortest text that reads back as d: "5m", not "5m0s".
func (d Duration) String() string {
	s := time.Duration(d).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// MarshalText implements encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	if err != nil {
		return errWant("a duration with its unit, like 300ms, 30s, 15m or 2h")
	}
	*d = Duration(v)
	return nil
}

// A Size is a number of bytes, written as 256MiB, 2GiB or 500MB.
type Size int64

var sizeUnits = []struct {
	suffix string
	bytes  int64
}{
	{"KiB", 1 << 10},
	{"MiB", 1 << 20},
	{"GiB", 1 << 30},
	{"TiB", 1 << 40},
	{"kB", 1e3},
	{"MB", 1e6},
	{"GB", 1e9},
	{"TB", 1e12},
	{"B", 1},
}

// String is the size in the largest binary unit that divides it.
func (s Size) String() string {
	unit, div := "B", Size(1)
	for _, u := range sizeUnits[:4] {
		if s != 0 && s%Size(u.bytes) == 0 {
			unit, div = u.suffix, Size(u.bytes)
		}
	}
	return strconv.FormatInt(int64(s/div), 10) + unit
}

// MarshalText implements encoding.TextMarshaler.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Size) UnmarshalText(b []byte) error {
	text := strings.TrimSpace(string(b))
	for _, u := range sizeUnits {
		number, ok := strings.CutSuffix(text, u.suffix)
		if !ok {
			continue
		}
		v, err := strconv.ParseInt(strings.TrimSpace(number), 10, 64)
		if err != nil || v < 0 || v > math.MaxInt64/u.bytes {
			break
		}
		*s = Size(v * u.bytes)
		return nil
	}
	return errWant("a size with its unit, like 64MiB or 2GiB")
}

// A Span is a part of a day, written as 08:30-17:00.
type Span perron.Span

// String is 08:30-17:00.
func (s Span) String() string { return s.Open.String() + "-" + s.Close.String() }

// MarshalText implements encoding.TextMarshaler.
func (s Span) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

var spanPattern = regexp.MustCompile(`^(\d{1,2}:\d{2}) ?[-–] ?(\d{1,2}:\d{2})$`)

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Span) UnmarshalText(b []byte) error {
	const want = "opening hours like 08:30-17:00, the first before the second, within one day"
	m := spanPattern.FindStringSubmatch(string(b))
	if m == nil {
		return errWant(want)
	}
	from, err := perron.ParseTimeOfDay(m[1])
	if err != nil {
		return errWant(want)
	}
	to, err := perron.ParseTimeOfDay(m[2])
	if err != nil || to <= from {
		return errWant(want)
	}
	*s = Span{Open: from, Close: to}
	return nil
}

// A Date is a civil day, written as 2026-12-24.
type Date perron.Date

// String is 2026-12-24.
func (d Date) String() string { return perron.Date(d).String() }

// MarshalText implements encoding.TextMarshaler.
func (d Date) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Date) UnmarshalText(b []byte) error {
	v, err := perron.ParseDate(string(b))
	if err != nil {
		return errWant("a date like 2026-12-24")
	}
	*d = Date(v)
	return nil
}

// A DateRange is a number of days, both ends included, written as
// 2026-10-17/2026-10-25.
type DateRange perron.DateRange

// String is 2026-10-17/2026-10-25.
func (r DateRange) String() string { return r.First.String() + "/" + r.Last.String() }

// MarshalText implements encoding.TextMarshaler.
func (r DateRange) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (r *DateRange) UnmarshalText(b []byte) error {
	from, to, _ := strings.Cut(string(b), "/")
	first, err1 := perron.ParseDate(from)
	last, err2 := perron.ParseDate(to)
	if err1 != nil || err2 != nil || last.Before(first) {
		return errWant("the first and the last day like 2026-10-17/2026-10-25")
	}
	*r = DateRange{First: first, Last: last}
	return nil
}

// A Network is a range of IP addresses, written as 10.0.0.0/8; a single address
// is written without a length.
type Network netip.Prefix

// String is 10.0.0.0/8.
func (n Network) String() string { return netip.Prefix(n).String() }

// MarshalText implements encoding.TextMarshaler.
func (n Network) MarshalText() ([]byte, error) { return []byte(n.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (n *Network) UnmarshalText(b []byte) error {
	if a, err := netip.ParseAddr(string(b)); err == nil && a.Zone() == "" {
		*n = Network(netip.PrefixFrom(a, a.BitLen()))
		return nil
	}
	p, err := netip.ParsePrefix(string(b))
	if err != nil || p != p.Masked() {
		return errWant("an address like 127.0.0.1 or a network like 10.0.0.0/8")
	}
	*n = Network(p)
	return nil
}

// A Secret is a password or token. It never appears in printed output.
type Secret string

const redacted = "(secret)"

// String hides the secret.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return redacted
}

// GoString hides the secret.
func (s Secret) GoString() string { return strconv.Quote(s.String()) }

// MarshalText hides the secret.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Reveal is the secret itself.
func (s Secret) Reveal() string { return string(s) }

// An ID names a site, gate, gateway, sensor or input, see [perron.ValidID].
type ID string

func (id ID) check() string {
	if perron.ValidID(string(id)) {
		return ""
	}
	return "1 to 32 lower-case letters, digits and hyphens, no hyphen first or last"
}

// A Language is a BCP 47 tag like nl or en.
type Language string

var languagePattern = regexp.MustCompile(`^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$`)

// UnmarshalText implements encoding.TextUnmarshaler.
func (l *Language) UnmarshalText(b []byte) error {
	if !languagePattern.Match(b) {
		return errWant("a language tag like nl or en")
	}
	*l = Language(b)
	return nil
}

// A Holiday is one of the names in [perron.Holidays].
type Holiday perron.Holiday

// Choices are the names that configuration may use.
func (Holiday) Choices() []string {
	out := make([]string, 0, len(perron.Holidays()))
	for _, h := range perron.Holidays() {
		out = append(out, string(h))
	}
	return out
}

// A SchoolRegion is a region of the Dutch school holidays.
type SchoolRegion perron.SchoolRegion

// Choices are the names that configuration may use.
func (SchoolRegion) Choices() []string {
	var out []string
	for _, r := range perron.SchoolRegions() {
		out = append(out, string(r))
	}
	return out
}

// A Role is a part of the server that a process takes on.
type Role string

// The roles of a server process.
const (
	RoleBroker    Role = "broker"
	RoleCollector Role = "collector"
	RoleAPI       Role = "api"
)

// Choices are all roles.
func (Role) Choices() []string {
	return []string{string(RoleBroker), string(RoleCollector), string(RoleAPI)}
}

// choices is implemented by texts that are one of a few words. The schema
// generator reads them too.
type choices interface{ Choices() []string }

// errWant is the error of an UnmarshalText: it says only what would be right,
// because the decoder adds the field and the value.
type errWant string

func (e errWant) Error() string { return "want " + string(e) }

// quote cuts and quotes a value for a message.
func quote(s string) string {
	const limit = 60
	if r := []rune(s); len(r) > limit {
		s = string(r[:limit]) + "…"
	}
	return strconv.Quote(s)
}

// orList joins words as "a, b or c".
func orList(words []string) string {
	switch len(words) {
	case 0:
		return ""
	case 1:
		return words[0]
	}
	return fmt.Sprintf("%s or %s", strings.Join(words[:len(words)-1], ", "), words[len(words)-1])
}

var (
	_ encoding.TextUnmarshaler = (*Duration)(nil)
	_ encoding.TextUnmarshaler = (*Size)(nil)
	_ encoding.TextUnmarshaler = (*Span)(nil)
	_ encoding.TextUnmarshaler = (*Date)(nil)
)
