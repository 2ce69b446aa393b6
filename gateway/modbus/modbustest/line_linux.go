package modbustest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/perrondrukte/perrondrukte/gateway/gatewaytest"
)

// openLine makes a serial line, a pseudo terminal, and answers there: it carries
// RTU frames to the Modbus TCP server and back, as a converter does. Frames and
// checksum are of its own making, so that those of the client are checked
// against another's.
func (d *device) openLine(addr string) (path string, err error) {
	master, slave, err := gatewaytest.OpenTerminal()
	if err != nil {
		return "", err
	}
	server, err := net.Dial("tcp", addr)
	if err != nil {
		return "", err
	}
	go func() {
		defer slave.Close() // it is open here too, so that the line outlives who reads it
		fmt.Fprintln(os.Stderr, "serial line:", d.answer(master, server))
		os.Exit(1)
	}()
	return slave.Name(), nil
}

// requestLength is that of a frame that asks for registers.
const requestLength = 8

// answer serves the line until that fails.
func (d *device) answer(line io.ReadWriter, server io.ReadWriter) error {
	var frame []byte
	b := make([]byte, 256)
	for {
		n, err := line.Read(b)
		if err != nil {
			return err
		}
		frame = append(frame, b[:n]...)
		for len(frame) >= requestLength {
			request := frame[:requestLength]
			if !bytes.Equal(checksum(request[:requestLength-2]), request[requestLength-2:]) {
				frame = frame[1:] // noise
				continue
			}
			delay, mute := d.manners(request[0])
			if mute {
				frame = frame[requestLength:]
				continue
			}
			response, err := forward(server, request[:requestLength-2])
			if err != nil {
				return err
			}
			frame = frame[requestLength:]
			time.Sleep(delay)
			if _, err := line.Write(append(response, checksum(response)...)); err != nil {
				return err
			}
		}
	}
}

// forward carries unit and message to the server and back. See the Modbus
// Messaging on TCP/IP Implementation Guide V1.0b, 3.1.3: transaction, protocol
// and length, then the unit.
func forward(server io.ReadWriter, request []byte) ([]byte, error) {
	head := binary.BigEndian.AppendUint16([]byte{0, 1, 0, 0}, uint16(len(request)))
	if _, err := server.Write(append(head, request...)); err != nil {
		return nil, err
	}
	if _, err := io.ReadFull(server, head); err != nil {
		return nil, err
	}
	response := make([]byte, binary.BigEndian.Uint16(head[4:]))
	_, err := io.ReadFull(server, response)
	return response, err
}

// checksum is the CRC-16 of MODBUS over Serial Line V1.02, 6.2.2, low byte
// first.
func checksum(frame []byte) []byte {
	crc := uint16(0xffff)
	for _, b := range frame {
		crc ^= uint16(b)
		for range 8 {
			carry := crc&1 != 0
			crc >>= 1
			if carry {
				crc ^= 0xa001
			}
		}
	}
	return []byte{byte(crc), byte(crc >> 8)}
}
