//go:build !linux

package sqlite_test

import "testing"

func mountSmall(t *testing.T, _ string, _ int) {
	t.Helper()
	skipWithoutMount(t)
}
