// Pictures of the pages, for people to look at.
import { mkdirSync } from "node:fs";

const folder = new URL("shots/", import.meta.url);

export const pages = [
  ["overview", "/"],
  ["perron", "/perron/poort"],
  ["planner", "/planner?site=poort&day=2026-05-02&ahead=360"],
  ["planner-all", "/planner?day=2026-05-02"],
  ["login", "/staff/login"],
  ["staff", "/staff"],
];

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
