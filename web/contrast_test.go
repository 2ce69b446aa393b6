package web

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// A scheme is the custom properties of the built style in one colour scheme.
type scheme map[string]string

// schemes reads the custom properties that static/site.css sets on :root, for
// light and for dark.
func schemes(t *testing.T) (light, dark scheme) {
	t.Helper()
	css, err := static.ReadFile("static/site.css")
	if err != nil {
		t.Fatal(err)
	}
	read := func(s scheme, block string) {
		for _, m := range regexp.MustCompile(`(--[\w-]+):([^;}]+)`).FindAllStringSubmatch(block, -1) {
			s[m[1]] = strings.TrimSpace(m[2])
		}
	}
	light, dark = scheme{}, scheme{}
	inDark := regexp.MustCompile(`@media ?\(prefers-color-scheme: ?dark\)\{:root\{([^}]*)\}\}`)
	plain := inDark.ReplaceAllString(string(css), "")
	for _, m := range regexp.MustCompile(`:root\{([^}]*)\}`).FindAllStringSubmatch(plain, -1) {
		read(light, m[1])
		read(dark, m[1])
	}
	for _, m := range inDark.FindAllStringSubmatch(string(css), -1) {
		read(dark, m[1])
	}
	return light, dark
}

// luminance follows var() to a colour and returns its relative luminance (WCAG
// 2.2, "relative luminance").
func (s scheme) luminance(t *testing.T, name string) float64 {
	t.Helper()
	v := s[name]
	for range 10 {
		ref, ok := strings.CutPrefix(v, "var(")
		if !ok {
			break
		}
		v = s[strings.TrimSuffix(ref, ")")]
	}
	switch v {
	case "white":
		v = "#ffffff"
	case "black":
		v = "#000000"
	}
	hex := strings.TrimPrefix(v, "#")
	if len(hex) == 3 {
		hex = fmt.Sprintf("%c%c%c%c%c%c", hex[0], hex[0], hex[1], hex[1], hex[2], hex[2])
	}
	n, err := strconv.ParseUint(hex, 16, 32)
	if err != nil || len(hex) != 6 {
		t.Fatalf("%s is %q, not a colour", name, s[name])
	}
	channel := func(shift uint) float64 {
		c := float64(n>>shift&0xff) / 255
		if c <= 0.04045 {
			return c / 12.92
		}
		return math.Pow((c+0.055)/1.055, 2.4)
	}
	return 0.2126*channel(16) + 0.7152*channel(8) + 0.0722*channel(0)
}

func (s scheme) contrast(t *testing.T, a, b string) float64 {
	t.Helper()
	x, y := s.luminance(t, a), s.luminance(t, b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

// TestContrast holds the theme to what it promises: text 4.5:1 and marks 3:1
// on their grounds, and levels that differ in grey.
func TestContrast(t *testing.T) {
	light, dark := schemes(t)
	for name, s := range map[string]scheme{"light": light, "dark": dark} {
		need := func(least float64, a string, grounds ...string) {
			t.Helper()
			for _, b := range grounds {
				if got := s.contrast(t, "--perron-"+a, "--perron-"+b); got < least {
					t.Errorf("%s: %s on %s is %.2f:1, less than %v:1", name, a, b, got, least)
				}
			}
		}
		for _, text := range []string{"ink", "ink-soft", "action", "level-1-text", "level-2-text", "level-3-text", "level-4-text"} {
			need(4.5, text, "page", "surface")
		}
		for _, mark := range []string{"level-1", "level-2", "level-3", "level-4", "level-closed", "level-unknown", "focus"} {
			need(3, mark, "page", "surface")
		}
		need(4.5, "ink", "advice", "notice")
		need(4.5, "on-brand", "brand")
		need(4.5, "board-ink", "board", "board-closed")
		need(3, "accent", "brand")
		need(3, "advice-mark", "advice")
		need(3, "notice-mark", "notice")
		need(4.5, "surface", "action", "ink", "level-3")
		for step := 1; step <= heatSteps; step++ {
			need(4.5, fmt.Sprintf("heat-%d-text", step), fmt.Sprintf("heat-%d", step))
		}
		// Each level differs from the next in grey, always in the same direction.
		for rank := 1; rank < 4; rank++ {
			a, b := fmt.Sprintf("--perron-level-%d", rank), fmt.Sprintf("--perron-level-%d", rank+1)
			if got := s.contrast(t, a, b); got < 1.15 {
				t.Errorf("%s: levels %d and %d are the same in grey (%.2f:1)", name, rank, rank+1, got)
			}
			if darker := s.luminance(t, b) < s.luminance(t, a); darker != (name == "light") {
				t.Errorf("%s: level %d does not follow level %d in grey", name, rank+1, rank)
			}
		}
	}
}
