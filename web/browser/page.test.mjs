// Pages that hear of the same forecast load it at different moments.
import assert from "node:assert/strict";
import { test } from "node:test";
import { build } from "esbuild";

const root = new URL("../", import.meta.url).pathname;
const { outputFiles } = await build({
  entryPoints: [`${root}ts/page.ts`], bundle: true, format: "esm", write: false, charset: "utf8",
});
const code = `data:text/javascript;base64,${Buffer.from(outputFiles[0].text).toString("base64")}`;
const { sometime, Swapper } = await import(code);

test("those who ask are spread over the time that there is", () => {
  const pages = 2_000;
  const seconds = new Array(22).fill(0);
  for (let i = 0; i < pages; i++) {
    const at = sometime(20_000);
    assert.ok(at >= 1_000 && at < 21_000, `${at} ms`);
    seconds[Math.floor(at / 1_000)]++;
  }
  // 100 a second are expected, give or take 10.
  assert.ok(Math.max(...seconds) < 200, seconds.join(" "));
});

test("the earliest request is carried out, once", (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  let now = 0;
  let loads = 0;
  t.mock.method(performance, "now", () => now);
  globalThis.window = globalThis;
  globalThis.location = { href: "http://yard.example/" };
  globalThis.fetch = async () => {
    loads++;
    return { ok: false };
  };
  const pass = (ms) => {
    now += ms;
    t.mock.timers.tick(ms);
  };
  const swapper = new Swapper();
  swapper.later(15_000); // a forecast
  pass(2_000);
  swapper.later(1_500); // a level
  swapper.later(12_000); // the forecast of another perron
  pass(1_499);
  assert.equal(loads, 0);
  pass(1);
  assert.equal(loads, 1);
  pass(30_000);
  assert.equal(loads, 1);
  swapper.later();
  pass(1_000);
  assert.equal(loads, 2);
});
