package main

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/perrondrukte/perrondrukte/broker"
	"github.com/perrondrukte/perrondrukte/collector/intake"
	"github.com/perrondrukte/perrondrukte/config"
	"github.com/perrondrukte/perrondrukte/internal/logs"
	"github.com/perrondrukte/perrondrukte/perron"
)

// devices are the configured devices that report counts, as the collector knows
// them.
func devices(cfg *config.Server) ([]intake.Device, error) {
	formats := make(map[config.ID]config.UplinkFormat)
	for _, n := range cfg.Networks {
		formats[n.ID] = n.Format
	}
	var out []intake.Device
	for _, s := range cfg.Sites {
		for _, c := range s.Counters {
			d := intake.Device{
				Site: string(s.ID), Gateway: string(c.ID), Every: c.Every.D(), Network: string(c.Network), ID: c.Device,
				Delta: c.Mode == config.ModeDelta, Bits: c.Bits,
			}
			if formats[c.Network] == config.FormatChirpStack {
				d.ID = strings.ToLower(d.ID)
			}
			for _, sensor := range c.Sensors {
				x := intake.DeviceCounter{Sensor: string(sensor.Sensor), Kind: perron.Kind(sensor.Direction)}
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
func (a *app) networks(own []*perron.Site) ([]intake.Network, []part, error) {
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
	var out []intake.Network
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
		name, err := a.networkClient(n)
		if err != nil {
			return nil, nil, err
		}
		link, err := broker.NewClient(broker.ClientConfig{
			URL: n.URL, ClientID: name, Username: n.Username, Password: password, TLS: tls, KeepSession: true,
			Logger:     a.logger.With(logs.Network, n.ID),
			Registerer: prometheus.WrapRegistererWith(prometheus.Labels{"role": string(config.RoleCollector)}, a.registry),
		})
		if err != nil {
			return nil, nil, fmt.Errorf("connect to network %s: %w", n.ID, err)
		}
		out = append(out, intake.Network{ID: string(n.ID), Format: broker.UplinkFormat(n.Format), Filter: string(n.Topic), Link: link})
		parts = append(parts, part{"link to network " + string(n.ID), link.Run})
	}
	return out, parts, nil
}

// networkClient names us at the broker of a network: the same each time, for the
// broker keeps under that name what comes while we are away, whatever becomes of
// the configuration; and another for each collector and for other installations
// that use the network too. Another topic is another name, for the broker would go
// on sending what the old one asks for, which nobody takes any more.
func (a *app) networkClient(n *config.LoRaWAN) (string, error) {
	index := 0
	if a.cfg.Collectors != nil {
		index = a.cfg.Collectors.Index
	}
	mark, err := ownMark(filepath.Join(a.cfg.DataDir, markFile))
	if err != nil {
		return "", fmt.Errorf("name this installation to network %s: %w", n.ID, err)
	}
	topic := sha256.Sum256([]byte(n.Topic))
	return fmt.Sprintf("%s.%s.%d.%s.%x", cmp.Or(n.Username, "perrondrukte"), n.ID, index, mark, topic[:3]), nil
}

// markFile holds, in the data directory, a word that tells this installation
// from others.
const markFile = "installation"

// ownMark reads the word, which is made by chance the first time.
func ownMark(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	if mark := strings.TrimSpace(string(text)); mark != "" { // empty is what a power cut may leave
		if len(mark) > 32 || strings.ContainsFunc(mark, func(r rune) bool { return r < '0' || r > 'z' }) {
			return "", fmt.Errorf("%s holds %.40q: want a word of up to 32 letters and digits; remove it to have one made", path, mark)
		}
		return mark, nil
	}
	mark := strings.ToLower(rand.Text()[:10])
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return "", err
	}
	_, err = fmt.Fprintln(f, mark)
	return mark, errors.Join(err, f.Sync(), f.Close())
}
