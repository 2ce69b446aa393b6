package demo

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/perrondrukte/perrondrukte/broker"
	"github.com/perrondrukte/perrondrukte/gateway"
	"github.com/perrondrukte/perrondrukte/gateway/simulated"
	"github.com/perrondrukte/perrondrukte/perron"
	"github.com/perrondrukte/perrondrukte/simulate"
)

// saturdayVisits is the mean number of vehicles on a Saturday at the sites that
// the demo knows. Poort gets more than it can take, Buiten and Haven do not.
var saturdayVisits = map[string]float64{"poort": 760, "buiten": 520, "haven": 640}

// Yards are the simulated yards of the sites.
func Yards(sites []*perron.Site, seed uint64) []*simulate.Yard {
	yards := make([]*simulate.Yard, len(sites))
	for i, s := range sites {
		yards[i] = &simulate.Yard{Site: s, Seed: seed, Visits: saturdayVisits[s.ID]}
	}
	return yards
}

// GatewayConfig is what a gateway needs whose sensors are simulated. It bears
// the first of the names that the site has for gateways.
type GatewayConfig struct {
	Yard     *simulate.Yard
	Version  string // of the program, for the gateway's status
	Broker   string // URL
	Password string // of the gateway at the broker
	DataDir  string // of this gateway alone
	Now      func() time.Time
	Speed    float64 // seconds of Now a second
	Logger   *slog.Logger
}

// statusEvery is how often a gateway of the demo says how it does, by the
// demo's clock.
const statusEvery = 30 * time.Second

// NewGateway makes a real gateway whose sensors are those of a simulated yard,
// and its connection to the broker. Both are to be run, the connection first.
func NewGateway(ctx context.Context, c GatewayConfig) (*broker.Client, *gateway.Gateway, error) {
	site, name := c.Yard.Site.ID, c.Yard.Site.Gateways[0]
	user := site + "/" + name
	logger := quiet(c.Logger)
	will, err := gateway.Will(site, name)
	if err != nil {
		return nil, nil, err
	}
	link, err := broker.NewClient(broker.ClientConfig{
		URL: c.Broker, ClientID: user, Username: user, Password: c.Password, Will: will, Logger: logger,
	})
	if err != nil {
		return nil, nil, fmt.Errorf("connect gateway %s: %w", user, err)
	}
	loops := make([]string, len(c.Yard.Site.QueueLoops))
	for i, l := range c.Yard.Site.QueueLoops {
		loops[i] = l.Sensor
	}
	inputs, sensors := simulated.Wire([]string{"main-in"}, []string{"main-out"}, loops)
	day := func(d perron.Date) []perron.Event { return c.Yard.Day(d).Events }
	g, err := gateway.New(ctx, gateway.Config{
		Site: site, Gateway: name, Version: c.Version, DataDir: c.DataDir,
		Inputs: inputs, Sensors: sensors,
		Source: simulated.New(day, sensors, c.Now, c.Speed, logger),
		Link:   link, Now: c.Now, Logger: logger,
		StatusEvery: time.Duration(float64(statusEvery) / c.Speed),
	})
	if err != nil {
		return nil, nil, fmt.Errorf("start gateway %s: %w", user, err)
	}
	return link, g, nil
}

// quiet keeps the lines of the demo's gateways to what matters.
func quiet(l *slog.Logger) *slog.Logger { return slog.New(atLeast{l.Handler(), slog.LevelWarn}) }

type atLeast struct {
	slog.Handler
	level slog.Level
}

func (h atLeast) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= h.level && h.Handler.Enabled(ctx, l)
}

func (h atLeast) WithAttrs(attrs []slog.Attr) slog.Handler {
	return atLeast{h.Handler.WithAttrs(attrs), h.level}
}

func (h atLeast) WithGroup(name string) slog.Handler {
	return atLeast{h.Handler.WithGroup(name), h.level}
}
