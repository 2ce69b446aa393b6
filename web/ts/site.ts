// The resident's pages: live states, the read-out of the chart, and the order
// by distance.

import { readOuts } from "./chart.js";
import { Live, readStart } from "./live.js";
import { announcer, liveLine, setText, showNotice, showView, siteOf, sometime, Swapper } from "./page.js";
import { isRanked, type State, Words } from "./words.js";

function nearest(words: Words): void {
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
        button.textContent = words.t("live.nearestfail");
      },
      { timeout: 10_000, maximumAge: 300_000 },
    );
  });
}

// What only the server puts in words, the advice and the best moments, rests on
// the levels and closures. When these change, the page's parts are loaded again.
const signature = (s: State): string => JSON.stringify([s.level, s.closure?.since]);

// A forecast comes every minute and is no hurry; a new level is.
const forecastWithin = 20_000;
const levelWithin = 3_000;

const start = readStart();
if (start) {
  const words = new Words(start.lang, start.words);
  const tell = announcer(words);
  const row = (Time: string, Kind: string, Wait: string): string => words.t("day.row", { Time, Kind, Wait });
  const swapper = new Swapper(() => readOuts(row));
  const seen = new Map(start.states.map((s) => [s.id, signature(s)]));
  const live: Live = new Live(start, {
    show(state, now) {
      const root = siteOf(state.id);
      if (!root) return;
      const view = words.view(state, now);
      showView(root, view, words, start.lang);
      showNotice(root, state, words, now);
      tell(live.name(state.id), view);
      if (seen.get(state.id) !== signature(state)) {
        // An advice must not outlive what it is about, also without a connection.
        if (!isRanked(state.level)) swapper.clear("advice");
        swapper.later(sometime(levelWithin));
      }
      seen.set(state.id, signature(state));
      setText(document.body, "asof", words.t("overview.asof", { Time: words.clock(now) }));
    },
    forecast: () => swapper.later(sometime(forecastWithin)),
    connected: (yes) => connected(yes),
  });
  const connected = liveLine(live, words);
  for (const state of start.states) tell(live.name(state.id), words.view(state, live.now()));
  readOuts(row);
  nearest(words);
  live.begin();
}
