package web

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"os"
	"os/exec"
	"testing"
	"time"
)

// chromium is where Debian puts it.
const chromium = "/usr/bin/chromium"

// TestBrowser shows every scenario to a real browser: browser/check.mjs looks
// at accessibility, weight, keyboard, live changes and security policy, and
// leaves pictures in browser/shots. With SHOTS=all it takes them of everything.
func TestBrowser(t *testing.T) {
	urls := make(map[string]string)
	for _, s := range scenarios() {
		srv := httptest.NewServer(newHandler(t, s, &fakeAuth{}))
		defer srv.Close()
		urls[s.name] = srv.URL
	}
	inBrowser(t, "browser/check.mjs", map[string]any{"urls": urls, "shots": os.Getenv("SHOTS")})
}

// inBrowser runs a script that drives chromium, and fails with what it says.
func inBrowser(t *testing.T, script string, args map[string]any) {
	t.Helper()
	if testing.Short() {
		t.Skip("browser test left out: -short")
	}
	need := func(path, how string) {
		if _, err := os.Stat(path); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatalf("%s is missing: %s", path, how)
			}
			t.Skipf("browser test left out: %s is missing, %s", path, how)
		}
	}
	need(chromium, "install chromium")
	need("node_modules/playwright-core", "run npm ci in web/")
	need("dist/site.js", "run npm run build in web/")

	args["chromium"] = chromium
	arg, err := json.Marshal(args)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", script, string(arg))
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatalf("%s: %v", script, err)
	}
}
