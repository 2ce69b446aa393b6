package sqlite

import (
	"path/filepath"
	"testing"
)

// A file from before credentials could be rotated keeps them.
func TestCredentials_ofAnOlderFile(t *testing.T) {
	ctx := t.Context()
	path := filepath.Join(t.TempDir(), "accounts.db")
	a, err := OpenAccounts(ctx, path)
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range []string{
		"DROP TABLE credentials", "DELETE FROM goose_accounts WHERE version_id > 1",
		"CREATE TABLE credential (site TEXT NOT NULL, gateway TEXT NOT NULL, hash BLOB NOT NULL, PRIMARY KEY (site, gateway)) WITHOUT ROWID",
		"INSERT INTO credential VALUES ('poort', 'a', 'hash')",
	} {
		if _, err := a.exec(ctx, q); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if a, err = OpenAccounts(ctx, path); err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if list, err := a.Credentials(ctx, "poort", "a"); err != nil || len(list) != 1 || string(list[0].Hash) != "hash" {
		t.Errorf("%+v, %v", list, err)
	}
}
