package config

import (
	"fmt"
	"net"
	"net/url"
	"reflect"
	"strconv"
	"strings"
)

// A checker gathers the faults of a decoded configuration.
type checker struct {
	lines  map[string]int // may be nil
	faults []Fault
}

// fault notes what is wrong at path. The line is that of the path, or of the
// nearest block around it.
func (c *checker) fault(path, format string, args ...any) {
	line := 0
	for at := path; ; {
		if l, ok := c.lines[at]; ok || at == "" {
			line = l
			break
		}
		at = at[:max(0, strings.LastIndexAny(at, ".["))]
	}
	c.faults = append(c.faults, Fault{Line: line, Path: path, Message: fmt.Sprintf(format, args...)})
}

// tags checks what the types and the tags of their fields say. The JSON Schema
// is generated from the same, so the two cannot drift apart.
//
//	want:"…"                   must not be empty once defaults are filled in
//	jsonschema:"required,…"    must be in the file: there is no default
//	jsonschema:"minimum=1,…"   bounds of a number
//	bounds:"30s,1h"            bounds of a duration or size
func (c *checker) tags(v reflect.Value, path string) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			c.tags(v.Elem(), path)
		}
		return
	case reflect.Struct:
		for _, f := range fields(v.Type()) {
			at := join(path, f.name)
			if c.bounds(v.Field(f.index), v.Type().Field(f.index).Tag, at) {
				c.tags(v.Field(f.index), at)
			}
		}
		return
	case reflect.Slice:
		for i := range v.Len() {
			c.tags(v.Index(i), fmt.Sprintf("%s[%d]", path, i))
		}
		return
	case reflect.Map:
		for _, k := range v.MapKeys() {
			at := join(path, k.String())
			c.word(k, at)
			c.tags(v.MapIndex(k), at)
		}
		return
	}
	c.word(v, path)
}

// word checks a text that has a rule of its own.
func (c *checker) word(v reflect.Value, path string) {
	if v.IsZero() {
		return // whether it may be absent is the business of "required"
	}
	switch t := v.Interface().(type) {
	case interface{ check() string }:
		if want := t.check(); want != "" {
			c.fault(path, "%s: want %s", quote(v.String()), want)
		}
	case choices:
		if m := choiceFault(v.String(), t.Choices()); m != "" {
			c.fault(path, "%s", m)
		}
	}
}

// bounds checks one field against its tags and says whether to look inside.
func (c *checker) bounds(v reflect.Value, tag reflect.StructTag, path string) bool {
	if want := tag.Get("want"); want != "" && (v.IsZero() || v.Kind() == reflect.Slice && v.Len() == 0) {
		c.fault(path, "is missing: %s", want)
		return false
	}
	var low, high float64
	var hasLow, hasHigh bool
	for part := range strings.SplitSeq(tag.Get("jsonschema"), ",") {
		key, value, _ := strings.Cut(part, "=")
		switch key {
		case "minimum":
			low, hasLow = mustFloat(value), true
		case "maximum":
			high, hasHigh = mustFloat(value), true
		}
	}
	if from, to, ok := strings.Cut(tag.Get("bounds"), ","); ok {
		low, hasLow = mustText(v, from), true
		high, hasHigh = mustText(v, to), true
	}
	if !hasLow && !hasHigh {
		return true
	}
	var x float64
	switch v.Kind() {
	case reflect.Int, reflect.Int64:
		x = float64(v.Int())
	case reflect.Float64:
		x = v.Float()
	default:
		panic("config: bounds on a " + v.Kind().String())
	}
	if hasLow && x < low || hasHigh && x > high {
		c.fault(path, "%v: want %s", v.Interface(), rangeText(v, tag, low, high, hasLow, hasHigh))
		return false
	}
	return true
}

func rangeText(v reflect.Value, tag reflect.StructTag, low, high float64, hasLow, hasHigh bool) string {
	if from, to, ok := strings.Cut(tag.Get("bounds"), ","); ok {
		return from + " to " + to
	}
	number := func(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }
	switch {
	case hasLow && hasHigh:
		return number(low) + " to " + number(high)
	case hasLow:
		return "at least " + number(low)
	}
	return "at most " + number(high)
}

// mustFloat reads a bound of a tag; a wrong one is a fault of this package.
func mustFloat(s string) float64 {
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		panic(err)
	}
	return f
}

// mustText reads a bound that is written as the field itself is, like 15m.
func mustText(v reflect.Value, s string) float64 {
	fresh := reflect.New(v.Type())
	u, ok := fresh.Interface().(interface{ UnmarshalText([]byte) error })
	if !ok {
		panic("config: bounds on a " + v.Type().String())
	}
	if err := u.UnmarshalText([]byte(s)); err != nil {
		panic(err)
	}
	return float64(fresh.Elem().Int())
}

// listen checks an address to listen on.
func (c *checker) listen(path, addr string) {
	const want = "want HOST:PORT like 127.0.0.1:8080, or :8080 for every interface"
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		c.fault(path, "%s: %s", quote(addr), want)
		return
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || strconv.FormatUint(n, 10) != port {
		c.fault(path, "%s: port %s: want 0 to 65535", quote(addr), quote(port))
	}
}

// url checks an absolute URL of one of the schemes and returns it, or nil.
func (c *checker) url(path, text string, schemes ...string) *url.URL {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Hostname() == "" {
		// A URL that cannot be read may hold a password anywhere.
		c.fault(path, "is not a URL: want one like %s://host.example", schemes[0])
		return nil
	}
	ok := false
	for _, s := range schemes {
		ok = ok || u.Scheme == s
	}
	if !ok {
		c.fault(path, "%s: scheme %s: want %s", quote(u.Redacted()), quote(u.Scheme), orList(schemes))
	}
	if u.User != nil {
		c.fault(path, "holds a user or password: want them in the keys for it, so that they are never logged")
	}
	return u
}
