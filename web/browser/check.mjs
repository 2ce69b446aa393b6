// Shows the pages to a real browser and looks at what a person would look at.
// Started by TestBrowser with the addresses of the scenarios.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";
import { pages, shoot, visitor } from "./shots.mjs";

const { chromium: executablePath, urls, shots } = JSON.parse(process.argv[2]);
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const maxTransfer = 40_000; // bytes of the first view, compressed

const browser = await chromium.launch({
  executablePath,
  args: [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
  ],
});

const failures = [];
async function check(name, f) {
  try {
    await f();
  } catch (err) {
    failures.push(`${name}: ${err.message}`);
  }
}

/** guard records whatever a page does that it must not do. */
function guard(page, base) {
  const seen = { bad: [], bytes: 0 };
  page.on("console", (m) => {
    if (m.type() === "error" && !m.text().includes("WebSocket") && !m.text().includes("status of 4")) seen.bad.push(m.text());
  });
  page.on("pageerror", (e) => seen.bad.push(String(e)));
  page.on("request", (r) => {
    if (!r.url().startsWith(base) && !r.url().startsWith(base.replace("http", "ws"))) seen.bad.push(`third party: ${r.url()}`);
  });
  page.on("response", async (r) => {
    const size = await r.request().sizes().catch(() => undefined);
    if (size) seen.bytes += size.responseBodySize;
  });
  return seen;
}

const logIn = (context, base) => context.addCookies([{ name: "user", value: "ans", url: base }]);

async function accessible(page, name) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() =>
    window.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }),
  );
  const told = violations.map((v) => `${v.id}: ${v.help}\n${v.nodes.slice(0, 3).map((n) => `    ${n.html.slice(0, 140)} ${n.failureSummary?.replaceAll("\n", " ")}`).join("\n")}`);
  assert.equal(told.length, 0, `${name}:\n${told.join("\n")}`);
}

/** fits says that nothing is wider than the window. */
async function fits(page) {
  const [wide, room] = await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
  assert.ok(wide <= room, `page is ${wide} px wide in a window of ${room}`);
}

// Every page in every scenario: no findings, no foreign request, no error.
const looks = [
  { width: 360, dark: false, lang: "nl", scripts: true },
  { width: 360, dark: true, lang: "en", scripts: true },
  { width: 768, dark: false, lang: "en", scripts: false },
  { width: 1280, dark: false, lang: "nl", scripts: true },
  { width: 1280, dark: true, lang: "nl", scripts: false },
];
let turn = 0;
for (const [scenario, base] of Object.entries(urls)) {
  // The busy Saturday is looked at in every way, the others in one way each in
  // turn, or in all when pictures of everything are wanted.
  turn++;
  for (const look of scenario === "saturday" || shots === "all" ? looks : [looks[turn % looks.length]]) {
    const context = await visitor(browser, { ...look });
    // axe itself is a script: a page without scripts is checked with its script held back.
    const checker = look.scripts ? context : await visitor(browser, { ...look, scripts: true });
    if (!look.scripts) await checker.route("**/*.js", (route) => route.abort());
    for (const [name, path] of pages) {
      // What does not depend on the scenario is looked at once.
      if ((name === "login" || name === "planner") && scenario !== "saturday") continue;
      for (const c of new Set([context, checker])) await (name === "staff" ? logIn(c, base) : c.clearCookies());
      const title = `${scenario}-${name}-${look.width}${look.dark ? "-dark" : ""}-${look.lang}${look.scripts ? "" : "-noscript"}`;
      await check(title, async () => {
        const page = await context.newPage();
        const seen = guard(page, base);
        await page.goto(`${base}/${look.lang}${path}`, { waitUntil: "load" });
        if (shots) await shoot(page, title);
        await fits(page);
        const checked = look.scripts ? page : await checker.newPage();
        if (checked !== page) await checked.goto(page.url(), { waitUntil: "load" });
        await accessible(checked, title);
        assert.deepEqual(seen.bad, []);
        await page.close();
      });
    }
    await context.close();
    if (checker !== context) await checker.close();
  }
}

await browser.close();
if (failures.length > 0) {
  console.error(failures.join("\n\n"));
  process.exit(1);
}
console.log("all pages are fine");
