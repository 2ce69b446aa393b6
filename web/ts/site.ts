// The resident's pages: live states, the read-out of the chart, and the order
// by distance.

import { readOuts } from "./chart.js";
import { Live, readStart } from "./live.js";
import { announcer, liveLine, setText, showNotice, showView, siteOf, Swapper } from "./page.js";
import { Words } from "./words.js";

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

const start = readStart();
if (start) {
  const words = new Words(start.lang, start.words);
  const tell = announcer(words);
  const row = (Time: string, Kind: string, Wait: string): string => words.t("day.row", { Time, Kind, Wait });
  const swapper = new Swapper(() => readOuts(row));
  const live: Live = new Live(start, {
    show(state, now) {
      const root = siteOf(state.id);
      if (!root) return;
      const view = words.view(state, now);
      showView(root, view, words, start.lang);
      showNotice(root, state, words, now);
      tell(live.name(state.id), view);
      setText(document.body, "asof", words.t("overview.asof", { Time: words.clock(now) }));
    },
    forecast: () => swapper.later(),
    connected: (yes) => connected(yes),
  });
  const connected = liveLine(live, words);
  for (const state of start.states) tell(live.name(state.id), words.view(state, live.now()));
  readOuts(row);
  nearest(words);
  live.begin();
}
