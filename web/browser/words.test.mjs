// The script says of every state what the server says (testdata/states.json is
// written by TestStates).
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { build } from "esbuild";

const root = new URL("../", import.meta.url).pathname;
const { outputFiles } = await build({
  entryPoints: [`${root}ts/words.ts`], bundle: true, format: "esm", write: false, charset: "utf8",
});
const code = `data:text/javascript;base64,${Buffer.from(outputFiles[0].text).toString("base64")}`;
const { asOf, dashes, Words } = await import(code);
const { cases, words } = JSON.parse(readFileSync(`${root}testdata/states.json`, "utf8"));

for (const c of cases) {
  for (const [lang, want] of Object.entries(c.views)) {
    test(`${c.name} in ${lang}`, () => {
      const now = Date.parse(c.now);
      const view = new Words(lang, words[lang]).view(asOf(c.state, now), now);
      assert.deepEqual(view, want);
      assert.equal(dashes(view.lit), c.ring);
    });
  }
}

test("an old state turns unknown by itself", () => {
  const state = {
    id: "poort", level: "quiet", band: { min: 0, max: 5 }, onSite: { low: 1, mid: 2, high: 3 }, typicalLevel: "busy",
    measuredAt: "2026-05-09T09:00:00Z", staleAt: "2026-05-09T09:05:00Z", closesAt: "2026-05-09T15:00:00Z",
  };
  const at = (s) => asOf(state, Date.parse(s));
  assert.equal(at("2026-05-09T09:05:00Z").level, "quiet");
  assert.equal(at("2026-05-09T09:05:01Z").level, "unknown");
  assert.equal(at("2026-05-09T09:05:01Z").band, undefined);
  assert.equal(at("2026-05-09T15:00:00Z").level, "closed");
});

test("a closure ends by itself", () => {
  const state = {
    id: "poort", level: "closed", measuredAt: "2026-05-09T09:00:00Z", staleAt: "2026-05-09T09:05:00Z",
    closure: { since: "2026-05-08T09:00:00Z", until: "2026-05-09T06:30:00Z" },
  };
  assert.equal(asOf(state, Date.parse("2026-05-09T06:29:59Z")).level, "closed");
  const after = asOf(state, Date.parse("2026-05-09T06:30:00Z"));
  assert.equal(after.level, "unknown"); // until the server says more
  assert.equal(after.closure, undefined);
});

test("both clock changes keep civil time", () => {
  const w = new Words("nl", words.nl);
  assert.equal(w.opens(Date.parse("2026-03-29T06:30:00Z"), Date.parse("2026-03-28T22:30:00Z")), "Morgen open om 8:30.");
  assert.equal(w.opens(Date.parse("2026-10-26T07:30:00Z"), Date.parse("2026-10-25T00:30:00Z")), "Morgen open om 8:30.");
});
