// usage: pulse.mjs CHROMIUM URL N
// Opens a perron's page, says "ready", and prints when each number of visits
// today appeared, until it has seen N.
import { launch } from "./chromium.mjs";

const [executable, url, count] = process.argv.slice(2);
const browser = await launch(executable);
try {
  const page = await browser.newPage({ viewport: { width: 360, height: 800 } });
  const live = page.waitForEvent("websocket");
  await page.goto(url, { waitUntil: "load" });
  const socket = await live;
  await socket.waitForEvent("framereceived"); // the snapshot
  await page.evaluate(() => {
    const node = document.querySelector('[data-field="visits"]');
    const visits = () => Number((node.textContent.match(/\d+/) ?? ["0"])[0]);
    window.seen = [];
    new MutationObserver(() => {
      window.seen.push({ at: performance.timeOrigin + performance.now(), visits: visits() });
    }).observe(node, { childList: true, characterData: true, subtree: true });
  });
  process.stdout.write("ready\n");
  await page.waitForFunction((n) => window.seen.at(-1)?.visits >= n, Number(count), { timeout: 60_000 });
  process.stdout.write(JSON.stringify(await page.evaluate(() => window.seen)));
} finally {
  await browser.close();
}
