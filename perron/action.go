package perron

import (
	"slices"
	"time"
)

// An ActionKind is something that staff can do.
type ActionKind string

const (
	Recount  ActionKind = "recount"  // "there are now N vehicles"
	Close    ActionKind = "close"    // within opening hours, with a reason
	Reopen   ActionKind = "reopen"   //
	Announce ActionKind = "announce" // show a notice to residents
	Withdraw ActionKind = "withdraw" // take the notice away
	Undo     ActionKind = "undo"     // take back the action named by Undoes
)

// An Action by staff. Actions are kept for ever: they are the audit log and,
// in their order, the truth about closures, notices and recounts.
type Action struct {
	ID       string            `json:"id"` // a ULID: sorts by time
	Site     string            `json:"site"`
	At       time.Time         `json:"at"`
	By       string            `json:"by"` // user name
	Kind     ActionKind        `json:"kind"`
	Vehicles int               `json:"vehicles,omitempty"` // Recount
	Text     map[string]string `json:"text,omitempty"`     // reason or notice, by language tag
	Undoes   string            `json:"undoes,omitempty"`
	// Until is when a Close ends by itself; zero is never.
	Until time.Time `json:"until,omitzero"`
}

// Effective drops the actions that were undone and the undoings themselves,
// from actions in the order in which they happened. The order of what remains
// is kept. An undoing can be undone too, which brings the action back.
func Effective(actions []Action) []Action {
	undone := make(map[string]bool)
	for _, a := range slices.Backward(actions) {
		if a.Kind == Undo && !undone[a.ID] {
			undone[a.Undoes] = true
		}
	}
	out := make([]Action, 0, len(actions))
	for _, a := range actions {
		if a.Kind != Undo && !undone[a.ID] {
			out = append(out, a)
		}
	}
	return out
}
