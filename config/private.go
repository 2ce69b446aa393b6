package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// CheckPrivate says what is wrong with the permissions of a file that holds a
// secret, and the command that mends it. Only its owner may read it, and nobody
// else write it; a file of root may also be read by its group, which is how a
// service reads what it may not change. A file that is not there is not wrong.
func CheckPrivate(path string) error {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("permissions of a file with a secret: %w", err)
	}
	mode, allowed := info.Mode().Perm(), fs.FileMode(0o600)
	if ownedByRoot(info) {
		allowed = 0o640
	}
	// Whether it may be executed lets nobody read it.
	if !hasPermissions || mode&^(allowed|0o111) == 0 {
		return nil
	}
	who := "its group"
	if mode&0o007 != 0 {
		who = "everybody"
	}
	return fmt.Errorf("%s holds a secret and has mode %04o: it is open to %s; mend it with: chmod %04o %s", path, mode, who, mode&allowed, path)
}

// checkPrivate checks a configuration file, if it holds a secret itself, and the
// files with secrets that it names.
func checkPrivate(path string, inline []Secret, files ...string) error {
	var errs []error
	for _, s := range inline {
		if s != "" {
			errs = append(errs, CheckPrivate(path))
			break
		}
	}
	for _, f := range files {
		if f != "" {
			errs = append(errs, CheckPrivate(f))
		}
	}
	return errors.Join(errs...)
}
