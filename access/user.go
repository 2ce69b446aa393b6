package access

import (
	"context"
	"errors"
	"fmt"

	"github.com/perrondrukte/perrondrukte/access/password"
	"github.com/perrondrukte/perrondrukte/store"
)

// UserSetter keeps who may log in. AddUser is [store.ErrExists] when the name is
// taken, the others are [store.ErrNotFound] when it is not.
type UserSetter interface {
	AddUser(ctx context.Context, name, hash, role string) error
	SetPassword(ctx context.Context, name, hash string) error
	User(ctx context.Context, name string) (hash, role string, err error)
}

// SetUser adds a user, or gives one who is there a new password, which ends the
// sessions of the old one. The role of someone who is there cannot change by
// accident: it has to be the same.
func SetUser(ctx context.Context, s UserSetter, name, secret, role string) error {
	hash, err := password.New(secret)
	if err != nil {
		return err // it says what is wrong with the password
	}
	err = s.AddUser(ctx, name, hash, role)
	if errors.Is(err, store.ErrExists) {
		err = setPassword(ctx, s, name, hash, role)
	}
	if err != nil {
		return fmt.Errorf("add user %q: %w", name, err)
	}
	return nil
}

func setPassword(ctx context.Context, s UserSetter, name, hash, role string) error {
	_, was, err := s.User(ctx, name)
	if err != nil {
		return err
	}
	if was != role {
		return fmt.Errorf("is there already as %s: remove the user first to change the role", was)
	}
	return s.SetPassword(ctx, name, hash)
}
