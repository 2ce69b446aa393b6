package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/perrondrukte/perrondrukte/api/openapi"
	"github.com/perrondrukte/perrondrukte/perron"
)

func document(t testing.TB) *openapi3.T {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData(openapi.Document)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func TestDocumentIsValid(t *testing.T) {
	doc := document(t)
	if err := doc.Validate(context.Background()); err != nil {
		t.Error(err)
	}
	if doc.OpenAPI != "3.0.3" {
		t.Errorf("version %s", doc.OpenAPI)
	}
}

// What staff may say is limited in the document as it is in the server.
func TestDocumentSaysTheLimits(t *testing.T) {
	fields := document(t).Components.Schemas["ActionRequest"].Value.Properties
	text := fields["text"].Value
	if most := text.AdditionalProperties.Schema.Value.MaxLength; most == nil || *most != perron.MaxActionText {
		t.Errorf("a text may have %v characters, want %d", most, perron.MaxActionText)
	}
	for field, want := range map[string]string{
		"text":     fmt.Sprintf("at most %d characters", perron.MaxActionText),
		"vehicles": fmt.Sprintf("at most %d a bay of the yard and %d more", perron.RecountPerBay, perron.RecountSpare),
		"undoes":   fmt.Sprintf("within %.0f seconds", perron.UndoFor.Seconds()),
	} {
		if said := fields[field].Value.Description; !strings.Contains(said, want) {
			t.Errorf("%s: %q does not say %q", field, said, want)
		}
	}
}

// The generated server is that of the document, to the byte.
func TestGeneratedCodeIsFresh(t *testing.T) {
	out := filepath.Join(t.TempDir(), "openapi.gen.go")
	cmd := exec.Command("go", "tool", "-modfile=../../tools/go.mod", "oapi-codegen",
		"-config", "oapi-codegen.yaml", "-o", out, "openapi.json")
	cmd.Dir = "openapi"
	if msg, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, msg)
	}
	want, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("openapi/openapi.gen.go")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("openapi.gen.go is stale: run go generate ./api/openapi")
	}
}

// check validates an answer against the document.
func check(t testing.TB, doc *openapi3.T, method, pattern string, r reply) {
	t.Helper()
	item := doc.Paths.Find(pattern)
	if item == nil || item.GetOperation(method) == nil {
		t.Fatalf("the document has no %s %s", method, pattern)
	}
	resp := item.GetOperation(method).Responses.Status(r.status)
	if resp == nil {
		t.Fatalf("the document has no answer %d for %s %s", r.status, method, pattern)
	}
	mediaType, _, _ := strings.Cut(r.header.Get("Content-Type"), ";")
	content := resp.Value.Content.Get(mediaType)
	if content == nil {
		t.Fatalf("the document has no %s in the answer %d for %s %s", mediaType, r.status, method, pattern)
	}
	if !strings.HasSuffix(mediaType, "json") {
		return
	}
	var v any
	if err := json.Unmarshal([]byte(r.body), &v); err != nil {
		t.Fatalf("%s %s: %v", method, pattern, err)
	}
	if err := content.Schema.Value.VisitJSON(v); err != nil {
		t.Errorf("%s %s: %v\nin %s", method, pattern, err, r.body)
	}
}
