package outbox

import (
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
)

// timeless says whether a stamp that is not sure says nothing at all: the device
// has never known the time, and began at the beginning of its clock.
func timeless(t time.Time) bool { return t.Before(perron.Earliest) }

// A stray is a chunk of a boot that ended before its clock was synchronised.
type stray struct {
	first, shift int64
	boot         string
	earliest     int64         // stamp, nanoseconds since 1970
	up           time.Duration // of its last event, since boot
}

// place settles the times of events that were seen before a device ever knew
// the time, in boots before this one, which was at start, in nanoseconds since
// 1970. Each such boot is taken to have ended with its last event, when the next
// began: later than that it cannot have been. The times stay unsure.
func (w *writer) place(boot string, start int64) error {
	strays, err := w.strays(boot)
	if err != nil {
		return err
	}
	for len(strays) > 0 { // from the latest boot to the first
		n, last, earliest := 0, time.Duration(0), strays[0].earliest
		for ; n < len(strays) && strays[n].boot == strays[0].boot; n++ {
			last, earliest = max(last, strays[n].up), min(earliest, strays[n].earliest)
		}
		begun := start - int64(last)
		if timeless(time.Unix(0, earliest)) {
			for _, s := range strays[:n] {
				if _, err := w.tx.Exec("UPDATE chunk SET boot = ?, shift = ? WHERE first = ?", fixedUnsure, begun-s.shift, s.first); err != nil {
					return err
				}
			}
		} else {
			begun = min(begun, earliest) // its stamps stay, and those before are before them
		}
		start, strays = begun, strays[n:]
	}
	return nil
}

// strays lists the chunks of other boots whose clock is not known, the last
// first.
func (w *writer) strays(boot string) ([]stray, error) {
	rows, err := w.tx.Query(`SELECT first, body, boot, shift FROM chunk WHERE boot NOT IN ('', ?1, ?2)
		AND boot NOT IN (SELECT boot FROM clock) ORDER BY first DESC`, fixedUnsure, boot)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []stray
	for rows.Next() {
		var s stray
		var body []byte
		if err := rows.Scan(&s.first, &body, &s.boot, &s.shift); err != nil {
			return nil, err
		}
		any := false
		if err := decode(body, func(ev perron.Event, holes int) bool {
			if t := ev.Time.UnixNano(); holes == 0 {
				if !any || t < s.earliest {
					s.earliest = t
				}
				any = true
				s.up = max(s.up, time.Duration(t-s.shift))
			}
			return true
		}); err != nil {
			return nil, err
		}
		if any {
			out = append(out, s)
		}
	}
	return out, rows.Err()
}
