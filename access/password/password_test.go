package password

import (
	"strings"
	"testing"
)

const password = "recycle it all"

func TestPassword(t *testing.T) {
	h, err := New(password)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(h, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("hash %s", h)
	}
	p, err := Parse(h)
	if err != nil {
		t.Fatal(err)
	}
	if p.String() != h || !p.Matches(password) || p.Matches(password+" ") {
		t.Error("the hash does not do its work")
	}
	if again, _ := New(password); again == h {
		t.Error("two hashes have one salt")
	}
	// The reference implementation: echo -n password | argon2 somesalt -id -t 2 -m 16 -p 1 -l 32
	known, err := Parse("$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc")
	if err != nil || !known.Matches("password") {
		t.Errorf("the reference hash: %v", err)
	}
	for _, bad := range []string{
		"", "secret", "$2b$12$abc", strings.Replace(h, "argon2id", "argon2i", 1), strings.Replace(h, "v=19", "v=18", 1),
		strings.Replace(h, "m=19456", "m=99999999", 1), strings.Replace(h, "t=2", "t=0", 1), h[:40],
	} {
		if _, err := Parse(bad); err == nil {
			t.Errorf("%q is taken for a hash", bad)
		}
	}
	for _, bad := range []string{"", "too short", strings.Repeat("x", 1025)} {
		if _, err := New(bad); err == nil {
			t.Errorf("a password of %d characters is accepted", len(bad))
		}
	}
}

func FuzzParse(f *testing.F) {
	known, err := New(password)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(known)
	f.Add("$argon2id$v=19$m=8,t=1,p=1$AAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
	f.Fuzz(func(t *testing.T, s string) {
		p, err := Parse(s)
		if err != nil {
			return
		}
		if p.memory > maxMemory || p.passes > 16 || len(p.key) < 16 || len(p.salt) < 8 {
			t.Errorf("%q is taken for %+v", s, p)
		}
		if again, err := Parse(p.String()); err != nil || again.String() != p.String() {
			t.Errorf("%q does not survive: %v", s, err)
		}
	})
}
