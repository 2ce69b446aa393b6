package web

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"
)

type loginBody struct {
	Name  string
	Error string
}

// maxForm is the largest form that is read, in bytes.
const maxForm = 16 << 10

func (s *server) loginForm(w http.ResponseWriter, r *http.Request, v *visit) error {
	if _, _, ok := s.Auth.User(r); ok {
		http.Redirect(w, r, v.Link("/staff"), http.StatusSeeOther)
		return nil
	}
	return s.renderLogin(w, r, v, http.StatusOK, loginBody{})
}

func (s *server) renderLogin(w http.ResponseWriter, r *http.Request, v *visit, status int, body loginBody) error {
	w.Header().Set("Cache-Control", "no-store")
	return s.render(w, r, v, status, "login", layout{Title: v.T("login.heading"), Area: "staff", Body: body})
}

func (s *server) login(w http.ResponseWriter, r *http.Request, v *visit) error {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	name, password := r.PostFormValue("name"), r.PostFormValue("password")
	err := s.Auth.Login(r, name, password)
	if err == nil {
		http.Redirect(w, r, v.Link("/staff"), http.StatusSeeOther)
		return nil
	}
	var later interface{ RetryAfter() time.Duration }
	if errors.As(err, &later) {
		wait := later.RetryAfter()
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
		minutes := max(1, int(math.Ceil(wait.Minutes())))
		return s.renderLogin(w, r, v, http.StatusTooManyRequests, loginBody{name, v.T("login.often", "Minutes", minutes)})
	}
	var refused interface{ LoginRefused() bool }
	if errors.Is(err, ErrLogin) || errors.As(err, &refused) && refused.LoginRefused() {
		return s.renderLogin(w, r, v, http.StatusUnauthorized, loginBody{name, v.T("login.wrong")})
	}
	return fmt.Errorf("log in: %w", err)
}

func (s *server) logout(w http.ResponseWriter, r *http.Request, v *visit) error {
	if err := s.Auth.Logout(r); err != nil {
		return fmt.Errorf("log out: %w", err)
	}
	http.Redirect(w, r, v.Link("/staff/login"), http.StatusSeeOther)
	return nil
}
