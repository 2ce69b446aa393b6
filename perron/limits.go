package perron

import "time"

// Limits of what staff may do. The API holds them, and pages show them.
const (
	// MaxActionText is how many characters a reason or notice may have in each
	// language.
	MaxActionText = 500
	// UndoFor is how long staff are told that an action can be undone. UndoGrace is
	// added for the finger that is on its way.
	UndoFor   = time.Minute
	UndoGrace = 10 * time.Second
	// A recount may be of so many vehicles a bay, and so many more, for a yard that
	// is full in a way that nobody foresaw.
	RecountPerBay = 10
	RecountSpare  = 100
)

// MaxRecount is the highest recount of the site that can be meant.
func (s *Site) MaxRecount() int { return RecountPerBay*s.Bays + RecountSpare }
