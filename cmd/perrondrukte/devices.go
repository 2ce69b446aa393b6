package main

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/perrondrukte/perrondrukte/broker"
	"github.com/perrondrukte/perrondrukte/collector"
	"github.com/perrondrukte/perrondrukte/config"
	"github.com/perrondrukte/perrondrukte/perron"
)

// devices are the configured devices that report counts, as the collector knows
// them.
func devices(cfg *config.Server) ([]collector.Device, error) {
	formats := make(map[config.ID]config.UplinkFormat)
	for _, n := range cfg.Networks {
		formats[n.ID] = n.Format
	}
	var out []collector.Device
	for _, s := range cfg.Sites {
		for _, c := range s.Counters {
			d := collector.Device{
				Site: string(s.ID), Gateway: string(c.ID), Every: c.Every.D(), Network: string(c.Network), ID: c.Device,
				Delta: c.Mode == config.ModeDelta, Bits: c.Bits,
			}
			if formats[c.Network] == config.FormatChirpStack {
				d.ID = strings.ToLower(d.ID)
			}
			for _, sensor := range c.Sensors {
				x := collector.DeviceCounter{Sensor: string(sensor.Sensor), Kind: perron.Kind(sensor.Direction)}
				if sensor.Path != "" {
					var err error
					if x.Path, err = broker.ParsePath(string(sensor.Path)); err != nil {
						return nil, fmt.Errorf("device %s of site %s: %w", c.ID, s.ID, err)
					}
				}
				d.Counters = append(d.Counters, x)
			}
			out = append(out, d)
		}
	}
	return out, nil
}

// networks connects to the brokers of the LoRaWAN networks that devices of the
// collector's sites are in. Uplinks come once, so the brokers are asked to keep
// what comes while we are away.
func (a *app) networks(own []*perron.Site) ([]collector.Network, []part, error) {
	used := make(map[config.ID]bool)
	for _, s := range a.cfg.Sites {
		for _, site := range own {
			if site.ID != string(s.ID) {
				continue
			}
			for _, c := range s.Counters {
				used[c.Network] = true
			}
		}
	}
	var out []collector.Network
	var parts []part
	for i := range a.cfg.Networks {
		n := &a.cfg.Networks[i]
		if !used[n.ID] {
			continue
		}
		password, err := n.ReadPassword()
		if err != nil {
			return nil, nil, err
		}
		tls, err := clientTLS(n.CAFile)
		if err != nil {
			return nil, nil, fmt.Errorf("network %s: %w", n.ID, err)
		}
		link, err := broker.NewClient(broker.ClientConfig{
			URL: n.URL, ClientID: a.networkClient(n), Username: n.Username, Password: password, TLS: tls, KeepSession: true,
			Logger:     a.logger.With("network", n.ID),
			Registerer: prometheus.WrapRegistererWith(prometheus.Labels{"role": string(config.RoleCollector)}, a.registry),
		})
		if err != nil {
			return nil, nil, fmt.Errorf("connect to network %s: %w", n.ID, err)
		}
		out = append(out, collector.Network{ID: string(n.ID), Format: broker.UplinkFormat(n.Format), Filter: string(n.Topic), Link: link})
		parts = append(parts, part{"link to network " + string(n.ID), link.Run})
	}
	return out, parts, nil
}

// networkClient names us at the broker of a network, the same each time and
// another for each collector and for other installations that use it too.
func (a *app) networkClient(n *config.LoRaWAN) string {
	index := 0
	if a.cfg.Collectors != nil {
		index = a.cfg.Collectors.Index
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\n%s\n%s\n%s", n.Username, n.Topic, a.cfg.DataDir, names(a.sites)))
	return fmt.Sprintf("%s.%s.%d.%x", cmp.Or(n.Username, "perrondrukte"), n.ID, index, sum[:4])
}
