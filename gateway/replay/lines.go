package replay

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"hash"
	"hash/crc64"
	"io"
)

// maxLine is the longest line that is read, in bytes.
const maxLine = 64 << 10

// lines reads a file line by line. It knows where it is, which encoding/csv
// cannot say after an error, and a quote that is never closed breaks one line
// only: no field reaches over the end of its line.
type lines struct {
	r      *bufio.Reader
	offset int64 // of the line to come
	number int   // of the last line, from 1
	sum    hash.Hash64
}

func newLines(r io.Reader) *lines {
	return &lines{r: bufio.NewReaderSize(r, maxLine), sum: crc64.New(table)}
}

var errLong = fmt.Errorf("is longer than %d bytes", maxLine)

// next returns the next line without its end. After errLong reading goes on.
func (l *lines) next() ([]byte, error) {
	text, err := l.r.ReadSlice('\n')
	l.took(text)
	if errors.Is(err, bufio.ErrBufferFull) {
		for errors.Is(err, bufio.ErrBufferFull) {
			text, err = l.r.ReadSlice('\n')
			l.took(text)
		}
		if err == nil || err == io.EOF {
			err = errLong
		}
		l.number++
		return nil, err
	}
	if err != nil && (err != io.EOF || len(text) == 0) {
		return nil, err
	}
	l.number++
	if l.number == 1 {
		text = bytes.TrimPrefix(text, []byte("\ufeff"))
	}
	return bytes.TrimRight(text, "\r\n"), nil
}

func (l *lines) took(text []byte) {
	l.offset += int64(len(text))
	l.sum.Write(text) // never fails
}

var (
	errQuote = errors.New("has a quote that is not closed")
	errAfter = errors.New("has text after a closing quote")
)

// split cuts a line into fields at the delimiter. A field in quotes may hold
// the delimiter, and quotes written twice.
func split(fields [][]byte, line []byte, delimiter byte) ([][]byte, error) {
	fields = fields[:0]
	for {
		if len(line) > 0 && line[0] == '"' {
			field, rest, err := quoted(line[1:])
			if err != nil {
				return nil, err
			}
			fields = append(fields, field)
			if len(rest) == 0 {
				return fields, nil
			}
			if rest[0] != delimiter {
				return nil, errAfter
			}
			line = rest[1:]
			continue
		}
		i := bytes.IndexByte(line, delimiter)
		if i < 0 {
			return append(fields, bytes.TrimSpace(line)), nil
		}
		fields = append(fields, bytes.TrimSpace(line[:i]))
		line = line[i+1:]
	}
}

// quoted takes a field up to its closing quote.
func quoted(text []byte) (field, rest []byte, err error) {
	for from := 0; ; {
		i := bytes.IndexByte(text[from:], '"')
		if i < 0 {
			return nil, nil, errQuote
		}
		end := from + i
		if end+1 < len(text) && text[end+1] == '"' {
			from = end + 2
			continue
		}
		return bytes.ReplaceAll(text[:end], []byte(`""`), []byte(`"`)), text[end+1:], nil
	}
}
