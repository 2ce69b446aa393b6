// Command schema writes the JSON Schemas of both configuration files, so that
// editors can complete and check them. It is run by go generate in config.
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/invopop/jsonschema"

	"github.com/perrondrukte/perrondrukte/config"
)

// files are the schemas, by the path of their file in the repository: that of a
// device's configuration lies with what a device needs, that of the server's with
// what its packages hold.
var files = map[string]struct {
	of           any
	title, about string
}{
	"packaging/server/server.schema.json": {
		config.Server{},
		"Perrondrukte server",
		"The configuration of perrondrukte serve: where it listens, where it keeps counts, and the sites.",
	},
	"firmware-config/schema/gateway.schema.json": {
		config.Gateway{},
		"Perrondrukte gateway",
		"The configuration of perron-gateway: where it sends events, and the sensors that it reads.",
	},
}

func main() {
	root := flag.String("root", "..", "root of the repository to write to")
	flag.Parse()
	if err := write(*root); err != nil {
		log.Fatal(err)
	}
}

func write(root string) error {
	for name := range files {
		text, err := generate(name, ".")
		if err != nil {
			return fmt.Errorf("generate %s: %w", name, err)
		}
		if err := os.WriteFile(filepath.Join(root, filepath.FromSlash(name)), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// generate makes one schema. Descriptions are the comments of the Go source of
// package config, which lies in source, relative to the working directory.
func generate(name, source string) ([]byte, error) {
	file := files[name]
	r := &jsonschema.Reflector{
		Anonymous:                  true,
		DoNotReference:             true,
		RequiredFromJSONSchemaTags: true,
		FieldNameTag:               "yaml",
	}
	r.Mapper = func(t reflect.Type) *jsonschema.Schema { return schemaOf(r, t) }
	base := reflect.TypeOf(file.of).PkgPath()
	if err := r.AddGoComments(base, source, jsonschema.WithFullComment()); err != nil {
		return nil, fmt.Errorf("read comments: %w", err)
	}
	if len(r.CommentMap) == 0 {
		return nil, fmt.Errorf("no comments in %s", source)
	}
	for k, text := range r.CommentMap {
		r.CommentMap[k] = strings.Join(strings.Fields(text), " ")
	}
	s := r.Reflect(file.of)
	s.Title, s.Description = file.title, file.about

	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(s); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// schemaOf says how the texts of package config look; nil leaves a type to the
// reflector.
func schemaOf(r *jsonschema.Reflector, t reflect.Type) *jsonschema.Schema {
	text := func(pattern string, examples ...any) *jsonschema.Schema {
		return &jsonschema.Schema{Type: "string", Pattern: pattern, Examples: examples}
	}
	switch reflect.Zero(t).Interface().(type) {
	case config.Duration:
		return text(`^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$`, "300ms", "30s", "15m", "2h")
	case config.Size:
		return text(`^[0-9]+ ?([KMGT]iB|[kMGT]?B)$`, "64MiB", "2GiB")
	case config.Span:
		return text(`^[0-9]{1,2}:[0-9]{2} ?[-–] ?[0-9]{1,2}:[0-9]{2}$`, "08:30-17:00")
	case config.Date:
		return text(`^[0-9]{4}-[0-9]{2}-[0-9]{2}$`, "2026-12-24")
	case config.DateRange:
		return text(`^[0-9]{4}-[0-9]{2}-[0-9]{2}/[0-9]{4}-[0-9]{2}-[0-9]{2}$`, "2026-10-17/2026-10-25")
	case config.Network:
		return text(`^[0-9a-fA-F:.]+(/[0-9]{1,3})?$`, "127.0.0.1", "10.0.0.0/8")
	case config.ID:
		return text(`^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$`)
	case config.Secret: // YAML takes a password of digits for a number
		return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{{Type: "string"}, {Type: "integer"}}}
	case choices:
		return &jsonschema.Schema{Type: "string", Enum: words(t)}
	}
	if t.Kind() == reflect.Map {
		s := &jsonschema.Schema{Type: "object", AdditionalProperties: r.ReflectFromType(t.Elem())}
		s.AdditionalProperties.Version = ""
		if t.Elem().Kind() == reflect.String && s.AdditionalProperties.Type == "" {
			s.AdditionalProperties.Type = "string"
		}
		if t.Key().Implements(reflect.TypeFor[choices]()) {
			s.PropertyNames = &jsonschema.Schema{Enum: words(t.Key())}
		}
		return s
	}
	return nil
}

type choices interface{ Choices() []string }

func words(t reflect.Type) []any {
	var out []any
	for _, w := range reflect.Zero(t).Interface().(choices).Choices() {
		out = append(out, w)
	}
	return out
}
