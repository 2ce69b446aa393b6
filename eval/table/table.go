// Package table writes and reads the CSV files that estimates and forecasts are
// scored by: half a file is never left for a whole one, and errors name the file
// and the line.
package table

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
)

// A Table is a CSV file that is written. Its first error is that of Close.
type Table struct {
	Path string
	file *os.File // nil when closed
	csv  *csv.Writer
	err  error
}

// Create makes the file and writes the names of its columns.
func Create(path string, columns ...string) (*Table, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("write a table: %w", err)
	}
	t := &Table{Path: path, file: f, csv: csv.NewWriter(f)}
	t.Write(columns...)
	return t, nil
}

// Write adds a row.
func (t *Table) Write(fields ...string) {
	if err := t.csv.Write(fields); err != nil && t.err == nil {
		t.err = err
	}
}

// Close says whether all was written. Closing again does nothing.
func (t *Table) Close() error {
	if t.file == nil {
		return nil
	}
	t.csv.Flush()
	err := errors.Join(t.err, t.csv.Error(), t.file.Close())
	t.file = nil
	if err != nil {
		return fmt.Errorf("write %s: %w", t.Path, err)
	}
	return nil
}

// Finish closes a table, or removes it when what was to be written failed: half
// a file must not be taken for a whole one.
func (t *Table) Finish(err error) error {
	err = errors.Join(err, t.Close())
	if err != nil {
		if gone := os.Remove(t.Path); !errors.Is(gone, os.ErrNotExist) {
			err = errors.Join(err, gone)
		}
	}
	return err
}

// Read passes on the rows of a CSV file, with the fields of the columns in
// their order. Other columns may be there. Errors, those of each too, name the
// file and the line.
func Read(path string, columns []string, each func(line int, fields []string) error) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("read a table: %w", err)
	}
	defer f.Close() // was only read
	r := csv.NewReader(bufio.NewReaderSize(f, 1<<16))
	r.ReuseRecord = true
	header, err := r.Read()
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("%s is empty: want a header with the columns %s", path, strings.Join(columns, ","))
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	places := make([]int, len(columns))
	for i, c := range columns {
		places[i] = slices.IndexFunc(header, func(h string) bool {
			return strings.TrimSpace(strings.TrimPrefix(h, "\ufeff")) == c
		})
		if places[i] < 0 {
			return fmt.Errorf("%s line 1: no column %q among %s", path, c, strings.Join(header, ","))
		}
	}
	fields := make([]string, len(columns))
	for {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		for i, p := range places {
			fields[i] = strings.TrimSpace(row[p])
		}
		line, _ := r.FieldPos(0)
		if err := each(line, fields); err != nil {
			return fmt.Errorf("%s line %d: %w", path, line, err)
		}
	}
}

// ParseTime reads civil time as recordings write it, 2026-03-02 08:30:00 or with
// a T, with parts of a second or without seconds. A zone is left out: a file
// has one clock.
func ParseTime(column, text string) (time.Time, error) {
	s := strings.TrimSuffix(strings.Replace(text, "T", " ", 1), "Z")
	if i := strings.LastIndexAny(s, "+-"); i > len(time.DateOnly) {
		s = s[:i]
	}
	for _, layout := range []string{time.DateTime, "2006-01-02 15:04"} {
		if t, err := time.Parse(layout, s); err == nil { // fractions may follow the seconds
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%s %q: want a time like 2026-03-02T08:30:00", column, text)
}

// FormatTime writes what ParseTime has read.
func FormatTime(t time.Time) string { return t.Format("2006-01-02T15:04:05") }

// Local writes an instant as local time.
func Local(t time.Time) string { return t.In(perron.Amsterdam).Format("2006-01-02T15:04:05.000") }

// Decimals writes a number with n decimals.
func Decimals(v float64, n int) string { return strconv.FormatFloat(v, 'f', n, 64) }
