package main

import (
	"encoding/json"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// The schemas are those of the Go types.
func TestSchemasAreFresh(t *testing.T) {
	t.Chdir("..") // where go generate runs
	for name := range files {
		want, err := generate(name, ".")
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join("..", filepath.FromSlash(name)))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(string(got), "\n")); diff != "" {
			t.Errorf("%s is stale: run \"make generate\" (-want +got):\n%s", name, diff)
		}
	}
}

// What the parser accepts the schema accepts too, and it finds what an editor
// should underline.
func TestSchemasJudgeTheCorpus(t *testing.T) {
	t.Chdir("..")
	found := map[string]bool{}
	for name := range files {
		kind := strings.TrimSuffix(path.Base(name), ".schema.json")
		schema, err := jsonschema.NewCompiler().Compile(filepath.Join("..", filepath.FromSlash(name)))
		if err != nil {
			t.Fatal(err)
		}
		corpus, err := filepath.Glob(filepath.Join("testdata", kind, "*.yaml"))
		if err != nil || len(corpus) == 0 {
			t.Fatalf("corpus of %s files: %d files, %v", kind, len(corpus), err)
		}
		for _, file := range corpus {
			yamlText, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			err = judge(schema, yamlText)
			if good := strings.HasSuffix(file, ".good.yaml"); good && err != nil {
				t.Errorf("%s: %v", file, err)
			}
			found[filepath.ToSlash(file)] = err != nil
		}
	}
	for _, file := range []string{
		"testdata/server/site.bad.yaml", "testdata/server/server.bad.yaml", "testdata/server/list.bad.yaml",
		"testdata/gateway/gpio.bad.yaml", "testdata/gateway/replay.bad.yaml", "testdata/gateway/sources.bad.yaml",
	} {
		if !found[file] {
			t.Errorf("%s: the schema finds nothing wrong", file)
		}
	}
}

func judge(schema *jsonschema.Schema, text []byte) error {
	asJSON, err := yaml.YAMLToJSON(text)
	if err != nil {
		return err
	}
	var v any
	if err := json.Unmarshal(asJSON, &v); err != nil {
		return err
	}
	return schema.Validate(v)
}
