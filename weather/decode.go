package weather

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
)

// maxHours bounds what one answer or file may hold: ten years.
const maxHours = 10 * 366 * 24

// answer is what Open-Meteo says, as far as it is of use.
type answer struct {
	Error  bool   `json:"error"`
	Reason string `json:"reason"`
	Offset int    `json:"utc_offset_seconds"`
	Units  struct {
		Temperature   string `json:"temperature_2m"`
		Precipitation string `json:"precipitation"`
		Rain          string `json:"rain"`
	} `json:"hourly_units"`
	Hourly struct {
		Time          []json.RawMessage `json:"time"`
		Temperature   []*float64        `json:"temperature_2m"`
		Precipitation []*float64        `json:"precipitation"`
		Rain          []*float64        `json:"rain"`
	} `json:"hourly"`
}

// DecodeJSON reads an answer that is shaped as Open-Meteo's. Hours that are
// null or cannot be weather are left out; it is an error when none is left.
func DecodeJSON(text []byte) ([]perron.Weather, error) {
	var a answer
	if err := json.Unmarshal(text, &a); err != nil {
		return nil, fmt.Errorf("read the weather: %w", err)
	}
	if a.Error {
		return nil, fmt.Errorf("the weather service refuses: %.200q", a.Reason)
	}
	rain, unit := a.Hourly.Precipitation, a.Units.Precipitation
	if rain == nil {
		rain, unit = a.Hourly.Rain, a.Units.Rain
	}
	n := len(a.Hourly.Time)
	switch {
	case n == 0:
		return nil, errors.New("the weather has no hourly.time")
	case n > maxHours:
		return nil, fmt.Errorf("the weather has %d hours: want at most %d", n, maxHours)
	case len(a.Hourly.Temperature) != n:
		return nil, fmt.Errorf("the weather has %d times and %d hourly.temperature_2m", n, len(a.Hourly.Temperature))
	case len(rain) != n:
		return nil, fmt.Errorf("the weather has %d times and %d hourly.precipitation", n, len(rain))
	case a.Units.Temperature != "" && a.Units.Temperature != "°C":
		return nil, fmt.Errorf("the temperature is in %.20q: want °C", a.Units.Temperature)
	case unit != "" && unit != "mm":
		return nil, fmt.Errorf("the rain is in %.20q: want mm", unit)
	case a.Offset < -15*3600 || a.Offset > 15*3600:
		return nil, fmt.Errorf("utc_offset_seconds %d: want at most 15 hours", a.Offset)
	}
	var out []perron.Weather
	for i, raw := range a.Hourly.Time {
		if a.Hourly.Temperature[i] == nil || rain[i] == nil {
			continue
		}
		at, err := hourOf(raw, a.Offset)
		if err != nil {
			return nil, fmt.Errorf("hourly.time[%d] %.40s: %w", i, raw, err)
		}
		if w := (perron.Weather{Hour: at, Temperature: *a.Hourly.Temperature[i], Rain: *rain[i]}); w.Plausible() {
			out = append(out, w)
		}
	}
	return sorted(out)
}

func hourOf(raw json.RawMessage, offset int) (time.Time, error) {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		t, err := time.ParseInLocation("2006-01-02T15:04", text, time.FixedZone("", offset))
		return t.UTC(), err
	}
	seconds, err := strconv.ParseInt(string(bytes.TrimSpace(raw)), 10, 64)
	if err != nil {
		return time.Time{}, errors.New("want 2026-05-01T13:00 or Unix seconds")
	}
	return time.Unix(seconds, 0).UTC(), nil
}

// DecodeCSV reads a table with the columns time, temperature (°C) and rain (mm
// in the hour), in any order. A time without a zone is Dutch. Rows without
// numbers, or with numbers that cannot be weather, are left out.
func DecodeCSV(in io.Reader) ([]perron.Weather, error) {
	r := csv.NewReader(bufio.NewReader(in))
	r.FieldsPerRecord, r.ReuseRecord = -1, true
	header, err := r.Read()
	if err != nil {
		return nil, fmt.Errorf("read the weather: %w", err)
	}
	var columns [3]int
	for i, name := range []string{"time", "temperature", "rain"} {
		columns[i] = slices.IndexFunc(header, func(h string) bool {
			return strings.EqualFold(strings.TrimSpace(strings.TrimPrefix(h, "\ufeff")), name)
		})
		if columns[i] < 0 {
			return nil, fmt.Errorf("the weather has no column %s", name)
		}
	}
	var out []perron.Weather
	for line := 2; ; line++ {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			return sorted(out)
		}
		if err != nil {
			return nil, fmt.Errorf("read the weather: %w", err)
		}
		if line > maxHours {
			return nil, fmt.Errorf("the weather has more than %d hours", maxHours)
		}
		if len(row) <= max(columns[0], columns[1], columns[2]) {
			continue
		}
		at, err := timeOf(row[columns[0]])
		if err != nil {
			return nil, fmt.Errorf("line %d: time %.40q: want one like 2026-05-01T13:00", line, row[columns[0]])
		}
		temperature, err1 := strconv.ParseFloat(strings.TrimSpace(row[columns[1]]), 64)
		rain, err2 := strconv.ParseFloat(strings.TrimSpace(row[columns[2]]), 64)
		if w := (perron.Weather{Hour: at, Temperature: temperature, Rain: rain}); err1 == nil && err2 == nil && w.Plausible() {
			out = append(out, w)
		}
	}
}

func timeOf(text string) (time.Time, error) {
	text = strings.TrimSpace(text)
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t.UTC(), nil
	}
	var t time.Time
	var err error
	for _, layout := range []string{"2006-01-02T15:04", "2006-01-02T15:04:05", time.DateTime, "2006-01-02 15:04"} {
		if t, err = time.ParseInLocation(layout, text, perron.Amsterdam); err == nil {
			return t.UTC(), nil
		}
	}
	return t, err
}

// sorted puts hours in order, the last said of an hour alone.
func sorted(of []perron.Weather) ([]perron.Weather, error) {
	if len(of) == 0 {
		return nil, errors.New("the weather holds no hour that can be used")
	}
	for i := range of {
		of[i].Hour = perron.Hour.Start(of[i].Hour)
	}
	slices.SortStableFunc(of, func(a, b perron.Weather) int { return a.Hour.Compare(b.Hour) })
	out := of[:0]
	for _, w := range of {
		if n := len(out); n > 0 && out[n-1].Hour.Equal(w.Hour) {
			out[n-1] = w
			continue
		}
		out = append(out, w)
	}
	return out, nil
}
