package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/perrondrukte/perrondrukte/access"
	"github.com/perrondrukte/perrondrukte/access/password"
)

type userCmd struct {
	Add    userAddCmd    `cmd:"" help:"Add a user or set a new password; asks for it, or reads it from a pipe."`
	List   userListCmd   `cmd:"" help:"List the users and their roles."`
	Remove userRemoveCmd `cmd:"" help:"Remove a user."`
}

type userAddCmd struct {
	configFlag
	Name string `arg:"" help:"User name."`
	Role string `enum:"staff,planner,admin" default:"staff" help:"What the user may do: ${enum}."`
}

func (c *userAddCmd) Run(e *env) error {
	secret, err := readPassword(e, c.Name)
	if err != nil {
		return err
	}
	if err := password.Check(secret); err != nil {
		return err // before accounts are made that nobody needs
	}
	accounts, err := c.openAccounts(e.ctx)
	if err != nil {
		return err
	}
	if err := access.SetUser(e.ctx, accounts, c.Name, secret, c.Role); err != nil {
		return errors.Join(err, accounts.Close())
	}
	fmt.Fprintf(e.stdout, "%s may log in as %s.\n", c.Name, c.Role)
	return accounts.Close()
}

// readPassword asks on a terminal, twice and without echo, and reads one line
// from anything else.
func readPassword(e *env, name string) (string, error) {
	f, ok := e.stdin.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		line, err := bufio.NewReader(e.stdin).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return "", fmt.Errorf("read the password: %w", err)
		}
		return strings.TrimRight(line, "\r\n"), nil
	}
	var answers [2]string
	for i, prompt := range []string{"Password for " + name + ": ", "Once more: "} {
		fmt.Fprint(e.stderr, prompt)
		b, err := term.ReadPassword(int(f.Fd()))
		fmt.Fprintln(e.stderr)
		if err != nil {
			return "", fmt.Errorf("read the password: %w", err)
		}
		answers[i] = string(b)
	}
	if answers[0] != answers[1] {
		return "", errors.New("the two passwords differ; nothing was changed")
	}
	return answers[0], nil
}

type userListCmd struct{ configFlag }

func (c *userListCmd) Run(e *env) error {
	accounts, err := c.openAccounts(e.ctx)
	if err != nil {
		return err
	}
	users, err := accounts.Users(e.ctx)
	for _, u := range users {
		fmt.Fprintf(e.stdout, "%-20s %s\n", u.Name, u.Role)
	}
	return errors.Join(err, accounts.Close())
}

type userRemoveCmd struct {
	configFlag
	Name string `arg:"" help:"User name."`
}

func (c *userRemoveCmd) Run(e *env) error {
	accounts, err := c.openAccounts(e.ctx)
	if err != nil {
		return err
	}
	if err := accounts.RemoveUser(e.ctx, c.Name); err != nil {
		return errors.Join(fmt.Errorf("remove user %q: %w", c.Name, err), accounts.Close())
	}
	fmt.Fprintf(e.stdout, "%s may no longer log in.\n", c.Name)
	return accounts.Close()
}
