package sqlite_test

import (
	"path/filepath"
	"testing"

	"github.com/perrondrukte/perrondrukte/store/sqlite"
	"github.com/perrondrukte/perrondrukte/store/storetest"
)

var _ storetest.Store = (*sqlite.Store)(nil)

func TestContract(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Opener {
		path := filepath.Join(t.TempDir(), "a b?c#d%.db") // a name that a URL would trip over
		return func(t *testing.T) storetest.Store { return openAt(t, path, sqlite.Options{}) }
	})
}

func openAt(t testing.TB, path string, opt sqlite.Options) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), path, opt)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
