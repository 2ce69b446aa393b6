package config

import _ "embed"

//go:embed almere.yaml
var almere []byte

// Almere is a server for the three recyclingperrons of Almere: the example to
// start from, and what the demo shows. Every call makes a new one, so that it
// may be changed. Opening hours and capacities are examples.
func Almere() *Server {
	s, err := ParseServer(almere)
	if err != nil {
		panic("config: almere.yaml: " + err.Error()) // a test reads it too
	}
	return s
}

// AlmereYAML is the text of the example, with its comments.
func AlmereYAML() []byte { return append([]byte(nil), almere...) }
