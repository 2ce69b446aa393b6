package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"time"
)

// A Gateway is the configuration of perron-gateway.
type Gateway struct {
	// Id of the site, as in the server's file.
	Site ID `yaml:"site" jsonschema:"required" want:"want the id of a site, as in the server's file"`
	// Id of this gateway within the site.
	Gateway ID `yaml:"gateway" jsonschema:"required" want:"want the id of this gateway, as in the server's file"`
	// Directory of the outbox. A relative path counts from the directory of
	// this file.
	DataDir string `yaml:"data_dir" want:"want a directory like /var/lib/perron-gateway"`
	// Where to send events.
	Broker GatewayBroker `yaml:"broker" jsonschema:"required"`
	// What keeps events until the server has stored them.
	Outbox Outbox `yaml:"outbox"`
	// What to do while the device's clock is not synchronised.
	Clock Clock `yaml:"clock"`
	// How often the status is sent when nothing changes.
	StatusEvery Duration `yaml:"status_every" bounds:"5s,10m"`
	// Where events come from.
	Source Source `yaml:"source"`
	// Electrical inputs, for the driver gpio.
	Inputs []Input `yaml:"inputs"`
	// What is connected to the inputs, for the driver gpio.
	Sensors []Sensor `yaml:"sensors"`
}

// GatewayBroker is the broker that a gateway sends to. The user name is
// site/gateway.
type GatewayBroker struct {
	// Address, like ssl://perrons.example:8883 or tcp://127.0.0.1:1883.
	URL string `yaml:"url" jsonschema:"required" want:"want a URL like ssl://perrons.example:8883"`
	// Password as perrondrukte gateway add printed it; password_file is safer.
	Password Secret `yaml:"password"`
	// File whose first line is the password.
	PasswordFile string `yaml:"password_file"`
	// File with the certificates (PEM) that the broker's is checked against;
	// those of the system when absent.
	CAFile string `yaml:"ca_file"`
	// The same certificates themselves.
	CA string `yaml:"ca"`
	// The gateway's own certificate (PEM), where it was issued one.
	Certificate string `yaml:"certificate"`
	// File with that certificate.
	CertificateFile string `yaml:"certificate_file"`
	// Private key (PEM) of the certificate.
	Key Secret `yaml:"key"`
	// File with that key.
	KeyFile string `yaml:"key_file"`
}

func (b *GatewayBroker) check(c *checker) {
	if b.URL != "" {
		c.url("broker.url", b.URL, mqttSchemes...)
	}
	one := func(field, value, file string) bool {
		if value != "" && file != "" {
			c.fault("broker."+field, "is given beside %s_file: want one of them", field)
		}
		return value != "" || file != ""
	}
	one("password", string(b.Password), b.PasswordFile)
	one("ca", b.CA, b.CAFile)
	certificate, key := one("certificate", b.Certificate, b.CertificateFile), one("key", string(b.Key), b.KeyFile)
	if certificate && !key {
		c.fault("broker.key", "is missing: a certificate wants its key")
	}
	if key && !certificate {
		c.fault("broker.certificate", "is missing: a key wants its certificate")
	}
}

// ReadTLS is what the gateway shows and trusts, as PEM: its certificate with
// its key, and the certificates that the broker's is checked against. What is
// not configured is nil.
func (b *GatewayBroker) ReadTLS() (certificate, key, ca []byte, err error) {
	read := func(field, value, file string) []byte {
		if file == "" {
			if value == "" {
				return nil
			}
			return []byte(value)
		}
		text, openErr := os.ReadFile(file)
		if openErr != nil {
			err = errors.Join(err, fmt.Errorf("read broker.%s_file: %w", field, openErr))
		}
		return text
	}
	certificate = read("certificate", b.Certificate, b.CertificateFile)
	key = read("key", b.Key.Reveal(), b.KeyFile)
	ca = read("ca", b.CA, b.CAFile)
	return certificate, key, ca, err
}

// ReadPassword is the password at the broker, from the file if one is named;
// "" without either.
func (b *GatewayBroker) ReadPassword() (string, error) {
	return readSecret("broker.password_file", b.Password, b.PasswordFile)
}

// Outbox is what keeps events until the server has stored them.
type Outbox struct {
	// How large it may become before new events are dropped.
	MaxSize Size `yaml:"max_size" bounds:"1MiB,64GiB"`
}

// Clock says what to do while the device's clock is not synchronised.
type Clock struct {
	// How long events wait for it once the server can be reached, so that they
	// are sent with the right time. After that they are sent with a doubt.
	Wait Duration `yaml:"wait" bounds:"0s,1h"`
}

// defaultGateway is a gateway before its file is read.
func defaultGateway() *Gateway {
	return &Gateway{
		DataDir:     "/var/lib/perron-gateway",
		Outbox:      Outbox{MaxSize: 256 << 20},
		Clock:       Clock{Wait: Duration(5 * time.Minute)},
		StatusEvery: Duration(30 * time.Second),
		Source:      Source{Driver: DriverGPIO},
	}
}

// LoadGateway reads, completes and checks a gateway's file. Relative paths in
// it are taken from its directory. A file with faults gives an *[Error] that
// names all of them. Files with secrets that others may read are refused: see
// [CheckPrivate].
func LoadGateway(path string) (*Gateway, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	g, err := ParseGateway(text)
	if err != nil {
		return nil, inFile(err, path)
	}
	files := []*string{&g.DataDir, &g.Broker.PasswordFile, &g.Broker.CAFile, &g.Broker.CertificateFile, &g.Broker.KeyFile}
	rebase(filepath.Dir(path), append(files, g.Source.files()...))
	if err := checkPrivate(path, []Secret{g.Broker.Password, g.Broker.Key}, g.Broker.PasswordFile, g.Broker.KeyFile); err != nil {
		return nil, err
	}
	return g, nil
}

// ParseGateway reads, completes and checks the text of a gateway's file. Paths
// are left as they are written.
func ParseGateway(text []byte) (*Gateway, error) {
	g := defaultGateway()
	d := decode(text, g)
	if d.bad["source.driver"] {
		g.Source.Driver = "" // what it was to be is not known; least of all is it the default
	}
	g.Source.complete()
	for i := range g.Sensors {
		g.Sensors[i].complete()
	}
	c := &checker{lines: d.lines}
	g.check(c)
	if err := asError(d.all(c.faults)); err != nil {
		return nil, err
	}
	return g, nil
}

// Validate checks a configuration that was made or changed by code.
func (g *Gateway) Validate() error {
	c := &checker{}
	g.check(c)
	return asError(c.faults)
}

// Username is what the gateway is called at the broker.
func (g *Gateway) Username() string { return string(g.Site) + "/" + string(g.Gateway) }

func (g *Gateway) check(c *checker) {
	c.tags(reflect.ValueOf(g).Elem(), "")
	g.Broker.check(c)
	g.Source.check(c)
	wired := []struct {
		field, want string
		given       bool
	}{
		{"inputs", "input", len(g.Inputs) > 0},
		{"sensors", "sensor", len(g.Sensors) > 0},
	}
	for _, w := range wired {
		switch {
		case !w.given && g.Source.Driver == DriverGPIO:
			c.fault(w.field, "is missing: the driver gpio wants at least one %s", w.want)
		case w.given && g.Source.Driver != DriverGPIO && g.Source.Driver.known():
			c.fault(w.field, "belongs to the driver gpio: want driver: gpio, or leave it out")
		}
	}
	inputs := g.checkInputs(c)
	seen := map[ID]bool{}
	for i := range g.Sensors {
		s := &g.Sensors[i]
		at := fmt.Sprintf("sensors[%d]", i)
		if seen[s.ID] && s.ID != "" {
			c.fault(at+".id", "%s is given twice: want an id of its own", quote(string(s.ID)))
		}
		seen[s.ID] = true
		s.check(c, at, inputs)
	}
}
