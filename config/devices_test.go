package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Everything that a device is provisioned with loads, and fits the sites of
// the example: the same gateways, every sensor that a gate or queue counts on.
func TestFirmwareConfig(t *testing.T) {
	root := filepath.Join("..", "firmware-config")
	var files []string
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() && d.Name() == "esphome" {
			return filepath.SkipDir // TestESPHome reads them
		}
		if err == nil && strings.HasSuffix(path, ".yaml") {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	sites := map[ID]*Site{}
	almere := Almere()
	for i := range almere.Sites {
		sites[almere.Sites[i].ID] = &almere.Sites[i]
	}
	for _, file := range files {
		g, err := LoadGateway(file)
		if err != nil {
			t.Error(err)
			continue
		}
		site, ok := sites[g.Site]
		if !ok || len(site.Gateways) != 1 || site.Gateways[0] != g.Gateway {
			t.Errorf("%s: gateway %s is not that of a site in almere.yaml", file, g.Username())
			continue
		}
		delete(sites, g.Site)
		sensors := map[ID]SensorType{}
		for _, s := range g.Sensors {
			sensors[s.ID] = s.Type
		}
		for _, gate := range site.Gates {
			for _, s := range gate.Sensors {
				if sensors[s] != SensorPulse && sensors[s] != SensorPair {
					t.Errorf("%s: no pulse or pair %s, which gate %s counts", file, s, gate.ID)
				}
				delete(sensors, s)
			}
		}
		for _, l := range site.QueueLoops {
			if sensors[l.Sensor] != SensorPresence {
				t.Errorf("%s: no presence %s at distance %d", file, l.Sensor, l.Distance)
			}
			delete(sensors, l.Sensor)
		}
		for s := range sensors {
			t.Errorf("%s: sensor %s is in no gate and no queue", file, s)
		}
	}
	for id := range sites {
		t.Errorf("no gateway file for %s", id)
	}
}
