package config

import (
	"reflect"
	"slices"
)

// A Driver is where events come from, by name.
type Driver string

// Choices are all drivers: gpio, and those that have a block in [Source].
func (Driver) Choices() []string {
	names := []string{string(DriverGPIO)}
	for _, b := range (&Source{}).blocks() {
		names = append(names, string(b.driver))
	}
	return names
}

// known says whether there is such a driver. Of one that there is not, nothing
// else can be said.
func (d Driver) known() bool { return slices.Contains(d.Choices(), string(d)) }

// Source is where events come from. Each field but Driver is the configuration
// of a driver, which is called as the field's key is; adding a field adds the
// driver to what a file may say and to the schema.
//
//	driver:"wants …"    what a file without the block is told; a driver without
//	                    this tag has defaults for everything
type Source struct {
	// Where events come from: gpio for the inputs of the device, or the name of one
	// of the blocks here.
	Driver Driver `yaml:"driver"`
	// Devices that count by themselves, for the driver modbus.
	Modbus *Modbus `yaml:"modbus" driver:"wants buses and counters"`
	// A recording, for the driver replay.
	Replay *Replay `yaml:"replay" driver:"wants the recording's file and columns"`
	// An imagined yard, for the driver simulate.
	Simulate *Simulate `yaml:"simulate"`
}

// A block checker is the configuration of a driver with more to check than the
// tags of its fields say.
type blockChecker interface{ check(c *checker, at string) }

// A block with files names files, so that relative paths count from the
// directory of the configuration.
type blockWithFiles interface{ files() []*string }

var (
	_ blockChecker   = (*Modbus)(nil)
	_ blockChecker   = (*Replay)(nil)
	_ blockWithFiles = (*Replay)(nil)
)

// A block is the configuration of one driver.
type block struct {
	driver Driver
	wants  string        // empty when the block may be left out
	value  reflect.Value // a pointer, nil when it was left out
}

func (s *Source) blocks() []block {
	v := reflect.ValueOf(s).Elem()
	var out []block
	for _, f := range fields(v.Type()) {
		if value := v.Field(f.index); value.Kind() == reflect.Pointer {
			out = append(out, block{Driver(f.name), v.Type().Field(f.index).Tag.Get("driver"), value})
		}
	}
	return out
}

// complete gives the chosen driver its defaults when its block was left out and
// may be.
func (s *Source) complete() {
	for _, b := range s.blocks() {
		if b.driver == s.Driver && b.wants == "" && b.value.IsNil() {
			fresh := reflect.New(b.value.Type().Elem())
			setDefaults(fresh)
			b.value.Set(fresh)
		}
	}
}

// files are the paths that the blocks name.
func (s *Source) files() (paths []*string) {
	for _, b := range s.blocks() {
		if with, ok := b.value.Interface().(blockWithFiles); ok && !b.value.IsNil() {
			paths = append(paths, with.files()...)
		}
	}
	return paths
}

func (s *Source) check(c *checker) {
	if s.Driver == "" {
		c.fault("source.driver", "is missing: want %s", orList(s.Driver.Choices()))
	}
	for _, b := range s.blocks() {
		at := "source." + string(b.driver)
		switch given := !b.value.IsNil(); {
		case given && b.driver != s.Driver && s.Driver.known():
			c.fault(at, "belongs to the driver %s: want driver: %s, or leave it out", b.driver, b.driver)
		case !given && b.driver == s.Driver && b.wants != "":
			c.fault(at, "is missing: the driver %s %s", b.driver, b.wants)
		case given && b.driver == s.Driver:
			if own, ok := b.value.Interface().(blockChecker); ok {
				own.check(c, at)
			}
		}
	}
}
