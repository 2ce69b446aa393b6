package api

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
	hashMemory  = 19 << 10 // KiB
	hashPasses  = 2
	hashLanes   = 1
	hashSalt    = 16 // bytes
	hashKey     = 32
	maxMemory   = 256 << 10 // KiB; a hash from the store may not ask for more
	maxPassword = 1024      // bytes
	minPassword = 10        // characters
)

var errHash = errors.New("not an argon2id hash in PHC form")

// HashPassword makes an argon2id hash in PHC form,
// $argon2id$v=19$m=…,t=…,p=…$salt$key, with a fresh salt. It refuses passwords
// of fewer than 10 characters or more than 1024 bytes.
func HashPassword(password string) (string, error) {
	if n := len([]rune(password)); n < minPassword {
		return "", fmt.Errorf("the password has %d characters, at least %d are needed", n, minPassword)
	}
	if len(password) > maxPassword {
		return "", fmt.Errorf("the password has %d bytes, at most %d are allowed", len(password), maxPassword)
	}
	salt := make([]byte, hashSalt)
	rand.Read(salt) // never fails
	key := argon2.IDKey([]byte(password), salt, hashPasses, hashMemory, hashLanes, hashKey)
	return phc{memory: hashMemory, passes: hashPasses, lanes: hashLanes, salt: salt, key: key}.String(), nil
}

// A phc is a parsed argon2id hash.
type phc struct {
	memory, passes uint32
	lanes          uint8
	salt, key      []byte
}

func (p phc) String() string {
	b64 := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, p.memory, p.passes, p.lanes, b64(p.salt), b64(p.key))
}

func parsePHC(s string) (phc, error) {
	var p phc
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

// matches takes the same time whatever the password is.
func (p phc) matches(password string) bool {
	key := argon2.IDKey([]byte(password), p.salt, p.passes, p.memory, p.lanes, uint32(len(p.key)))
	return subtle.ConstantTimeCompare(key, p.key) == 1
}

// nobody is a hash that no password matches. Checking it costs what checking
// a real one costs.
func nobody() phc {
	p := phc{memory: hashMemory, passes: hashPasses, lanes: hashLanes, salt: make([]byte, hashSalt), key: make([]byte, hashKey)}
	rand.Read(p.salt)
	rand.Read(p.key)
	return p
}
