// Shows every page from right to left, in a made-up language, and looks at what
// goes wrong when a page is mirrored: what sticks out, what lies over something
// else, figures out of order, and keys that go the other way than what is seen.
// Started by TestBrowserRightToLeft with the addresses of the scenarios.
import assert from "node:assert/strict";
import { launch, pages, shoot, visitor } from "./shots.mjs";

const { chromium, urls, shots } = JSON.parse(process.argv[2]);
const browser = await launch(chromium);
const language = "/ar"; // the made-up one

const failures = [];
async function check(name, f) {
  try {
    await f();
  } catch (err) {
    failures.push(`${name}: ${err.message}`);
  }
}

async function open(base, path, look) {
  const context = await visitor(browser, look);
  if (!path.endsWith("/login")) await context.addCookies([{ name: "user", value: "ans", url: base }]);
  const page = await context.newPage();
  await page.routeWebSocket(/\/api\/v1\/live/, () => undefined);
  await page.goto(base + language + path, { waitUntil: "load" });
  return { context, page };
}

/** overlaps are the pairs of texts, or of a board and a text, that lie over each other. */
const overlaps = () => {
  const boxes = [];
  const add = (el, box, what) => {
    if (box.width > 1 && box.height > 1) boxes.push({ el, what, left: box.left, right: box.right, top: box.top, bottom: box.bottom });
  };
  const shown = (el) => el.checkVisibility({ visibilityProperty: true }) && !el.closest(".pd-hidden, [data-swap='undo']");
  for (const disc of document.querySelectorAll(".pd-board__disc, .pd-icon")) if (shown(disc)) add(disc, disc.getBoundingClientRect(), disc.getAttribute("class"));
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const el = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !shown(el) || el.closest("script, option, .pd-board")) continue;
    const range = document.createRange();
    range.selectNodeContents(walker.currentNode);
    for (const box of range.getClientRects()) {
      // A line is higher than its letters; only these may not touch.
      const slack = box.height * 0.25;
      add(el, { left: box.left, right: box.right, top: box.top + slack, bottom: box.bottom - slack, width: box.width, height: box.height }, walker.currentNode.data.trim());
    }
  }
  const found = [];
  boxes.forEach((a, i) => {
    for (const b of boxes.slice(i + 1)) {
      if (a.el === b.el || a.el.contains(b.el) || b.el.contains(a.el)) continue;
      if (Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1 && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 1) found.push(`"${a.what}" and "${b.what}"`);
    }
  });
  return found;
};

// A page is loaded once and then shown at every width, light and dark by turns.
const widths = [320, 390, 768, 1280];
for (const [run, scenarios] of Object.entries(urls)) {
  for (const [scenario, base] of Object.entries(scenarios)) {
    // Only charts differ where time runs the other way.
    if (run === "rtl" && scenario !== "saturday" && scenario !== "late") continue;
    for (const [name, path] of [...pages, ["missing", "/nowhere"]]) {
      if ((["login", "missing"].includes(name) || name.startsWith("planner")) && scenario !== "saturday") continue;
      const { context, page } = await open(base, path, { width: widths[0] });
      for (const [i, width] of widths.entries()) {
        const dark = i % 2 === 1;
        const title = `rtl-${run}-${scenario}-${name}-${width}${dark ? "-dark" : ""}`;
        await check(title, async () => {
          await page.setViewportSize({ width, height: 900 });
          await page.emulateMedia({ colorScheme: dark ? "dark" : "light" });
          assert.equal(await page.evaluate(() => getComputedStyle(document.body).direction), "rtl");
          if (shots) await shoot(page, title);
          const [wide, room] = await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
          assert.ok(wide <= room, `page is ${wide} px wide in a window of ${room}`);
          assert.deepEqual(await page.evaluate(overlaps), [], "lie over each other");
        });
      }
      await context.close();
    }
  }
}

/** order is where the parts of a text stand from left to right. */
const order = (locator, parts) => locator.evaluate((el, wanted) => {
  const text = el.textContent;
  const places = wanted.map((part) => {
    const at = text.indexOf(part);
    const node = [...el.childNodes].find((n) => n.nodeType === Node.TEXT_NODE) ?? el.firstChild;
    if (at < 0) throw new Error(`"${text}" has no "${part}"`);
    const range = document.createRange();
    range.setStart(node, at);
    range.setEnd(node, at + part.length);
    return [part, range.getBoundingClientRect().left];
  });
  return places.sort((a, b) => a[1] - b[1]).map(([part]) => part);
}, parts);

await check("figures keep their order", async () => {
  const { context, page } = await open(urls.ltr.tuesday, "/perron/poort", { width: 390 });
  assert.deepEqual(await order(page.locator(".pd-hours td").first(), ["8:30", "–", "17:00"]), ["8:30", "–", "17:00"]);
  await context.close();
  const other = await open(urls.rtl.tuesday, "/perron/poort", { width: 390 });
  assert.deepEqual(await order(other.page.locator(".pd-hours td").first(), ["8:30", "–", "17:00"]), ["17:00", "–", "8:30"]);
  await other.context.close();
  const planner = await open(urls.ltr.saturday, "/planner?site=poort", { width: 768 });
  const cell = planner.page.locator("[data-heat=waits] td", { hasText: "< 5" }).first();
  assert.deepEqual(await order(cell, ["<", "5"]), ["<", "5"]);
  await planner.context.close();
});

/** picked is where the mark of the read-out stands, from 0 at the left to 1. */
const picked = (page) => page.evaluate(() => {
  const box = document.querySelector(".pd-chart__area").getBoundingClientRect();
  const pick = document.querySelector(".pd-pick").getBoundingClientRect();
  return (pick.left + pick.width / 2 - box.left) / box.width;
});

for (const run of ["ltr", "rtl"]) {
  await check(`read-out with time ${run}`, async () => {
    const { context, page } = await open(urls[run].saturday, "/perron/poort", { width: 768 });
    const out = page.locator('[data-field="readout"]');
    const slider = page.getByRole("slider");
    await slider.focus();
    await page.keyboard.press("Home");
    assert.match(await out.textContent(), /^8:30/);
    const first = await picked(page);
    assert.ok(run === "ltr" ? first < 0.1 : first > 0.9, `the first quarter is picked at ${first}`);
    // An arrow key moves the mark the way that it points.
    await page.keyboard.press(run === "ltr" ? "ArrowRight" : "ArrowLeft");
    assert.match(await out.textContent(), /^8:45/);
    const second = await picked(page);
    assert.ok(run === "ltr" ? second > first : second < first, `from ${first} to ${second}`);
    // The pointer picks what is under it.
    const box = await page.locator(".pd-chart--day").boundingBox();
    await page.mouse.move(box.x + box.width * 0.995, box.y + box.height / 2);
    assert.match(await out.textContent(), run === "ltr" ? /^16:45/ : /^8:30/);
    const [axisFrom, axisTo] = await page.evaluate(() => [...document.querySelectorAll(".pd-weekday__axis")[0].children].map((el) => el.getBoundingClientRect().left));
    assert.ok(run === "ltr" ? axisFrom < axisTo : axisFrom > axisTo, "the hours under the week run the other way than its bars");
    await context.close();
  });
}

await check("keys in the heatmap", async () => {
  const { context, page } = await open(urls.ltr.saturday, "/planner?site=poort", { width: 768 });
  await page.locator("[data-heat=counts] td[tabindex='0']").focus();
  const left = () => page.evaluate(() => document.activeElement.getBoundingClientRect().left);
  const before = await left();
  await page.keyboard.press("ArrowLeft");
  assert.ok((await left()) < before, "the left key did not go to the left");
  await page.keyboard.press("ArrowRight");
  assert.equal(await left(), before);
  await context.close();
});

/** inks draws every icon of the page by itself and says how its ink lies, cell by cell. */
const inks = async (page, easel) => {
  const names = await page.evaluate(() => [...document.querySelectorAll("symbol")].map((el) => el.id));
  await page.evaluate((all) => {
    document.getElementById("icons")?.remove();
    document.body.innerHTML += `<div id="icons" style="position:fixed;inset:0;background:#fff;color:#000;z-index:9">${all
      .map((id) => `<svg id="of-${id}" width="52" height="40" style="display:block"><use href="#${id}"/></svg>`).join("")}</div>`;
  }, names);
  const out = {};
  for (const id of names) {
    const png = (await page.locator(`#of-${id}`).screenshot()).toString("base64");
    out[id] = await easel.evaluate(async (data) => {
      const image = await createImageBitmap(await (await fetch(`data:image/png;base64,${data}`)).blob());
      const canvas = new OffscreenCanvas(image.width, image.height).getContext("2d");
      canvas.drawImage(image, 0, 0);
      const { data: pixels } = canvas.getImageData(0, 0, image.width, image.height);
      return Array.from({ length: image.height }, (_, y) => Array.from({ length: image.width }, (_, x) => 255 - pixels[4 * (y * image.width + x)]));
    }, png);
  }
  return out;
};

/** apart is how much of the ink of two icons does not lie on each other, 0 to 1. */
const apart = (a, b) => {
  let off = 0;
  let all = 0;
  a.forEach((row, y) => row.forEach((ink, x) => {
    off += Math.abs(ink - b[y][x]);
    all += ink + b[y][x];
  }));
  return off / all;
};

await check("what points turns, what tells the time does not", async () => {
  const { context, page } = await open(urls.ltr.saturday, "/", { width: 390 });
  const [go, name] = await page.evaluate(() => [".pd-tile__go", ".pd-tile__link"].map((s) => document.querySelector(s).getBoundingClientRect().left));
  assert.ok(go < name, "the chevron stands before the name");
  const easel = await browser.newPage(); // our pages' policy lets no script load a picture
  const turned = await inks(page, easel);
  await page.evaluate(() => document.documentElement.setAttribute("dir", "ltr"));
  const plain = await inks(page, easel);
  await context.close();
  const other = await open(urls.rtl.saturday, "/", { width: 390 });
  const timeTurned = await inks(other.page, easel);
  await other.context.close();
  await easel.close();
  const flip = (icon) => icon.map((row) => row.toReversed());
  const turns = /^i-(quiet|moderate|busy|very_busy|typical-.*|chevron)$/;
  const runs = /^i-(rising|steady|falling)$/;
  for (const [id, icon] of Object.entries(plain)) {
    assert.ok(apart(turned[id], turns.test(id) ? flip(icon) : icon) < 0.1, `${id} stands wrong from right to left`);
    assert.ok(apart(timeTurned[id], turns.test(id) || runs.test(id) ? flip(icon) : icon) < 0.1, `${id} stands wrong where time runs from right to left`);
  }
});

await check("keypad", async () => {
  const { context, page } = await open(urls.ltr.saturday, "/staff", { width: 390 });
  await page.locator("#poort summary").first().click();
  const [one, two, three] = await Promise.all(["1", "2", "3"].map((key) => page.locator(`#poort [data-key="${key}"]`).boundingBox()));
  assert.ok(one.x < two.x && two.x < three.x && one.y === three.y, "the keys are not in the order of a telephone");
  if (shots) await shoot(page, "rtl-keypad-390");
  await context.close();
});

await browser.close();
if (failures.length > 0) {
  console.error(failures.join("\n\n"));
  process.exit(1);
}
console.log("all pages are fine from right to left");
