package perrondrukte_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
)

var (
	linkPattern    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	headingPattern = regexp.MustCompile(`(?m)^#{1,6} (.+)$`)
	codePattern    = regexp.MustCompile("(?s)```.*?```")
	anchorDrop     = regexp.MustCompile(`[^\p{L}\p{N}_ -]`)
)

// Links between documents lead somewhere.
func TestDocumentLinks(t *testing.T) {
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && slices.Contains([]string{".git", "node_modules", "bin", "dist"}, d.Name()) {
			return fs.SkipDir
		}
		if d.IsDir() || filepath.Ext(path) != ".md" {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range linkPattern.FindAllStringSubmatch(codePattern.ReplaceAllString(string(text), ""), -1) {
			if strings.Contains(m[1], "://") || strings.HasPrefix(m[1], "mailto:") {
				continue
			}
			file, anchor, _ := strings.Cut(m[1], "#")
			target := path
			if file != "" {
				target = filepath.Join(filepath.Dir(path), filepath.FromSlash(file))
			}
			there, err := os.ReadFile(target)
			if info, statErr := os.Stat(target); statErr == nil && info.IsDir() {
				continue
			}
			if err != nil {
				t.Errorf("%s links to %s, which is not there", path, m[1])
				continue
			}
			if anchor != "" && !slices.Contains(anchors(string(there)), anchor) {
				t.Errorf("%s links to %s, which has no such heading", path, m[1])
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// anchors are the names of headings as code forges make them.
func anchors(markdown string) []string {
	var out []string
	for _, m := range headingPattern.FindAllStringSubmatch(codePattern.ReplaceAllString(markdown, ""), -1) {
		a := anchorDrop.ReplaceAllString(strings.ToLower(m[1]), "")
		out = append(out, strings.ReplaceAll(a, " ", "-"))
	}
	return out
}

// What the publiccode.yml standard demands of a file like ours.
func TestPublicCode(t *testing.T) {
	text, err := os.ReadFile("publiccode.yml")
	if err != nil {
		t.Fatal(err)
	}
	var p struct {
		Version     string `yaml:"publiccodeYmlVersion"`
		Name        string
		URL         string `yaml:"url"`
		Platforms   []string
		Categories  []string
		Status      string `yaml:"developmentStatus"`
		Type        string `yaml:"softwareType"`
		Description map[string]struct {
			Short    string `yaml:"shortDescription"`
			Long     string `yaml:"longDescription"`
			Features []string
		}
		Legal       struct{ License string }
		Maintenance struct {
			Type     string
			Contacts []struct{ Name string }
		}
		Localisation struct {
			Ready     *bool    `yaml:"localisationReady"`
			Languages []string `yaml:"availableLanguages"`
		}
	}
	if err := yaml.Unmarshal(text, &p); err != nil {
		t.Fatal(err)
	}
	for field, ok := range map[string]bool{
		"publiccodeYmlVersion":            p.Version == "0.4",
		"name":                            p.Name != "",
		"url":                             strings.HasPrefix(p.URL, "https://") && strings.HasSuffix(p.URL, ".git"),
		"platforms":                       len(p.Platforms) > 0,
		"categories":                      len(p.Categories) > 0,
		"developmentStatus":               slices.Contains([]string{"concept", "development", "beta", "stable", "obsolete"}, p.Status),
		"softwareType":                    p.Type == "standalone/web",
		"description":                     len(p.Description) > 0,
		"legal.license":                   p.Legal.License == "EUPL-1.2",
		"maintenance":                     p.Maintenance.Type == "community" && len(p.Maintenance.Contacts) > 0 && p.Maintenance.Contacts[0].Name != "",
		"localisation.localisationReady":  p.Localisation.Ready != nil,
		"localisation.availableLanguages": len(p.Localisation.Languages) > 0,
	} {
		if !ok {
			t.Errorf("%s is missing or wrong", field)
		}
	}
	for lang, d := range p.Description {
		if n := utf8.RuneCountInString(d.Short); n == 0 || n > 150 {
			t.Errorf("%s: shortDescription has %d characters: want 1 to 150", lang, n)
		}
		if n := utf8.RuneCountInString(d.Long); n < 150 || n > 10_000 {
			t.Errorf("%s: longDescription has %d characters: want 150 to 10000", lang, n)
		}
		if len(d.Features) == 0 {
			t.Errorf("%s: no features", lang)
		}
	}
	licence, err := os.ReadFile("LICENSE")
	if err != nil || !strings.HasPrefix(string(licence), "EUROPEAN UNION PUBLIC LICENCE v. 1.2\n") {
		t.Errorf("LICENSE does not begin with the name of the licence: %v", err)
	}
}
