package forecast

// A series is a table of counts with a row for each slot in which something
// can be counted, in the order of time. Rows of slots in which a site is
// closed are left out. Days are numbered without gaps, so that closed days
// keep their number; rows of one day have rising slots.
type series struct {
	perDay int // slots in a full day
	days   int
	rows   []row
	first  []int // first[d] is the first row of day d, first[days] = len(rows)
	kind   []int // of each day: days of one kind share a profile
	week   int   // days in a week: 7, or 5 when weekends are left out

	outside bool        // anything is known from outside
	school  []float64   // by day: 1 in the school holidays; nil where nothing is known of them
	lent    [][]float64 // by kind of day and slot: what is usual at other sites; may be nil

	logSizes []float64         // by day, where asked: see size
	weights  map[int][]float64 // by last day, where asked: see trust

	without Part // left out, to see what it is worth
}

// A row is one slot.
type row struct {
	day, slot int
	y         float64 // NaN where nothing is known, the future included
	x         external
}

// newSeries fills in what follows from the rows.
func newSeries(rows []row, kind []int, perDay, week int) *series {
	s := &series{perDay: perDay, days: len(kind), rows: rows, kind: kind, week: week}
	s.first = make([]int, s.days+1)
	for i := len(rows) - 1; i >= 0; i-- {
		s.first[rows[i].day] = i
	}
	s.first[s.days] = len(rows)
	for d := s.days - 1; d >= 0; d-- {
		if n := s.first[d]; n >= len(rows) || rows[n].day != d {
			s.first[d] = s.first[d+1]
		}
	}
	return s
}

// at finds the row of a day's slot, or -1.
func (s *series) at(day, slot int) int {
	if day < 0 || day >= s.days {
		return -1
	}
	// Rows of a day mostly have consecutive slots.
	lo, hi := s.first[day], s.first[day+1]
	if lo == hi {
		return -1
	}
	if i := lo + slot - s.rows[lo].slot; i >= lo && i < hi && s.rows[i].slot == slot {
		return i
	}
	for i := lo; i < hi; i++ {
		if s.rows[i].slot == slot {
			return i
		}
	}
	return -1
}
