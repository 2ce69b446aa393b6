// Package modbustest is a device with counters for tests: a real Modbus server
// in a process of its own, which can be killed. It serves Modbus TCP and, on
// Linux, the same registers over RTU frames on a pseudo terminal.
//
// A test says on the process's standard input what passes, one command a line,
// and gets a line for each: ok, or what is wrong.
//
//	set UNIT holding|input ADDRESS BITS high|low VALUE
//	add UNIT holding|input ADDRESS BITS high|low N
//	delay UNIT DURATION      serial line only: answers come this late from now on
//	mute UNIT yes|no         no answer at all
package modbustest

import (
	"bufio"
	"fmt"
	"io"
	"log"
	"net"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/simonvetter/modbus"
)

// A device has units with registers.
type device struct {
	mu    sync.Mutex
	units map[uint8]*unit
}

type unit struct {
	holding, input map[uint16]uint16
	delay          time.Duration
	mute           bool
}

// unit makes it when there is none.
func (d *device) unit(id uint8) *unit {
	u := d.units[id]
	if u == nil {
		u = &unit{holding: make(map[uint16]uint16), input: make(map[uint16]uint16)}
		d.units[id] = u
	}
	return u
}

// Serve is the device's process. It prints its address, and the path of its
// serial line if line is set, and serves until its standard input ends.
func Serve(stdin io.Reader, stdout io.Writer, line bool) error {
	// The library cannot be asked for the port that ":0" gave.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	addr := l.Addr().String()
	if err := l.Close(); err != nil {
		return err
	}
	return ServeAt(addr, stdin, stdout, line)
}

// ServeAt is Serve at an address.
func ServeAt(addr string, stdin io.Reader, stdout io.Writer, line bool) error {
	d := &device{units: make(map[uint8]*unit)}
	server, err := modbus.NewServer(&modbus.ServerConfiguration{URL: "tcp://" + addr, Logger: log.New(io.Discard, "", 0)}, d)
	if err != nil {
		return err
	}
	if err := server.Start(); err != nil {
		return err
	}
	defer server.Stop() //nolint:errcheck // the process ends
	path := "-"
	if line {
		if path, err = d.openLine(addr); err != nil {
			return err
		}
	}
	if _, err := fmt.Fprintln(stdout, addr, path); err != nil {
		return err
	}
	commands := bufio.NewScanner(stdin)
	for commands.Scan() {
		answer := "ok"
		if err := d.do(commands.Text()); err != nil {
			answer = err.Error()
		}
		if _, err := fmt.Fprintln(stdout, answer); err != nil {
			return err
		}
	}
	return commands.Err()
}

func (d *device) do(command string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	var id uint8
	var verb, table, order, text string
	var address uint16
	var bits int
	var n uint64
	verb, rest, _ := strings.Cut(command, " ")
	switch verb {
	case "set", "add":
		if _, err := fmt.Sscan(rest, &id, &table, &address, &bits, &order, &n); err != nil {
			return fmt.Errorf("%s: %w", command, err)
		}
		words := d.unit(id).holding
		if table == "input" {
			words = d.unit(id).input
		}
		high, low := address, address+1
		if order == "low" {
			high, low = low, high
		}
		if bits == 16 {
			low = address
		}
		value := uint64(words[low])
		if bits == 32 {
			value |= uint64(words[high]) << 16
		}
		if verb == "add" {
			n += value
		}
		words[low] = uint16(n)
		if bits == 32 {
			words[high] = uint16(n >> 16)
		}
	case "delay":
		if _, err := fmt.Sscan(rest, &id, &text); err != nil {
			return fmt.Errorf("%s: %w", command, err)
		}
		delay, err := time.ParseDuration(text)
		d.unit(id).delay = delay
		return err
	case "mute":
		if _, err := fmt.Sscan(rest, &id, &text); err != nil {
			return fmt.Errorf("%s: %w", command, err)
		}
		d.unit(id).mute = text == "yes"
	default:
		return fmt.Errorf("%s: what is that?", command)
	}
	return nil
}

func (d *device) registers(id uint8, input bool, address, n uint16) ([]uint16, error) {
	for { // who asks has given up by the time that there is an answer
		if _, mute := d.manners(id); !mute {
			break
		}
		time.Sleep(time.Millisecond)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	u := d.units[id]
	if u == nil {
		return nil, modbus.ErrGWTargetFailedToRespond
	}
	words := u.holding
	if input {
		words = u.input
	}
	out := make([]uint16, n)
	for i := range out {
		w, ok := words[address+uint16(i)]
		if !ok {
			return nil, modbus.ErrIllegalDataAddress
		}
		out[i] = w
	}
	return out, nil
}

// manners are those of a unit; without one they are good.
func (d *device) manners(id uint8) (delay time.Duration, mute bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if u := d.units[id]; u != nil {
		return u.delay, u.mute
	}
	return 0, false
}

// HandleHoldingRegisters implements modbus.RequestHandler.
func (d *device) HandleHoldingRegisters(r *modbus.HoldingRegistersRequest) ([]uint16, error) {
	if r.IsWrite {
		return nil, modbus.ErrIllegalFunction
	}
	return d.registers(r.UnitId, false, r.Addr, r.Quantity)
}

// HandleInputRegisters implements modbus.RequestHandler.
func (d *device) HandleInputRegisters(r *modbus.InputRegistersRequest) ([]uint16, error) {
	return d.registers(r.UnitId, true, r.Addr, r.Quantity)
}

// HandleCoils implements modbus.RequestHandler.
func (d *device) HandleCoils(*modbus.CoilsRequest) ([]bool, error) {
	return nil, modbus.ErrIllegalFunction
}

// HandleDiscreteInputs implements modbus.RequestHandler.
func (d *device) HandleDiscreteInputs(*modbus.DiscreteInputsRequest) ([]bool, error) {
	return nil, modbus.ErrIllegalFunction
}

// A Remote is a device's process, as its test sees it.
type Remote struct {
	Addr string // of Modbus TCP
	Line string // the serial line, "-" without one
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
}

// Start runs a command that calls Serve or ServeAt.
func Start(cmd *exec.Cmd) (*Remote, error) {
	r := &Remote{cmd: cmd}
	var err error
	if r.in, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	r.out = bufio.NewReader(out)
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	if _, err := fmt.Fscanln(r.out, &r.Addr, &r.Line); err != nil {
		r.Kill()
		return nil, fmt.Errorf("the device does not say where it is: %w", err)
	}
	return r, nil
}

// Do gives a command.
func (r *Remote) Do(format string, args ...any) error {
	command := fmt.Sprintf(format, args...)
	if _, err := fmt.Fprintln(r.in, command); err != nil {
		return fmt.Errorf("%s: %w", command, err)
	}
	answer, err := r.out.ReadString('\n')
	if err != nil {
		return fmt.Errorf("%s: %w", command, err)
	}
	if answer = strings.TrimSpace(answer); answer != "ok" {
		return fmt.Errorf("the device says: %s", answer)
	}
	return nil
}

// Kill ends the process as a power cut would.
func (r *Remote) Kill() {
	_ = r.cmd.Process.Kill() // it may have ended already
	_ = r.cmd.Wait()         // with the signal, which is what was asked for
}
