// The pages, a browser to see them in, and pictures of them for people to look at.
import { mkdirSync } from "node:fs";
import { chromium } from "playwright-core";

const folder = new URL("shots/", import.meta.url);

export const pages = [
  ["overview", "/"],
  ["perron", "/perron/poort"],
  ["planner", "/planner?site=poort&day=2026-05-02&ahead=360"],
  ["planner-all", "/planner?day=2026-05-02"],
  ["login", "/staff/login"],
  ["staff", "/staff"],
];

export const launch = (executablePath) => chromium.launch({
  executablePath,
  args: [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
  ],
});

/** A context shows pages to one kind of visitor. */
export async function visitor(browser, { width = 360, dark = false, scripts = true, touch = width < 700 }) {
  const context = await browser.newContext({
    viewport: { width, height: width < 700 ? 740 : 900 },
    colorScheme: dark ? "dark" : "light",
    javaScriptEnabled: scripts,
    hasTouch: touch,
    reducedMotion: "reduce",
    locale: "nl-NL",
  });
  context.setDefaultTimeout(20_000);
  return context;
}

export async function shoot(page, name) {
  mkdirSync(folder, { recursive: true });
  await page.screenshot({ path: new URL(`${name}.png`, folder).pathname, fullPage: true });
}
