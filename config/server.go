package config

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/perrondrukte/perrondrukte/perron"
)

// A Server is the configuration of perrondrukte serve.
type Server struct {
	// Where the website and the API listen.
	Listen Listen `yaml:"listen"`
	// Directory of the databases, made when it is absent. A relative path
	// counts from the directory of this file.
	DataDir string `yaml:"data_dir" jsonschema:"required" want:"want a directory like /var/lib/perrondrukte"`
	// The parts that this process takes on; all of them when absent.
	Roles []Role `yaml:"roles"`
	// Which sites this process collects, where several collectors share them; all
	// when absent.
	Collectors *Collectors `yaml:"collectors"`
	// Title of the website.
	Title string `yaml:"title"`
	// The MQTT broker that gateways, collectors and API nodes meet on.
	Broker ServerBroker `yaml:"broker"`
	// Where counts are kept.
	Store Store `yaml:"store"`
	// How long a measurement stays fresh; afterwards the state is unknown.
	StaleAfter Duration `yaml:"stale_after" bounds:"30s,1h"`
	// Origins that may open the live websocket beside the site's own, like
	// https://www.example.nl.
	Origins []string `yaml:"origins"`
	// Addresses or networks of the reverse proxies in front of the server, whose
	// X-Forwarded-For is believed, like 127.0.0.1 or 10.0.0.0/8.
	TrustedProxies []Network `yaml:"trusted_proxies"`
	// Mark cookies as Secure. Set it when the site is served over HTTPS.
	SecureCookies bool `yaml:"secure_cookies"`
	// LoRaWAN network servers that vehicle counters report to.
	Networks []LoRaWAN `yaml:"networks"`
	// The weather at the sites, as a help for the forecast; none when absent.
	Weather *Weather `yaml:"weather"`
	// The recycling yards, in the order in which residents see them.
	Sites []Site `yaml:"sites" jsonschema:"required,minItems=1" want:"want at least one site"`
}

// Listen holds the addresses that the server listens on.
type Listen struct {
	// Address of the website and the API, HOST:PORT.
	HTTP string `yaml:"http" want:"want HOST:PORT like 127.0.0.1:8080"`
	// Address of /metrics for Prometheus, HOST:PORT; "" for none. It asks for no
	// password, so keep it to networks that you trust.
	Metrics string `yaml:"metrics"`
}

// ServerBroker is either the broker inside the server or one elsewhere.
type ServerBroker struct {
	// The broker inside the server; the default when url is absent.
	Embedded *EmbeddedBroker `yaml:"embedded"`
	// A broker elsewhere, like tcp://mqtt.example:1883 or ssl://mqtt.example:8883.
	URL string `yaml:"url"`
	// User name at the broker elsewhere.
	Username string `yaml:"username"`
	// Password at the broker elsewhere; password_file is safer.
	Password Secret `yaml:"password"`
	// File whose first line is the password.
	PasswordFile string `yaml:"password_file"`
	// File with the certificates (PEM) that the broker's is checked against;
	// those of the system when absent.
	CAFile string `yaml:"ca_file"`
}

// EmbeddedBroker is the MQTT broker inside the server.
type EmbeddedBroker struct {
	// Address that gateways connect to, HOST:PORT.
	Listen string `yaml:"listen" want:"want HOST:PORT like 0.0.0.0:8883"`
	// Certificate to listen with; without it the connection is not encrypted.
	TLS *TLS `yaml:"tls"`
	// File whose first line is the password of other processes of this service,
	// at least 20 characters, where collectors or API nodes run by themselves.
	// Their user name is service.
	ServicePasswordFile string `yaml:"service_password_file"`
}

func (e *EmbeddedBroker) setDefaults() { e.Listen = "127.0.0.1:1883" }

// TLS is a certificate with its key.
type TLS struct {
	// Certificate chain, PEM.
	CertFile string `yaml:"cert_file" jsonschema:"required" want:"want the file of the certificate chain"`
	// Private key, PEM.
	KeyFile string `yaml:"key_file" jsonschema:"required" want:"want the file of the private key"`
	// Refuse gateways without a client certificate, which "perrondrukte gateway
	// add --mtls" issues. A gateway that was given one needs it in any case.
	RequireClientCertificates bool `yaml:"require_client_certificates"`
}

// Store is the database of the counts: sqlite unless another is given. Each
// field is one.
type Store struct {
	// A file in the data directory.
	SQLite *SQLite `yaml:"sqlite"`
	// An InfluxDB server with the v2 API.
	Influx *Influx `yaml:"influx"`
}

// given names the databases that have a block.
func (s *Store) given() (names []string) {
	v := reflect.ValueOf(s).Elem()
	for _, f := range fields(v.Type()) {
		if !v.Field(f.index).IsNil() {
			names = append(names, f.name)
		}
	}
	return names
}

// SQLite is the embedded database.
type SQLite struct {
	// File of the database; perrondrukte.db in data_dir when absent.
	Path string `yaml:"path"`
}

// Influx is an InfluxDB server.
type Influx struct {
	// Address of the server, like http://127.0.0.1:8086.
	URL string `yaml:"url" jsonschema:"required" want:"want a URL like http://127.0.0.1:8086"`
	// Access token; token_file is safer.
	Token Secret `yaml:"token"`
	// File whose first line is the token.
	TokenFile string `yaml:"token_file"`
	// Organisation.
	Org string `yaml:"org"`
	// Bucket.
	Bucket string `yaml:"bucket" jsonschema:"required" want:"want the name of a bucket"`
}

// defaultServer is a server before its file is read.
func defaultServer() *Server {
	return &Server{
		Listen:     Listen{HTTP: "127.0.0.1:8080", Metrics: "127.0.0.1:9464"},
		Title:      "Recyclingperrons",
		StaleAfter: Duration(5 * time.Minute),
	}
}

// LoadServer reads, completes and checks the server's file. Relative paths in
// it are taken from its directory. A file with faults gives an *[Error] that
// names all of them.
func LoadServer(path string) (*Server, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	s, err := ParseServer(text)
	if err != nil {
		return nil, inFile(err, path)
	}
	files := []*string{&s.DataDir, &s.Broker.PasswordFile, &s.Broker.CAFile}
	if e := s.Broker.Embedded; e != nil {
		files = append(files, &e.ServicePasswordFile)
		if e.TLS != nil {
			files = append(files, &e.TLS.CertFile, &e.TLS.KeyFile)
		}
	}
	if s.Store.SQLite != nil {
		files = append(files, &s.Store.SQLite.Path)
	}
	if s.Store.Influx != nil {
		files = append(files, &s.Store.Influx.TokenFile)
	}
	rebase(filepath.Dir(path), files)
	s.rebaseNetworks(path)
	inline, secrets := []Secret{s.Broker.Password}, []string{s.Broker.PasswordFile}
	if e := s.Broker.Embedded; e != nil {
		secrets = append(secrets, e.ServicePasswordFile)
		if e.TLS != nil {
			secrets = append(secrets, e.TLS.KeyFile)
		}
	}
	if in := s.Store.Influx; in != nil {
		inline, secrets = append(inline, in.Token), append(secrets, in.TokenFile)
	}
	for _, n := range s.Networks {
		inline, secrets = append(inline, n.Password), append(secrets, n.PasswordFile)
	}
	if err := checkPrivate(path, inline, secrets...); err != nil {
		return nil, err
	}
	return s, nil
}

// ParseServer reads, completes and checks the text of a server's file. Paths
// are left as they are written.
func ParseServer(text []byte) (*Server, error) {
	s := defaultServer()
	d := decode(text, s)
	s.complete()
	c := &checker{lines: d.lines}
	s.check(c)
	if err := asError(d.all(c.faults)); err != nil {
		return nil, err
	}
	return s, nil
}

// Validate checks a configuration that was made or changed by code.
func (s *Server) Validate() error {
	c := &checker{}
	s.check(c)
	return asError(c.faults)
}

// complete fills in what depends on other fields.
func (s *Server) complete() {
	b := &s.Broker
	if b.URL == "" && b.Embedded == nil {
		b.Embedded = &EmbeddedBroker{}
		b.Embedded.setDefaults()
	}
	if len(s.Roles) == 0 {
		s.Roles = []Role{RoleCollector, RoleAPI}
		if b.URL == "" {
			s.Roles = slices.Insert(s.Roles, 0, RoleBroker)
		}
	}
	if len(s.Store.given()) == 0 {
		s.Store.SQLite = &SQLite{}
	}
}

func (s *Server) check(c *checker) {
	c.tags(reflect.ValueOf(s).Elem(), "")
	if s.Listen.HTTP != "" {
		c.listen("listen.http", s.Listen.HTTP)
	}
	if s.Listen.Metrics != "" {
		c.listen("listen.metrics", s.Listen.Metrics)
		if _, port, err := net.SplitHostPort(s.Listen.Metrics); err == nil && port != "0" && s.Listen.Metrics == s.Listen.HTTP {
			c.fault("listen.metrics", "%s is listen.http too: want an address of its own", quote(s.Listen.Metrics))
		}
	}
	for i, o := range s.Origins {
		c.origin(fmt.Sprintf("origins[%d]", i), o)
	}
	for i, r := range s.Roles {
		if slices.Contains(s.Roles[:i], r) {
			c.fault(fmt.Sprintf("roles[%d]", i), "%s is given twice", quote(string(r)))
		}
	}
	s.Collectors.check(c, "collectors")
	s.checkBroker(c)
	s.checkStore(c)
	s.checkWeather(c)
	seen := map[ID]int{}
	for i := range s.Sites {
		at := fmt.Sprintf("sites[%d]", i)
		site := &s.Sites[i]
		if first, twice := seen[site.ID]; twice && site.ID != "" {
			c.fault(at+".id", "%s is the id of sites[%d] too: want one of its own", quote(string(site.ID)), first)
		} else {
			seen[site.ID] = i
		}
		site.check(c, at)
	}
	s.checkNetworks(c)
}

func (s *Server) checkBroker(c *checker) {
	b := &s.Broker
	hasBroker := slices.Contains(s.Roles, RoleBroker)
	switch {
	case b.URL != "" && b.Embedded != nil:
		c.fault("broker", "has both embedded and url: want one of them")
	case b.URL != "":
		c.url("broker.url", b.URL, mqttSchemes...)
		if hasBroker {
			c.fault("roles", "has the role broker while broker.url names one elsewhere: want one of them")
		}
	case b.Embedded != nil && !hasBroker && len(s.Roles) > 0:
		c.fault("broker", "roles without broker need one elsewhere: want broker.url")
	case b.Embedded != nil && b.Embedded.ServicePasswordFile == "" && !slices.Contains(s.Roles, RoleCollector):
		c.fault("broker.embedded.service_password_file", "is missing: want the file of the password with which collectors elsewhere log in")
	}
	if b.Embedded != nil && b.Embedded.Listen != "" {
		c.listen("broker.embedded.listen", b.Embedded.Listen)
	}
	if b.URL == "" {
		for _, f := range []struct{ name, value string }{
			{"username", b.Username},
			{"password", string(b.Password)},
			{"password_file", b.PasswordFile},
			{"ca_file", b.CAFile},
		} {
			if f.value != "" {
				c.fault("broker."+f.name, "belongs to broker.url, which is absent: want url or leave it out")
			}
		}
	}
	if b.Password != "" && b.PasswordFile != "" {
		c.fault("broker.password", "is given beside password_file: want one of them")
	}
}

func (s *Server) checkStore(c *checker) {
	if given := s.Store.given(); len(given) > 1 {
		c.fault("store", "has %s: want one of them", strings.Join(given, " and "))
	}
	if in := s.Store.Influx; in != nil {
		if in.URL != "" {
			c.url("store.influx.url", in.URL, "http", "https")
		}
		switch {
		case in.Token != "" && in.TokenFile != "":
			c.fault("store.influx.token", "is given beside token_file: want one of them")
		case in.Token == "" && in.TokenFile == "":
			c.fault("store.influx.token_file", "is missing: want the file that holds the access token")
		}
	}
}

// Weather says where the hourly temperature and rain at the sites come from.
type Weather struct {
	// Address that answers as Open-Meteo, with {lat} and {lon} for those of the
	// site, like
	// https://api.open-meteo.com/v1/forecast?latitude={lat}&longitude={lon}&hourly=temperature_2m,precipitation&past_days=92&forecast_days=8.
	URL string `yaml:"url"`
	// CSV with the columns time, temperature (°C) and rain (mm in the hour), for
	// all sites; in place of url. A time without a zone is Dutch.
	File string `yaml:"file"`
	// How often it is fetched.
	Every Duration `yaml:"every" bounds:"5m,24h"`
}

func (w *Weather) setDefaults() { w.Every = Duration(time.Hour) }

func (s *Server) checkWeather(c *checker) {
	w := s.Weather
	switch {
	case w == nil:
	case w.URL == "" && w.File == "":
		c.fault("weather", "has neither url nor file: want one of them")
	case w.URL != "" && w.File != "":
		c.fault("weather", "has both url and file: want one of them")
	case w.URL != "":
		plain := strings.NewReplacer("{lat}", "52", "{lon}", "5").Replace(w.URL)
		c.url("weather.url", plain, "https", "http")
		if plain == w.URL {
			return
		}
		for i := range s.Sites {
			if s.Sites[i].Location == nil {
				c.fault(fmt.Sprintf("sites[%d].location", i), "is missing: weather.url asks for it")
			}
		}
	}
}

// origin checks an origin: scheme and host, nothing behind it.
func (c *checker) origin(path, text string) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.Scheme+"://"+u.Host != text {
		c.fault(path, "%s: want an origin like https://www.example.nl, without a path", quote(text))
	}
}

// mqttSchemes are those that package broker can dial.
var mqttSchemes = []string{"tcp", "mqtt", "ssl", "tls", "mqtts"}

// HasRole says whether this process takes on the role.
func (s *Server) HasRole(r Role) bool { return slices.Contains(s.Roles, r) }

// SQLitePath is the file of the embedded database; "" with another store.
func (s *Server) SQLitePath() string {
	switch {
	case s.Store.SQLite == nil:
		return ""
	case s.Store.SQLite.Path != "":
		return s.Store.SQLite.Path
	}
	return filepath.Join(s.DataDir, "perrondrukte.db")
}

// AuthorityPath is the directory of the small certificate authority that issues
// the certificates of gateways.
func (s *Server) AuthorityPath() string { return filepath.Join(s.DataDir, "ca") }

// AccountsPath is the file of users, sessions and gateway credentials.
func (s *Server) AccountsPath() string { return filepath.Join(s.DataDir, "accounts.db") }

// PerronSites are the configured sites as the flow knows them.
func (s *Server) PerronSites() []*perron.Site {
	out := make([]*perron.Site, len(s.Sites))
	for i := range s.Sites {
		out[i] = s.Sites[i].Perron()
	}
	return out
}

// Proxies are the networks of the trusted proxies.
func (s *Server) Proxies() []netip.Prefix {
	out := make([]netip.Prefix, len(s.TrustedProxies))
	for i, p := range s.TrustedProxies {
		out[i] = netip.Prefix(p)
	}
	return out
}

// Site is the configured site as the flow knows it; nil when there is none.
func (s *Server) Site(id string) *perron.Site {
	for i := range s.Sites {
		if string(s.Sites[i].ID) == id {
			return s.Sites[i].Perron()
		}
	}
	return nil
}

// BrokerURL is where gateways find the broker: the one elsewhere, or the
// embedded one by its listening address, with the name of this machine when it
// listens on every interface.
func (s *Server) BrokerURL() string {
	e := s.Broker.Embedded
	if e == nil {
		return s.Broker.URL
	}
	scheme := "tcp"
	if e.TLS != nil {
		scheme = "ssl"
	}
	host, port, err := net.SplitHostPort(e.Listen)
	if err != nil {
		return scheme + "://" + e.Listen
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
		if name, err := os.Hostname(); err == nil {
			host = name
		}
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}

// ReadPassword is the password at the broker elsewhere, from the file if one
// is named; "" without either.
func (b *ServerBroker) ReadPassword() (string, error) {
	return readSecret("broker.password_file", b.Password, b.PasswordFile)
}

// minServicePassword is in characters. The password may be tried as fast as
// connections are made.
const minServicePassword = 20

// ReadServicePassword is the password of other processes of the service; ""
// when none may come in.
func (e *EmbeddedBroker) ReadServicePassword() (string, error) {
	const field = "broker.embedded.service_password_file"
	if e.ServicePasswordFile == "" {
		return "", nil
	}
	password, err := readSecret(field, "", e.ServicePasswordFile)
	if err == nil && len([]rune(password)) < minServicePassword {
		return "", fmt.Errorf("read %s: the password has fewer than %d characters", field, minServicePassword)
	}
	return password, err
}

// ReadToken is the access token, from the file if one is named.
func (in *Influx) ReadToken() (string, error) {
	return readSecret("store.influx.token_file", in.Token, in.TokenFile)
}

func readSecret(field string, inline Secret, file string) (string, error) {
	if file == "" {
		return inline.Reveal(), nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("read %s: %w", field, err)
	}
	first, _, _ := strings.Cut(string(text), "\n")
	first = strings.TrimSpace(first)
	if first == "" {
		return "", fmt.Errorf("read %s: the first line of %s is empty", field, file)
	}
	return first, nil
}

// rebase takes relative paths from the directory of the file that names them.
func rebase(dir string, paths []*string) {
	for _, p := range paths {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(dir, *p)
		}
	}
}

func inFile(err error, path string) error {
	if e, ok := err.(*Error); ok {
		e.File = path
	}
	return err
}
