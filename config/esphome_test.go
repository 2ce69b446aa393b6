package config_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"github.com/perrondrukte/perrondrukte/broker"
)

// esphomeKeys are the keys that the ESPHome documentation has for the blocks
// that we use, by the block's path; of those blocks all keys are looked at. The
// tool itself is Python and not part of a build; what it would say of a wrong
// key is said here, what its compiler would say of a lambda is not.
var esphomeKeys = map[string]string{
	"":                        "substitutions packages esphome esp32 logger ota wifi time preferences globals sensor interval script mqtt",
	"esphome":                 "name min_version on_boot",
	"esphome.on_boot":         "priority then",
	"esp32":                   "board framework",
	"esp32.framework":         "type version",
	"logger":                  "level baud_rate",
	"ota.":                    "platform password port id",
	"wifi":                    "ssid password reboot_timeout",
	"time.":                   "platform id timezone servers update_interval",
	"preferences":             "flash_write_interval",
	"globals.":                "id type restore_value initial_value update_interval max_restore_data_length",
	"sensor.":                 "platform id name internal pin internal_filter internal_filter_mode timeout total",
	"sensor..pin":             "number inverted mode allow_other_uses ignore_strapping_warning",
	"sensor..pin.mode":        "input output pullup pulldown open_drain",
	"sensor..total":           "id name internal on_value",
	"interval.":               "interval startup_delay then",
	"script.":                 "id mode then",
	"mqtt":                    "broker port username password client_id clean_session discovery discover_ip topic_prefix log_topic birth_message will_message shutdown_message keepalive reboot_timeout certificate_authority on_connect id",
	"mqtt.will_message":       "topic payload qos retain",
	"mqtt.shutdown_message":   "topic payload qos retain",
	"mqtt.publish_json":       "topic payload qos retain",
	"sensor..total.on_value.": "lambda script.execute",
	"mqtt.on_connect.":        "script.execute",
	"interval..then.":         "script.execute",
	"esphome.on_boot.then.":   "lambda",
	"script..then.":           "if",
	"script..then..if":        "condition then else",
	"script..then..if.then.":  "mqtt.publish_json",
}

// TestESPHome reads the configuration for an ESP32 as far as that can be done
// without ESPHome: syntax, keys, and everything that the server relies on.
func TestESPHome(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "firmware-config", "esphome", "perron-counter.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	file, err := parser.ParseBytes(text, 0)
	if err != nil || len(file.Docs) != 1 {
		t.Fatalf("not one document of YAML: %v", err)
	}
	walk(t, file.Docs[0].Body, "")

	// As ESPHome puts in substitutions.
	var doc struct {
		Substitutions map[string]string `yaml:"substitutions"`
	}
	if err := yaml.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	full := regexp.MustCompile(`\$\{(\w+)\}`).ReplaceAllStringFunc(string(text), func(s string) string {
		v, ok := doc.Substitutions[s[2:len(s)-1]]
		if !ok {
			t.Errorf("%s is not defined", s)
		}
		return v
	})
	var device struct {
		MQTT struct {
			ClientID       string `yaml:"client_id"`
			Username       string `yaml:"username"`
			Discover       bool   `yaml:"discover_ip"`
			Log, Birth     any
			Will, Shutdown struct {
				Topic, Payload string
				QoS            int  `yaml:"qos"`
				Retain         bool `yaml:"retain"`
			}
		} `yaml:"mqtt"`
	}
	renamed := strings.NewReplacer("will_message:", "will:", "shutdown_message:", "shutdown:", "log_topic:", "log:", "birth_message:", "birth:", "!secret ", "").Replace(full)
	if err := yaml.Unmarshal([]byte(renamed), &device); err != nil {
		t.Fatal(err)
	}
	m := device.MQTT
	site, name := doc.Substitutions["site"], doc.Substitutions["device"]
	if m.ClientID != site+"/"+name || m.Username != m.ClientID || m.Discover || m.Log != nil || m.Birth != nil {
		t.Errorf("mqtt: %+v", m)
	}
	if m.Will != m.Shutdown || m.Will.Topic != broker.StatusTopic(site, name) || m.Will.QoS != 1 || !m.Will.Retain {
		t.Errorf("last will %+v, at shutdown %+v", m.Will, m.Shutdown)
	}
	if s, err := broker.DecodeStatus([]byte(m.Will.Payload)); err != nil || s.Online || s.Site != site || s.Gateway != name || !s.At.IsZero() {
		t.Errorf("last will %s: %+v, %v", m.Will.Payload, s, err)
	}

	// The message: its topic, and each field that the decoder reads.
	for _, want := range []string{
		"topic: " + broker.CountersTopic(site, name) + "\n", `root["v"] = 1;`, `root["boot"] =`, `root["up"] =`, `root["at"] =`,
		`root["counters"]["main-in"]["base"] = id(base_a);`, `root["counters"]["main-in"]["n"] = id(n_a);`, `root["counters"]["main-in"]["ago"] =`,
		`root["counters"]["main-out"]["base"] = id(base_b);`, `root["counters"]["main-out"]["n"] = id(n_b);`, `root["counters"]["main-out"]["ago"] =`,
	} {
		if !strings.Contains(full, want) {
			t.Errorf("nowhere: %s", want)
		}
	}
	// Every id that is used is one that is there.
	defined := regexp.MustCompile(`\bid: (\w+)`).FindAllStringSubmatch(full, -1)
	for _, use := range regexp.MustCompile(`\bid\((\w+)\)|script\.execute: (\w+)`).FindAllStringSubmatch(full, -1) {
		id := use[1] + use[2]
		if !slices.ContainsFunc(defined, func(d []string) bool { return d[1] == id }) {
			t.Errorf("id %s is used and not defined", id)
		}
	}
}

// walk looks at the keys of all blocks.
func walk(t *testing.T, n ast.Node, path string) {
	t.Helper()
	switch n := n.(type) {
	case *ast.TagNode:
		if tag := n.Start.Value; tag != "!secret" && tag != "!lambda" && tag != "!include" {
			t.Errorf("%s: ESPHome has no %s", path, tag)
		}
	case *ast.MappingNode:
		for _, v := range n.Values {
			key := fmt.Sprint(v.Key)
			at := strings.TrimPrefix(path+"."+key, ".")
			if key == "mqtt.publish_json" {
				at = key
			}
			if known, ok := esphomeKeys[path]; path != "substitutions" && (!ok || !slices.Contains(strings.Fields(known), key)) && !strings.HasSuffix(path, "condition") {
				t.Errorf("line %d: %q is not among the keys of %q", v.Key.GetToken().Position.Line, key, path)
			}
			walk(t, v.Value, at)
		}
	case *ast.SequenceNode:
		for _, v := range n.Values {
			walk(t, v, path+".")
		}
	case *ast.MappingValueNode:
		walk(t, ast.Mapping(n.Start, false, n), path)
	}
}
