package gatewaytest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// OpenTerminal makes a serial line, a pseudo-terminal that neither echoes nor
// edits. The device reads and writes at master; slave is open so that what the
// device says waits for who opens slave.Name().
func OpenTerminal() (master, slave *os.File, err error) {
	master, err = os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, nil, err
	}
	number := 0
	err = control(master, func(fd int) (err error) {
		if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
			return fmt.Errorf("unlock the pseudo-terminal: %w", err)
		}
		if number, err = unix.IoctlGetInt(fd, unix.TIOCGPTN); err != nil {
			return fmt.Errorf("number of the pseudo-terminal: %w", err)
		}
		return nil
	})
	if err != nil {
		return nil, nil, errors.Join(err, master.Close())
	}
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, nil, errors.Join(err, master.Close())
	}
	err = control(slave, func(fd int) error {
		raw, err := unix.IoctlGetTermios(fd, unix.TCGETS)
		if err != nil {
			return fmt.Errorf("modes of the pseudo-terminal: %w", err)
		}
		raw.Iflag, raw.Oflag, raw.Lflag = 0, 0, 0
		return unix.IoctlSetTermios(fd, unix.TCSETS, raw)
	})
	if err != nil {
		return nil, nil, errors.Join(err, slave.Close(), master.Close())
	}
	return master, slave, nil
}

// control asks the kernel about a file. Unlike File.Fd it leaves the file to Go's
// poller, so that closing it still wakes who reads.
func control(f *os.File, ask func(fd int) error) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var asked error
	err = raw.Control(func(fd uintptr) { asked = ask(int(fd)) })
	return errors.Join(err, asked)
}

// A Line is a serial line on which the test plays the device, which may be pulled
// out and come back.
type Line struct {
	// Path is what a driver opens. It is a link, and the same after PlugIn.
	Path string

	t             *testing.T
	master, slave *os.File // nil while the device is out
}

// NewLine makes a line with the device plugged in. It is gone at the end of the
// test.
func NewLine(t *testing.T) *Line {
	t.Helper()
	l := &Line{Path: filepath.Join(t.TempDir(), "line"), t: t}
	l.PlugIn()
	t.Cleanup(func() {
		if l.master != nil {
			l.PullOut()
		}
	})
	return l
}

// PlugIn lets the device come back.
func (l *Line) PlugIn() {
	l.t.Helper()
	var err error
	if l.master, l.slave, err = OpenTerminal(); err != nil {
		l.t.Fatal(err)
	}
	if err := os.Symlink(l.slave.Name(), l.Path); err != nil {
		l.t.Fatal(err)
	}
}

// PullOut takes the device away: who reads gets an error, and there is nothing
// to open.
func (l *Line) PullOut() {
	l.t.Helper()
	if err := errors.Join(os.Remove(l.Path), l.slave.Close(), l.master.Close()); err != nil {
		l.t.Fatal(err)
	}
	l.master, l.slave = nil, nil
}

// Say is what the device sends.
func (l *Line) Say(text string) {
	l.t.Helper()
	if _, err := l.master.WriteString(text); err != nil {
		l.t.Fatal(err)
	}
}

// Read gets what the driver sends to the device.
func (l *Line) Read(b []byte) (int, error) { return l.master.Read(b) }
