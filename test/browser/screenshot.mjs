// usage: screenshot.mjs CHROMIUM URL WIDTH FILE
import { launch } from "./chromium.mjs";

const [executable, url, width, file] = process.argv.slice(2);
const browser = await launch(executable);
try {
  const page = await browser.newPage({ viewport: { width: Number(width), height: 800 } });
  const problems = [];
  page.on("console", (m) => m.type() === "error" && problems.push(m.text()));
  page.on("pageerror", (e) => problems.push(String(e)));
  const answer = await page.goto(url, { waitUntil: "load" });
  if (!answer.ok()) throw new Error(`${url}: ${answer.status()}`);
  await page.waitForTimeout(500); // the first websocket snapshot
  await page.screenshot({ path: file, fullPage: true });
  if (problems.length) throw new Error(`${url}: ${problems.join("; ")}`);
} finally {
  await browser.close();
}
