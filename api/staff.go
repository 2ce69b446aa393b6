package api

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/oklog/ulid/v2"

	"github.com/perrondrukte/perrondrukte/broker"
	"github.com/perrondrukte/perrondrukte/internal/logs"
	"github.com/perrondrukte/perrondrukte/perron"
)

// ErrNoSite means that a site is not configured.
var ErrNoSite = errors.New("no such site")

// InvalidError means that a field of an action is wrong. Its text may be shown.
type InvalidError struct{ Field, Value, Reason string }

func (e *InvalidError) Error() string {
	return fmt.Sprintf("%s: %s", e.Field, e.Reason)
}

// ActionStore keeps actions for ever.
type ActionStore interface {
	SaveAction(ctx context.Context, a perron.Action) error
	Actions(ctx context.Context, site string, from, to time.Time) ([]perron.Action, error)
}

// Staff carries out what people on the yard decide. It starts nothing.
type Staff struct {
	sites  map[string]*perron.Site
	store  ActionStore
	link   Link
	now    func() time.Time
	logger *slog.Logger
	langs  []string

	mu      sync.Mutex // one action at a time: IDs rise, and an undo sees what was done
	entropy *ulid.MonotonicEntropy
}

// NewStaff makes a Staff. langs are the tags of the languages that reasons and
// notices may be written in.
func NewStaff(sites []*perron.Site, langs []string, store ActionStore, link Link, now func() time.Time, logger *slog.Logger) *Staff {
	s := &Staff{
		sites: make(map[string]*perron.Site, len(sites)), store: store, link: link, now: now, logger: logger, langs: langs,
		entropy: ulid.Monotonic(rand.Reader, 0),
	}
	for _, site := range sites {
		s.sites[site.ID] = site
	}
	return s
}

// Act checks an action, gives it its ID and time, stores it and tells the
// collector. It returns [ErrNoSite], an [*InvalidError], or what the store
// returned. Once stored an action counts, also when the broker is away: the
// collector reads the store every minute.
func (s *Staff) Act(ctx context.Context, a perron.Action) (perron.Action, error) {
	site, ok := s.sites[a.Site]
	if !ok {
		return a, ErrNoSite
	}
	if a.By == "" {
		return a, errors.New("action without a name")
	}
	// Whoever presses a button and walks off has still pressed it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()

	s.mu.Lock()
	defer s.mu.Unlock()
	a.At = s.now().UTC().Truncate(time.Millisecond)
	if err := s.check(ctx, site, &a); err != nil {
		return a, err
	}
	id, err := ulid.New(ulid.Timestamp(a.At), s.entropy)
	if err != nil {
		return a, fmt.Errorf("make an ID: %w", err)
	}
	a.ID = id.String()
	if err := s.store.SaveAction(ctx, a); err != nil {
		return a, fmt.Errorf("save action: %w", err)
	}
	s.logger.Info("action", logs.Site, a.Site, logs.Kind, a.Kind, logs.User, a.By, logs.Action, a.ID)
	if err := s.nudge(ctx, a); err != nil {
		s.logger.Warn("tell collector of action", logs.Site, a.Site, logs.Action, a.ID, logs.Error, err)
	}
	return a, nil
}

func (s *Staff) nudge(ctx context.Context, a perron.Action) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	payload, err := broker.EncodeAction(a)
	if err != nil {
		return err
	}
	return s.link.Publish(ctx, broker.Message{Topic: broker.ActionsTopic(a.Site), Payload: payload})
}

// check refuses what cannot be meant and drops what does not belong to the
// kind of action.
func (s *Staff) check(ctx context.Context, site *perron.Site, a *perron.Action) error {
	if a.Kind != perron.Recount {
		a.Vehicles = 0
	}
	if a.Kind != perron.Undo {
		a.Undoes = ""
	}
	switch {
	case a.Kind != perron.Close:
		a.Until = time.Time{}
	case !a.Until.IsZero() && !a.Until.After(a.At):
		return &InvalidError{"until", a.Until.Format(time.RFC3339), "a closure cannot end before it begins"}
	}
	text, err := s.checkText(a.Text)
	if err != nil {
		return err
	}
	a.Text = text
	switch a.Kind {
	case perron.Recount:
		a.Text = nil
		if most := site.MaxRecount(); a.Vehicles < 0 || a.Vehicles > most {
			return &InvalidError{"vehicles", strconv.Itoa(a.Vehicles), fmt.Sprintf("%d is not between 0 and %d", a.Vehicles, most)}
		}
	case perron.Close, perron.Announce:
		if len(a.Text) == 0 {
			return &InvalidError{"text", "", "a text is needed in one of " + strings.Join(s.langs, ", ")}
		}
	case perron.Reopen, perron.Withdraw:
	case perron.Undo:
		a.Text = nil
		return s.checkUndo(ctx, a)
	default:
		return &InvalidError{"kind", string(a.Kind), fmt.Sprintf("%q is not one of recount, close, reopen, announce, withdraw, undo", clip(string(a.Kind)))}
	}
	return nil
}

func (s *Staff) checkText(text map[string]string) (map[string]string, error) {
	out := make(map[string]string, len(text))
	for lang, t := range text {
		field := "text." + clip(lang)
		if !slices.Contains(s.langs, lang) {
			return nil, &InvalidError{field, lang, "the languages are " + strings.Join(s.langs, ", ")}
		}
		if !utf8.ValidString(t) {
			return nil, &InvalidError{field, strings.ToValidUTF8(t, "�"), "the text is not UTF-8"}
		}
		t = strings.TrimSpace(t)
		if n := utf8.RuneCountInString(t); n > perron.MaxActionText {
			return nil, &InvalidError{field, t, fmt.Sprintf("the text has %d characters, at most %d are allowed", n, perron.MaxActionText)}
		}
		if i := strings.IndexFunc(t, func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\r' }); i >= 0 {
			return nil, &InvalidError{field, t, "the text has control characters"}
		}
		if t != "" {
			out[lang] = t
		}
	}
	if len(out) == 0 {
		return nil, nil
	}
	return out, nil
}

// checkUndo admits the undoing of an action of this site that still counts and
// is not older than a minute. An undo cannot be undone.
func (s *Staff) checkUndo(ctx context.Context, a *perron.Action) error {
	refuse := func(reason string) error { return &InvalidError{"undoes", a.Undoes, reason} }
	// The hour before tells an action that is too old from one that never was.
	actions, err := s.store.Actions(ctx, a.Site, a.At.Add(-time.Hour), a.At.Add(time.Minute))
	if err != nil {
		return fmt.Errorf("look up actions: %w", err)
	}
	for _, e := range perron.Effective(actions) {
		if e.ID != a.Undoes {
			continue
		}
		if a.At.Sub(e.At) > perron.UndoFor+perron.UndoGrace {
			return refuse(fmt.Sprintf("an action can be undone for %.0f seconds", perron.UndoFor.Seconds()))
		}
		return nil
	}
	return refuse("there is no such action, or it is undone already")
}
