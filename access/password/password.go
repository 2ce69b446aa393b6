// Package password makes and checks the hashes of the passwords that people log
// in with: argon2id in PHC form.
package password

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
)

// Parameters of new hashes: argon2id with 19 MiB, two passes and one lane, as
// the OWASP Password Storage Cheat Sheet has it.
const (
	hashMemory = 19 << 10 // KiB
	hashPasses = 2
	hashLanes  = 1
	hashSalt   = 16 // bytes
	hashKey    = 32
	maxMemory  = 256 << 10 // KiB; a hash from the store may not ask for more
)

// What a password may be.
const (
	MaxBytes      = 1024
	MinCharacters = 10
)

var errHash = errors.New("not an argon2id hash in PHC form")

// Check says what is wrong with a password that somebody chooses: fewer than 10
// characters or more than 1024 bytes.
func Check(password string) error {
	if n := len([]rune(password)); n < MinCharacters {
		return fmt.Errorf("the password has %d characters, at least %d are needed", n, MinCharacters)
	}
	if len(password) > MaxBytes {
		return fmt.Errorf("the password has %d bytes, at most %d are allowed", len(password), MaxBytes)
	}
	return nil
}

// New makes the hash of a password in PHC form,
// $argon2id$v=19$m=…,t=…,p=…$salt$key, with a fresh salt. It refuses what
// [Check] does.
func New(password string) (string, error) {
	if err := Check(password); err != nil {
		return "", err
	}
	salt := make([]byte, hashSalt)
	rand.Read(salt) // never fails
	key := argon2.IDKey([]byte(password), salt, hashPasses, hashMemory, hashLanes, hashKey)
	return Hash{memory: hashMemory, passes: hashPasses, lanes: hashLanes, salt: salt, key: key}.String(), nil
}

// A Hash is a parsed argon2id hash.
type Hash struct {
	memory, passes uint32
	lanes          uint8
	salt, key      []byte
}

// String writes the hash in PHC form.
func (p Hash) String() string {
	b64 := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, p.memory, p.passes, p.lanes, b64(p.salt), b64(p.key))
}

// Parse reads a hash in PHC form. It refuses one that would take too much memory
// or time to check.
func Parse(s string) (Hash, error) {
	var p Hash
	var version int
	parts := strings.Split(s, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" {
		return p, errHash
	}
	if _, err := fmt.Sscanf(parts[2], "v=%d", &version); err != nil || version != argon2.Version {
		return p, errHash
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &p.memory, &p.passes, &p.lanes); err != nil {
		return p, errHash
	}
	if p.memory < 8 || p.memory > maxMemory || p.passes < 1 || p.passes > 16 || p.lanes < 1 || p.lanes > 16 {
		return p, fmt.Errorf("%w: parameters out of range", errHash)
	}
	var err1, err2 error
	p.salt, err1 = base64.RawStdEncoding.DecodeString(parts[4])
	p.key, err2 = base64.RawStdEncoding.DecodeString(parts[5])
	if err1 != nil || err2 != nil || len(p.salt) < 8 || len(p.salt) > 64 || len(p.key) < 16 || len(p.key) > 64 {
		return p, errHash
	}
	return p, nil
}

// Matches says whether the hash is that of the password. It takes the same time whatever the password is.
func (p Hash) Matches(password string) bool {
	key := argon2.IDKey([]byte(password), p.salt, p.passes, p.memory, p.lanes, uint32(len(p.key)))
	return subtle.ConstantTimeCompare(key, p.key) == 1
}

// Nobody is a hash that no password matches. Checking it costs what checking
// a real one costs.
func Nobody() Hash {
	p := Hash{memory: hashMemory, passes: hashPasses, lanes: hashLanes, salt: make([]byte, hashSalt), key: make([]byte, hashKey)}
	rand.Read(p.salt)
	rand.Read(p.key)
	return p
}
