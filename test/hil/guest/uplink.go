//go:build linux

package main

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/test/hil"
)

// uplinkConfig is the gateway's configuration when it has a server on the host.
const uplinkConfig = "/uplink.yaml"

// uplink plays traffic for a gateway that sends to the host, with the cable out
// for a third of it, and tells what has to arrive there. A line on the console
// says that it has, and ends the gateway.
func (y *yard) uplink() error {
	if err := network(); err != nil {
		return err
	}
	text, err := os.ReadFile(uplinkConfig)
	if err != nil {
		return err
	}
	const dir = "/run/uplink"
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	// What came with the machine is readable to all, which secrets may not be.
	file, logFile := dir+"/gateway.yaml", dir+"/log"
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return err
	}
	for i := range lines {
		y.pull(i, idle[i])
	}
	y.edges = 0
	if err := y.start(file, logFile, 1); err != nil {
		return fmt.Errorf("%w; it says: %s", err, tail(logFile))
	}
	res := hil.Result{Case: "uplink"}
	begin := time.Now()
	for _, plugged := range []bool{true, false, true} {
		if err := cable(plugged); err != nil {
			return err
		}
		for _, e := range y.visits() {
			res.Passed = append(res.Passed, hil.Passage{Sensor: e.sensor, Kind: e.kind, From: e.at.from, To: e.at.to})
		}
	}
	res.Edges, res.Took = y.edges, time.Since(begin)
	tell(res)

	arrived, err := bufio.NewReader(os.Stdin).ReadString('\n')
	if err != nil {
		return fmt.Errorf("wait for a line: %w", err)
	}
	end := hil.Result{Case: "uplink-end"}
	err = y.stop(&end)
	if strings.TrimSpace(arrived) != hil.Arrived || err != nil {
		return fmt.Errorf("the host says %q; the gateway ends with %v and says: %s", arrived, err, tail(logFile))
	}
	box, err := openBox(dir)
	if err != nil {
		return err
	}
	defer box.Close()
	state := box.State()
	end.Lost, end.Events = state.LostEdges, map[string]int{hil.Counted: int(state.Next - 1)}
	tell(end)
	return nil
}

func tail(logFile string) string {
	text, err := os.ReadFile(logFile)
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-4000):])
}

// visits are vehicles over the two loops of a lane and a contact at the exit,
// with one that turns back. The last event is a passage: when it is stored, all
// in front of it are.
func (y *yard) visits() (want []expected) {
	const step = 20 * time.Millisecond
	pause := func() { sleep(time.Now().Add(step)) }
	cross := func(lines ...int) (gone moment) {
		on := make(map[int]bool)
		for _, l := range lines {
			on[l] = !on[l]
			gone = y.pull(l, !on[l])
			pause()
		}
		return gone
	}
	for i := range 20 {
		switch i % 4 {
		case 2:
			want = append(want, expected{"lane", perron.Out, cross(gpio27, gpio17, gpio27, gpio17)})
		case 3:
			cross(gpio17, gpio27, gpio27, gpio17)
		default:
			want = append(want, expected{"lane", perron.In, cross(gpio17, gpio27, gpio17, gpio27)})
		}
		want = append(want, expected{"exit", perron.Out, y.pull(gpio22, low)})
		pause()
		y.pull(gpio22, high)
	}
	return want
}

// network gives the machine the address that qemu's user network expects.
func network() error {
	for _, name := range []string{
		"virtio_ring", "virtio", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci",
		"failover", "net_failover", "virtio_net",
	} {
		if err := insert("/" + name + ".ko"); err != nil {
			return err
		}
	}
	for _, set := range []struct {
		request uint
		address [4]byte
	}{
		{unix.SIOCSIFADDR, [4]byte{10, 0, 2, 15}},
		{unix.SIOCSIFNETMASK, [4]byte{255, 255, 255, 0}},
	} {
		if err := card(func(fd int, ifr *unix.Ifreq) error {
			if err := ifr.SetInet4Addr(set.address[:]); err != nil {
				return err
			}
			return unix.IoctlIfreq(fd, set.request, ifr)
		}); err != nil {
			return fmt.Errorf("give the network card its address: %w", err)
		}
	}
	return cable(true)
}

// cable plugs the network cable in, or pulls it out.
func cable(in bool) error {
	err := card(func(fd int, ifr *unix.Ifreq) error {
		if err := unix.IoctlIfreq(fd, unix.SIOCGIFFLAGS, ifr); err != nil {
			return err
		}
		flags := ifr.Uint16() &^ unix.IFF_UP
		if in {
			flags |= unix.IFF_UP
		}
		ifr.SetUint16(flags)
		return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, ifr)
	})
	if err != nil {
		return fmt.Errorf("switch the network card: %w", err)
	}
	return nil
}

func card(do func(fd int, ifr *unix.Ifreq) error) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }() // nothing was written
	ifr, err := unix.NewIfreq("eth0")
	if err != nil {
		return err
	}
	return do(fd, ifr)
}
