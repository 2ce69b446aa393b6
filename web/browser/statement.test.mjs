// What a page shows of what it was told: at once, when it has grown old, and at
// closing time. words/statement_test.go holds the server's side of it.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { build } from "esbuild";

const root = new URL("../", import.meta.url).pathname;
async function load(name) {
  const { outputFiles } = await build({ entryPoints: [`${root}ts/${name}.ts`], bundle: true, format: "esm", write: false, charset: "utf8" });
  return import(`data:text/javascript;base64,${Buffer.from(outputFiles[0].text).toString("base64")}`);
}
const { ages, statementAt } = await load("statement");
const { dashes, mainY, narrow } = await load("page");
const all = JSON.parse(readFileSync(`${root}../words/testdata/statement.json`, "utf8"));

for (const [lang, cases] of Object.entries(all)) {
  for (const { name, now, statement, fallback } of cases.filter((c) => c.fallback)) {
    test(`${name} in ${lang}, when nothing more is heard`, () => {
      const of = Date.parse(now);
      assert.equal(statementAt(statement, fallback, of, of), statement);
      for (const { at, statement: then } of fallback.then) {
        assert.equal(statementAt(statement, fallback, of, Date.parse(at)), then);
        assert.notEqual(statementAt(statement, fallback, of, Date.parse(at) - 1), then);
        // What was heard at that instant or later is newer than the fallback.
        assert.equal(statementAt({ level: "quiet" }, fallback, Date.parse(at), Date.parse(at)).level, "quiet");
      }
      if (fallback.stale) {
        const staleAt = Date.parse(statement.staleAt);
        assert.equal(statementAt(statement, fallback, of, staleAt), statement);
        assert.deepEqual(statementAt(statement, fallback, of, staleAt + 1), { ...fallback.stale, headline: statement.staleHeadline });
      }
      const last = statementAt(statement, fallback, of, of + 365 * 86_400_000);
      assert.equal(last.level, "unknown");
    });
  }
}

test("a state that does not grow old has no fallback", () => {
  const statement = { level: "closed", headline: "Gesloten.", wait: "Gesloten", board: { main: "dicht" } };
  assert.equal(statementAt(statement, {}, 0, Date.now()), statement);
  assert.equal(statementAt(statement, undefined, 0, Date.now()), statement);
});

// A page goes on counting where the server stopped, so both write alike: what is
// in a language's file is what Intl writes.
const locales = new URL("../words/locales/", `file://${root}`);
for (const file of readdirSync(locales)) {
  const tag = file.replace(".json", "");
  const words = JSON.parse(readFileSync(new URL(file, locales), "utf8"));
  const locale = words.language.numbering ? `${tag}-u-nu-${words.language.numbering}` : tag;
  const numbers = new Intl.NumberFormat(locale);
  const plural = new Intl.PluralRules(tag);
  const fill = (forms, n) => (forms[plural.select(n)] ?? forms.other).replace("{{.Count}}", numbers.format(n));
  test(`ages and seconds in ${tag} are those of Intl`, () => {
    const at = "2026-05-09T09:00:00Z";
    const seconds = new Intl.NumberFormat(locale, { style: "unit", unit: "second", unitDisplay: "long" });
    const age = ages(locale);
    assert.equal(age(at, Date.parse(at) + 59_000), words.age.now);
    for (const n of [1, 2, 5, 22]) {
      assert.equal(age(at, Date.parse(at) + n * 60_000), fill(words.age.minutes, n));
      assert.equal(seconds.format(n), fill(words.staff.seconds, n));
    }
  });
}

test("ages are whole minutes", () => {
  const at = "2026-05-09T09:00:00Z";
  const after = (seconds) => Date.parse(at) + seconds * 1_000;
  const nl = ages("nl");
  assert.equal(nl(at, after(59)), "nu");
  assert.equal(nl(at, after(60)), "1 min. geleden");
  assert.equal(nl(at, after(150)), "2 min. geleden");
  assert.equal(nl(at, after(-30)), "nu"); // a clock that is ahead
});

test("the board is drawn as the server draws it", () => {
  assert.equal(dashes(0), "0 60");
  assert.equal(dashes(1), "3.8 60");
  assert.equal(dashes(3), "3.8 1.2 3.8 1.2 3.8 60");
  assert.deepEqual([{ main: "16:45", top: "sluit om" }, { main: "5–10", sub: "min" }, { main: "dicht" }].map(mainY), [63, 55, 60]);
  assert.deepEqual(["< 5", "5–10", "10–15"].map(narrow), ["n3", "n4", "n5"]);
});
