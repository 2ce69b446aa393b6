package store

import (
	"bufio"
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
)

// ForecastGrain is the resolution at which forecasts are kept: a hundredth of
// a vehicle or of a minute.
const ForecastGrain = 0.01

const (
	forecastVersion = 1
	maxSlots        = 4096 // in each list of a stored forecast
)

// EncodeForecast packs a forecast for storage, without its site and origin,
// which are its key. Values are rounded to [ForecastGrain]; times are exact.
//
// A forecast is made for each site four times an hour and holds some 450 slots
// of nine numbers: 60 kB as JSON. Packed by column, as differences, and
// deflated, it takes 2 to 5 kB, which is 70 to 170 MB a year for each site; see
// TestForecastSize. Backends therefore drop forecasts after a while.
func EncodeForecast(f *perron.Forecast) ([]byte, error) {
	e := encoder{words: map[string]uint64{}}
	e.uint(uint64(max(f.Weeks, 0)))
	for _, slots := range [][]perron.Slot{f.Measured, f.Quarters, f.Hours} {
		e.slots(f.Origin, slots)
	}
	e.uint(uint64(len(f.Best)))
	for _, m := range f.Best {
		e.int(m.Start.Sub(f.Origin).Nanoseconds())
		e.int(m.End.Sub(m.Start).Nanoseconds())
		for _, v := range [3]float64{m.Wait.Low, m.Wait.Mid, m.Wait.High} {
			e.int(e.grain(v))
		}
	}
	if e.err != nil {
		return nil, fmt.Errorf("encode forecast: %w", e.err)
	}
	var out bytes.Buffer
	out.WriteByte(forecastVersion)
	w, err := flate.NewWriter(&out, flate.DefaultCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(e.buf); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// DecodeForecast unpacks what EncodeForecast made. Damaged data is an error.
func DecodeForecast(site string, origin time.Time, data []byte) (perron.Forecast, error) {
	f := perron.Forecast{Site: site, Origin: origin}
	if len(data) == 0 || data[0] != forecastVersion {
		return f, errors.New("decode forecast: unknown version")
	}
	// A forecast unpacks to some 20 kB; the limit stops damaged data.
	d := decoder{r: bufio.NewReader(io.LimitReader(flate.NewReader(bytes.NewReader(data[1:])), 4<<20))}
	f.Weeks = int(d.uint(math.MaxInt32))
	f.Measured = d.slots(origin)
	f.Quarters = d.slots(origin)
	f.Hours = d.slots(origin)
	for range d.uint(maxSlots) {
		if d.err != nil {
			break
		}
		var m perron.Moment
		m.Start = origin.Add(time.Duration(d.int()))
		m.End = m.Start.Add(time.Duration(d.int()))
		m.Wait = perron.Interval{Low: d.value(d.int()), Mid: d.value(d.int()), High: d.value(d.int())}
		f.Best = append(f.Best, m)
	}
	if d.err != nil {
		return f, fmt.Errorf("decode forecast: %w", d.err)
	}
	return f, nil
}

// slotValues lists a slot's numbers, column by column.
func slotValues(s *perron.Slot) [9]*float64 {
	return [9]*float64{
		&s.Arrivals.Low, &s.Arrivals.Mid, &s.Arrivals.High,
		&s.OnSite.Low, &s.OnSite.Mid, &s.OnSite.High,
		&s.Wait.Low, &s.Wait.Mid, &s.Wait.High,
	}
}

type encoder struct {
	buf   []byte
	words map[string]uint64
	err   error
}

func (e *encoder) uint(v uint64) { e.buf = binary.AppendUvarint(e.buf, v) }
func (e *encoder) int(v int64)   { e.buf = binary.AppendVarint(e.buf, v) }

func (e *encoder) grain(v float64) int64 {
	if !(math.Abs(v) < 1e12) {
		e.err = fmt.Errorf("%v is not a number of vehicles or minutes", v)
		return 0
	}
	return int64(math.Round(v / ForecastGrain))
}

// word writes an index into the words so far, and the word when it is new.
func (e *encoder) word(s string) {
	i, ok := e.words[s]
	if !ok {
		i = uint64(len(e.words))
		e.words[s] = i
		e.uint(i)
		e.uint(uint64(len(s)))
		e.buf = append(e.buf, s...)
		return
	}
	e.uint(i)
}

func (e *encoder) slots(origin time.Time, slots []perron.Slot) {
	if len(slots) > maxSlots {
		e.err = fmt.Errorf("%d slots, more than %d", len(slots), maxSlots)
		return
	}
	e.uint(uint64(len(slots)))
	prev, step := origin, time.Duration(0)
	for i := range slots {
		// The difference of differences is zero for slots of one length.
		d := slots[i].Start.Sub(prev)
		e.int(int64(d - step))
		prev, step = slots[i].Start, d
	}
	for i := range slots {
		open := uint64(0)
		if slots[i].Open {
			open = 1
		}
		e.uint(uint64(max(slots[i].Minutes, 0))<<1 | open)
	}
	for i := range slots {
		e.word(string(slots[i].Level))
	}
	for i := range slots {
		e.word(string(slots[i].Basis))
	}
	for c := range slotValues(new(perron.Slot)) {
		last := int64(0)
		for i := range slots {
			v := e.grain(*slotValues(&slots[i])[c])
			e.int(v - last)
			last = v
		}
	}
}

type decoder struct {
	r     *bufio.Reader
	words []string
	err   error
}

func (d *decoder) uint(limit uint64) uint64 {
	if d.err != nil {
		return 0
	}
	v, err := binary.ReadUvarint(d.r)
	switch {
	case err != nil:
		d.err = unexpected(err)
		return 0
	case v > limit:
		d.err = fmt.Errorf("%d is above the limit of %d", v, limit)
		return 0
	}
	return v
}

func (d *decoder) int() int64 {
	if d.err != nil {
		return 0
	}
	v, err := binary.ReadVarint(d.r)
	if err != nil {
		d.err = unexpected(err)
		return 0
	}
	return v
}

func (d *decoder) value(v int64) float64 { return float64(v) / (1 / ForecastGrain) }

func (d *decoder) word() string {
	i := d.uint(uint64(len(d.words)))
	if d.err != nil || int(i) < len(d.words) {
		if d.err != nil {
			return ""
		}
		return d.words[i]
	}
	b := make([]byte, d.uint(64))
	if d.err == nil {
		_, err := io.ReadFull(d.r, b)
		d.err = unexpected(err)
	}
	d.words = append(d.words, string(b))
	return string(b)
}

func (d *decoder) slots(origin time.Time) []perron.Slot {
	n := d.uint(maxSlots)
	if n == 0 || d.err != nil {
		return nil
	}
	slots := make([]perron.Slot, n)
	prev, step := origin, time.Duration(0)
	for i := range slots {
		step += time.Duration(d.int())
		prev = prev.Add(step)
		slots[i].Start = prev
	}
	for i := range slots {
		v := d.uint(math.MaxInt32)
		slots[i].Minutes, slots[i].Open = int(v>>1), v&1 == 1
	}
	for i := range slots {
		slots[i].Level = perron.Level(d.word())
	}
	for i := range slots {
		slots[i].Basis = perron.Quality(d.word())
	}
	for c := range slotValues(new(perron.Slot)) {
		last := int64(0)
		for i := range slots {
			last += d.int()
			*slotValues(&slots[i])[c] = d.value(last)
		}
	}
	return slots
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
