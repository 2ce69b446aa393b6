package gatewaytest_test

import (
	"bufio"
	"errors"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/perrondrukte/perrondrukte/gateway/gatewaytest"
)

// What a device says arrives as it is, also what it said before; without the
// device there is an error, and then it is at the same path again.
func TestLine(t *testing.T) {
	l := gatewaytest.NewLine(t)
	for range 2 {
		const said, asked = "+ 23 km/h\r\n", "?\r\n"
		l.Say(said)
		f, err := os.OpenFile(l.Path, os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		r := bufio.NewReader(f)
		if got, err := r.ReadString('\n'); got != said || err != nil {
			t.Errorf("the driver read %q, %v", got, err)
		}
		if _, err := f.WriteString(asked); err != nil {
			t.Error(err)
		}
		if got, err := bufio.NewReader(l).ReadString('\n'); got != asked || err != nil {
			t.Errorf("the device read %q, %v", got, err)
		}
		l.PullOut()
		if got, err := r.ReadString('\n'); err == nil {
			t.Errorf("read %q of a device that is out", got)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Open(l.Path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("opened a device that is out: %v", err)
		}
		l.PlugIn()
	}
}
