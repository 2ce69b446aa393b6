// Modbusdevice is a Modbus device with counters, for tests. See package
// modbustest for the commands that it takes on its standard input.
package main

import (
	"flag"
	"log"
	"os"

	"github.com/perrondrukte/perrondrukte/gateway/modbus/modbustest"
)

func main() {
	addr := flag.String("listen", "", "address of Modbus TCP; a free port of 127.0.0.1 without it")
	line := flag.Bool("line", false, "also answer on a pseudo terminal")
	flag.Parse()
	var err error
	if *addr == "" {
		err = modbustest.Serve(os.Stdin, os.Stdout, *line)
	} else {
		err = modbustest.ServeAt(*addr, os.Stdin, os.Stdout, *line)
	}
	if err != nil {
		log.Fatal(err)
	}
}
