package access

import (
	"errors"
	"fmt"
	"os"
)

// A SecretFile is a file that nobody but its owner can read.
type SecretFile struct{ *os.File }

// OpenSecretFile opens a file for writing that nobody but its owner can read,
// also when it was there before. What it holds stays until
// [SecretFile.Empty] makes room for what there is to put in its place.
func OpenSecretFile(path string) (SecretFile, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return SecretFile{}, fmt.Errorf("write the credential: %w", err)
	}
	if err := f.Chmod(0o600); err != nil {
		return SecretFile{}, errors.Join(fmt.Errorf("write the credential: %w", err), f.Close())
	}
	return SecretFile{f}, nil
}

// Empty takes out what the file holds, if it is one that holds anything.
func (f SecretFile) Empty() error {
	info, err := f.Stat()
	if err == nil && info.Mode().IsRegular() {
		err = f.Truncate(0)
	}
	if err != nil {
		return fmt.Errorf("write the credential: %w", err)
	}
	return nil
}
