//go:build !linux

package modbustest

import "errors"

func (d *device) openLine(string) (string, error) {
	return "", errors.New("a serial line is made on Linux only")
}
