// The resident's pages: live states, the read-out of the chart, and the order
// by distance.

import { readOuts } from "./chart.js";
import { Live, readStart } from "./live.js";
import { announcer, liveLine, showAsOf, showStatement, siteOf, sometime, Swapper } from "./page.js";
import { ages, type Statement } from "./statement.js";

function nearest(): void {
  const list = document.querySelector<HTMLElement>("[data-tiles]");
  const button = document.querySelector<HTMLButtonElement>('[data-action="nearest"]');
  if (!list || !button) return;
  const tiles = [...list.querySelectorAll<HTMLElement>("[data-lat]")];
  if (!("geolocation" in navigator) || tiles.length < 2) {
    button.hidden = true;
    return;
  }
  button.addEventListener("click", () => {
    // The location is used here and goes nowhere.
    navigator.geolocation.getCurrentPosition(
      ({ coords }) => {
        const far = (tile: HTMLElement): number => {
          const dy = Number(tile.dataset.lat) - coords.latitude;
          const dx = (Number(tile.dataset.lon) - coords.longitude) * Math.cos((coords.latitude * Math.PI) / 180);
          return Math.hypot(dx, dy);
        };
        list.append(...tiles.sort((a, b) => far(a) - far(b)));
      },
      () => {
        button.textContent = button.dataset.fail ?? "";
      },
      { timeout: 10_000, maximumAge: 300_000 },
    );
  });
}

// What only the server puts in words, the advice and the best moments, rests on
// the levels and closures. When these change, the page's parts are loaded again.
const signature = (s: Statement): string => JSON.stringify([s.level, s.until]);

// A forecast comes every minute and is no hurry; a new level is.
const forecastWithin = 20_000;
const levelWithin = 3_000;

const ranked: readonly string[] = ["quiet", "moderate", "busy", "very_busy"];

const start = readStart();
if (start) {
  const age = ages(start.locale);
  const tell = announcer();
  const swapper = new Swapper(readOuts);
  const seen = new Map(start.sites.map((s) => [s.id, signature(s)]));
  const live: Live = new Live(start, {
    show(site, said, now) {
      const root = siteOf(site);
      if (!root) return;
      showStatement(root, said, said.measuredAt ? age(said.measuredAt, now) : "");
      tell(site, said);
      if (seen.get(site) !== signature(said)) {
        // An advice must not outlive what it is about, also without a connection.
        if (!ranked.includes(said.level)) swapper.clear("advice");
        swapper.later(sometime(levelWithin));
      }
      seen.set(site, signature(said));
    },
    forecast: () => swapper.later(sometime(forecastWithin)),
    asOf: showAsOf,
    connected: (yes) => connected(yes),
  });
  const connected = liveLine(live, start.labels);
  for (const { id, ...said } of start.sites) tell(id, said);
  showAsOf(start.asOf);
  readOuts();
  nearest();
  live.begin();
}
