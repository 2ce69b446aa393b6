// Shows the pages to a real browser and looks at what a person would look at.
// Started by TestBrowser with the addresses of the scenarios.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { launch, pages, shoot, visitor } from "./shots.mjs";

const { chromium: executablePath, urls, shots } = JSON.parse(process.argv[2]);
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const maxTransfer = 40_000; // bytes of the first view, compressed

const browser = await launch(executablePath);

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
  const seen = { bad: [], bytes: 0, files: 0 };
  page.on("console", (m) => {
    if (m.type() === "error" && !m.text().includes("WebSocket") && !m.text().includes("status of 4")) seen.bad.push(m.text());
  });
  page.on("pageerror", (e) => seen.bad.push(String(e)));
  page.on("request", (r) => {
    if (!r.url().startsWith(base) && !r.url().startsWith(base.replace("http", "ws"))) seen.bad.push(`third party: ${r.url()}`);
  });
  page.on("response", async (r) => {
    const size = await r.request().sizes().catch(() => undefined);
    if (!size) return;
    seen.bytes += size.responseBodySize;
    seen.files++;
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

/** hides says that nothing is seen that is marked as hidden: a style may say otherwise by mistake. */
async function hides(page) {
  const seen = await page.evaluate(() => [...document.querySelectorAll("body [hidden]")]
    .filter((el) => el.getClientRects().length > 0).map((el) => el.outerHTML.slice(0, 140)));
  assert.deepEqual(seen, [], "hidden, and yet seen");
}

// Every page in every scenario: no findings, no foreign request, no error.
const looks = [
  { width: 320, dark: false, lang: "nl", scripts: true },
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
      if ((name === "login" || name.startsWith("planner")) && scenario !== "saturday") continue;
      for (const c of new Set([context, checker])) await (name === "staff" ? logIn(c, base) : c.clearCookies());
      const title = `${scenario}-${name}-${look.width}${look.dark ? "-dark" : ""}-${look.lang}${look.scripts ? "" : "-noscript"}`;
      await check(title, async () => {
        const page = await context.newPage();
        const seen = guard(page, base);
        await page.goto(`${base}/${look.lang}${path}`, { waitUntil: "load" });
        if (shots) await shoot(page, title);
        await fits(page);
        await hides(page);
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

// The first view weighs little, with everything that belongs to it.
for (const [name, path] of pages.slice(0, 3)) {
  await check(`weight of ${name}`, async () => {
    const context = await visitor(browser, {});
    const page = await context.newPage();
    const seen = guard(page, urls.saturday);
    await page.goto(urls.saturday + path, { waitUntil: "networkidle" });
    console.log(`first view of ${name}: ${seen.bytes} bytes in ${seen.files} files`);
    assert.ok(seen.bytes > 5_000 && seen.bytes <= maxTransfer, `${seen.bytes} bytes, at most ${maxTransfer} wanted`);
    await context.close();
  });
}

/** A live page whose websocket is in the test's hands. */
async function livePage(path, look = {}, base = urls.saturday) {
  const context = await visitor(browser, look);
  await logIn(context, base);
  const page = await context.newPage();
  const sockets = [];
  await page.routeWebSocket(/\/api\/v1\/live/, (ws) => {
    sockets.push(ws);
  });
  const seen = guard(page, base);
  await page.goto(base + path, { waitUntil: "load" });
  await page.waitForFunction(() => !document.querySelector("[data-live]")?.hidden);
  for (let i = 0; i < 100 && sockets.length === 0; i++) await page.waitForTimeout(20);
  const sites = JSON.parse(await page.locator("#start").textContent()).sites;
  let seq = 1;
  const send = (m, ws = sockets.at(-1)) => ws.send(JSON.stringify({ seq: seq++, at: "2026-05-09T09:20:10Z", ...m }));
  return { context, page, sockets, sites, send, seen };
}

const field = (page, site, name) => page.locator(`[data-site="${site}"] [data-field="${name}"]`).first();

await check("live changes", async () => {
  const { context, page, sockets, sites, send, seen } = await livePage("/nl/");
  assert.equal(sockets.length, 1);
  assert.equal(new URL(sockets[0].url()).pathname, "/api/v1/live");
  send({ type: "snapshot", run: "r1", sites });
  assert.equal(await field(page, "poort", "level").textContent(), "Zeer druk");
  const link = page.locator('[data-site="buiten"] a');
  await link.focus();
  const tall = () => page.evaluate(() => [...document.querySelectorAll("[data-site]")].map((el) => el.getBoundingClientRect().top));
  const before = await tall();
  const { fallback, ...poort } = sites[0];
  const quiet = {
    ...poort, level: "quiet", headline: "Rustig", detail: "Wordt drukker", trend: "rising", wait: "minder dan 5 min",
    board: { main: "< 5", sub: "min", lit: 1 }, aloud: "Poort: Rustig. minder dan 5 min",
  };
  send({ type: "statement", site: quiet });
  await page.waitForFunction(() => document.querySelector('[data-site="poort"]').dataset.level === "quiet");
  assert.equal(await field(page, "poort", "band").textContent(), "minder dan 5 min");
  assert.equal(await field(page, "poort", "board-main").textContent(), "< 5");
  assert.equal(await field(page, "poort", "ring").getAttribute("stroke-dasharray"), "3.8 60");
  assert.equal(await field(page, "poort", "trend").textContent(), "Wordt drukker");
  assert.deepEqual(await tall(), before, "the layout moved");
  assert.ok(await link.evaluate((el) => el === document.activeElement), "the focus was taken away");
  const told = page.locator("[data-announce]");
  assert.equal(await told.textContent(), "Poort: Rustig. minder dan 5 min");
  // A change that leaves the level alone is not told.
  send({ type: "statement", site: { ...quiet, trend: "falling", detail: "Wordt rustiger", aloud: undefined } });
  await page.waitForFunction(() => document.querySelector('[data-site="poort"] [data-field="trend"]').textContent === "Wordt rustiger");
  assert.equal(await told.textContent(), "Poort: Rustig. minder dan 5 min");
  // A notice appears.
  send({ type: "statement", site: { ...quiet, notice: { id: "1", when: "Geplaatst om 11:15", text: "Volg de borden." } } });
  await page.waitForFunction(() => document.querySelector('[data-site="poort"] [data-field="notice-text"]').textContent === "Volg de borden.");
  // A page that hears nothing goes on counting the minutes.
  assert.equal(await field(page, "poort", "age").textContent(), "1 min. geleden gemeten");
  send({ type: "heartbeat", at: "2026-05-09T09:23:20Z", asOf: "Stand van 11:23" });
  await page.waitForFunction(() => document.querySelector('[data-site="poort"] [data-field="age"]').textContent === "4 min. geleden gemeten", undefined, { timeout: 8000 });
  assert.equal(await page.locator('[data-field="asof"]').first().textContent(), "Stand van 11:23");
  // Old states turn unknown without any message, when the server's clock says so.
  send({ type: "heartbeat", at: "2026-05-09T10:20:00Z" });
  await page.waitForFunction(() => document.querySelector('[data-site="poort"]').dataset.level === "unknown", undefined, { timeout: 8000 });
  assert.match(await field(page, "poort", "level").textContent(), /^Geen actuele meting \(laatste om 11:18\)\.$/);
  assert.equal(await field(page, "poort", "trend").textContent(), "Meestal gemiddeld druk op dit moment.");
  // All that changed at that moment is read out, not only what was last.
  assert.match(await told.textContent(), /^Poort: Geen actuele meting\. .+ Buiten: Geen actuele meting\. .+ Haven: Geen actuele meting\. Meestal gemiddeld druk op dit moment\.$/);
  // The minute that the headline names comes by itself, and so does closing time.
  send({ type: "fresh", site: { id: "poort", measuredAt: "2026-05-09T09:19:50Z", staleAt: "2026-05-09T09:24:50Z", staleHeadline: "Geen actuele meting (laatste om 11:19)." }, at: "2026-05-09T09:20:00Z" });
  await page.waitForFunction(() => document.querySelector('[data-site="poort"]').dataset.level === "quiet");
  send({ type: "heartbeat", at: "2026-05-09T10:20:00Z" });
  await page.waitForFunction(() => document.querySelector('[data-site="poort"] [data-field="level"]').textContent.includes("11:19"), undefined, { timeout: 8000 });
  send({ type: "heartbeat", at: "2026-05-09T15:00:00Z" });
  await page.waitForFunction(() => document.querySelector('[data-site="poort"]').dataset.level === "closed", undefined, { timeout: 8000 });
  assert.equal(await field(page, "poort", "trend").textContent(), "Maandag open om 8:30.");
  assert.deepEqual(seen.bad, []);
  await context.close();
});

// What comes over the websocket is what the page has said already.
for (const [scenario, base] of Object.entries(urls)) {
  for (const path of ["/nl/", "/en/perron/poort", "/en/staff"]) {
    await check(`${scenario}: ${path} says the same again`, async () => {
      const { context, page, sites, send, seen } = await livePage(path, {}, base);
      const fields = () => page.evaluate(() => [...document.querySelectorAll("[data-site] [data-field]")]
        .map((el) => [el.dataset.field, el.textContent, el.hidden, el.getAttribute("href"), el.getAttribute("lang"), el.getAttribute("y"), el.getAttribute("class"), el.getAttribute("stroke-dasharray")]));
      const before = await fields();
      const { now } = JSON.parse(await page.locator("#start").textContent());
      send({ type: "snapshot", at: now, run: "r1", sites });
      await page.waitForTimeout(50);
      assert.ok(before.length > 10);
      assert.deepEqual(await fields(), before);
      assert.deepEqual(seen.bad, []);
      await context.close();
    });
  }
}

await check("a closure takes the advice away at once", async () => {
  const { context, page, sites, send } = await livePage("/nl/");
  send({ type: "snapshot", run: "r1", sites });
  assert.equal(await page.locator(".pd-advice").count(), 1);
  send({ type: "statement", site: { ...sites[1], level: "closed", headline: "Gesloten.", until: "sinds 11:20" } });
  await page.waitForFunction(() => !document.querySelector(".pd-advice"));
  // The server is asked for what holds now. Here it still knows of no closure.
  await page.waitForFunction(() => document.querySelector(".pd-advice"));
  await context.close();
});

await check("pause and reconnect", async () => {
  const { context, page, sockets, sites, send } = await livePage("/en/");
  send({ type: "snapshot", run: "r1", sites });
  await page.waitForFunction(() => document.querySelector('[data-field="live"]').textContent === "These figures update by themselves.");
  const pause = page.getByRole("button", { name: "Pause" });
  await pause.press("Enter");
  await page.waitForFunction(() => document.querySelector('[data-field="live"]').textContent === "Paused. The figures do not change.");
  assert.equal(await page.locator("[data-paused]").textContent(), "As of 11:20");
  assert.ok(await page.locator("[data-paused]").isVisible());
  // Figures stay, but do not look as if they were of now.
  const age = await field(page, "poort", "age").textContent();
  await page.evaluate(() => {
    const before = Date.now;
    Date.now = () => before() + 120_000;
  });
  await page.waitForFunction((was) => document.querySelector('[data-site="poort"] [data-field="age"]').textContent !== was, age, { timeout: 8000 });
  const button = page.getByRole("button", { name: "Continue" });
  assert.equal(await button.getAttribute("aria-pressed"), "true");
  await button.press("Enter");
  for (let i = 0; i < 100 && sockets.length < 2; i++) await page.waitForTimeout(50);
  const again = new URL(sockets.at(-1).url());
  assert.equal(again.searchParams.get("run"), "r1");
  assert.equal(again.searchParams.get("since"), "1");
  send({ type: "heartbeat" });
  await sockets.at(-1).close();
  await page.waitForFunction(() => document.querySelector('[data-field="live"]').textContent === "No connection. We are trying again.");
  for (let i = 0; i < 100 && sockets.length < 3; i++) await page.waitForTimeout(50);
  assert.ok(sockets.length >= 3, "did not connect again");
  await context.close();
});

await check("without a websocket", async () => {
  const context = await visitor(browser, {});
  const page = await context.newPage();
  await page.routeWebSocket(/\/api\/v1\/live/, (ws) => ws.close());
  await page.route("**/api/v1/sites?lang=nl", async (route) => {
    const [statement] = JSON.parse(await page.locator("#start").textContent()).sites;
    await route.fulfill({ json: { at: "2026-05-09T09:20:10Z", sites: [{ id: "poort", statement: { ...statement, level: "quiet", wait: "minder dan 5 min" } }] } });
  });
  const seen = guard(page, urls.saturday);
  await page.goto(`${urls.saturday}/nl/`, { waitUntil: "load" });
  await page.waitForFunction(() => document.querySelector('[data-site="poort"]').dataset.level === "quiet", undefined, { timeout: 8000 });
  assert.equal(await field(page, "poort", "band").textContent(), "minder dan 5 min");
  assert.deepEqual(seen.bad, []);
  await context.close();
});

await check("a pulse shows on the perron page", async () => {
  const { context, page, sites, send } = await livePage("/nl/perron/poort");
  send({ type: "snapshot", run: "r1", sites });
  send({ type: "fresh", site: { id: "poort", onSite: "ongeveer 27 voertuigen op het terrein", visits: "vandaag al 215 bezoeken", measuredAt: "2026-05-09T09:20:00Z", staleAt: "2026-05-09T09:25:00Z" } });
  await page.waitForFunction(() => document.querySelector('[data-field="onsite"]').textContent === "ongeveer 27 voertuigen op het terrein");
  assert.equal(await field(page, "poort", "visits").textContent(), "vandaag al 215 bezoeken");
  // The forecast is announced: the chart is loaded anew, without touching the slider that has the focus.
  const slider = page.getByRole("slider");
  await slider.focus();
  await page.keyboard.press("Home");
  const first = await page.locator('[data-field="readout"]').textContent();
  assert.match(first, /^8:30, gemeten minder dan 5 min$/);
  await page.keyboard.press("End");
  const last = await page.locator('[data-field="readout"]').textContent();
  assert.match(last, /^16:45, verwacht /);
  assert.equal(await slider.getAttribute("aria-valuetext"), last);
  await page.evaluate(() => { Math.random = () => 0; }); // the first of those who ask
  const again = page.waitForResponse((r) => r.url() === page.url());
  send({ type: "forecast", site: "poort", origin: "2026-05-09T09:20:00Z" });
  await (await again).finished();
  await page.waitForTimeout(200);
  assert.ok(await slider.evaluate((el) => el === document.activeElement), "the focus was taken away");
  await context.close();
});

await check("keyboard", async () => {
  const context = await visitor(browser, { width: 1280 });
  const page = await context.newPage();
  await page.goto(`${urls.saturday}/nl/`, { waitUntil: "load" });
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "Ga naar de inhoud");
  assert.ok(await page.evaluate(() => document.activeElement.getBoundingClientRect().top >= 0), "the skip link is not in sight");
  const reached = new Set();
  for (let i = 0; i < 20; i++) {
    await page.keyboard.press("Tab");
    const [name, outline] = await page.evaluate(() => {
      const el = document.activeElement;
      return [el.textContent.trim(), getComputedStyle(el).outlineStyle + getComputedStyle(el, "::after").outlineStyle];
    });
    reached.add(name);
    if (name && name.length < 60) assert.match(outline, /solid/, `${name} shows no focus`);
  }
  for (const name of ["Poort", "Buiten", "Haven", "Pauzeer", "Dichtstbij eerst"]) assert.ok(reached.has(name), `${name} is out of reach`);
  await page.goto(`${urls.saturday}/nl/planner`, { waitUntil: "load" });
  await page.locator("[data-heat] td[tabindex='0']").focus();
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("ArrowDown");
  assert.match(await page.locator("[data-heatread]").textContent(), /^Dinsdag 10:00–11:00: gemiddeld \d+ voertuigen$/);
  await context.close();
});

// Everything works without scripts: the day's table, the language, and the staff's forms.
await check("without scripts", async () => {
  const context = await visitor(browser, { scripts: false });
  const page = await context.newPage();
  const base = urls.tuesday;
  await page.goto(`${base}/`, { waitUntil: "load" });
  assert.equal(await page.locator('meta[http-equiv="refresh"]').getAttribute("content"), "60");
  await page.locator("nav a[lang=en]").click();
  assert.equal(await page.locator("h1").textContent(), "How busy is it now?");
  await page.locator(".pd-tile__link").first().click();
  await page.locator("summary").first().click();
  assert.ok(await page.locator("[data-rows] tbody tr").first().isVisible());

  await page.goto(`${base}/nl/staff`, { waitUntil: "load" });
  await page.locator("#name").fill("ans");
  await page.locator("#password").fill("fout");
  await page.locator("main button").click();
  assert.match(await page.locator("#wrong").textContent(), /klopt niet/);
  await page.locator("#password").fill("welkom");
  await page.locator("main button").click();
  assert.equal(await page.locator("h1").textContent(), "Medewerkers");
  const card = page.locator("#buiten");
  await card.locator("summary", { hasText: "Tel opnieuw" }).click();
  await card.locator("#n-buiten").fill("23");
  await card.getByRole("button", { name: "Bewaar telling" }).click();
  assert.match(await page.locator(".pd-undo").textContent(), /Buiten: opnieuw geteld, 23 voertuigen/);
  // The page goes back to the card, with the way to undo in sight above it.
  const [undo, name] = [await page.locator(".pd-undo").boundingBox(), await card.locator("h2").boundingBox()];
  assert.ok(undo.y >= 0 && undo.y + undo.height <= name.y && name.y < 740, `undo at ${undo.y}, card at ${name.y}`);
  await page.getByRole("button", { name: "Maak ongedaan" }).click();
  assert.match(await page.locator("[aria-labelledby=log] tbody").textContent(), /ongedaan gemaakt/);
  await card.locator("summary", { hasText: "Melding" }).click();
  await card.locator("#announce-buiten").selectOption("works");
  await card.getByRole("button", { name: "Plaats melding" }).click();
  assert.match(await page.locator(".pd-undo").textContent(), /Volg de borden/);
  await context.close();
});

await check("staff with scripts", async () => {
  const { context, page, sites, send } = await livePage("/nl/staff", { width: 768, touch: true });
  send({ type: "snapshot", run: "r1", sites: sites.map((s) => ({ ...s, staff: { ...s.staff, gates: [{ gate: "in", inToday: "1.215", outToday: "0", inHour: "32", outHour: "0" }] } })) });
  await page.waitForFunction(() => document.querySelector('[data-gate="in"] [data-field="inToday"]').textContent === "1.215");
  const card = page.locator("#poort");
  await card.locator("summary", { hasText: "Tel opnieuw" }).click();
  for (const key of ["4", "2", "7"]) await card.locator(`[data-key="${key}"]`).click();
  await card.locator('[data-key="erase"]').click();
  assert.equal(await card.locator("input[name=vehicles]").inputValue(), "42");
  await accessible(page, "keypad");
  if (shots) await shoot(page, "saturday-staff-keypad");
  // A doubt appears: the page's parts are loaded anew, but not the form that is open.
  send({ type: "statement", site: { ...sites[0], staff: { ...sites[0].staff, parts: "other" } } });
  await page.waitForTimeout(1_800);
  assert.equal(await card.locator("input[name=vehicles]").inputValue(), "42");
  await page.locator('#buiten [data-swap="actions-buiten"] summary').first().click();
  await page.locator('#buiten [data-key="7"]').click();
  assert.equal(await page.locator("#buiten input[name=vehicles]").inputValue(), "7");
  const small = await page.evaluate(() => [...document.querySelectorAll("main button, main summary, main input:not([type=hidden]), main select")]
    .filter((el) => el.offsetParent).map((el) => [el.textContent.trim(), el.getBoundingClientRect().height]).filter(([, h]) => h < 48));
  assert.deepEqual(small, [], "targets under 48 px");
  await context.close();
});

await browser.close();
if (failures.length > 0) {
  console.error(failures.join("\n\n"));
  process.exit(1);
}
console.log("all pages are fine");
