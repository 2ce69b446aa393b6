// The staff page: live numbers, the keypad for a recount, and the seconds that
// are left to undo.

import { Live, readStart } from "./live.js";
import { announcer, liveLine, setText, showView, siteOf, Swapper } from "./page.js";
import { type State, Words } from "./words.js";

function numbers(root: Element, s: State, words: Words): void {
  setText(root, "count", s.onSite ? words.number(Math.round(s.onSite.mid)) : "?");
  const low = Math.floor(s.onSite?.low ?? 0);
  const high = Math.ceil(s.onSite?.high ?? 0);
  setText(root, "between", s.onSite && low < high ? words.t("staff.interval", { Low: Math.max(0, low), High: high }) : "");
  if (s.queue || !s.onSite) setText(root, "queue", words.queue(s.queue, s.atLeast));
  for (const gate of s.gates ?? []) {
    for (const row of root.querySelectorAll(`[data-gate="${CSS.escape(gate.gate)}"]`)) {
      for (const name of ["inToday", "outToday", "inHour", "outHour"] as const) setText(row, name, words.number(gate[name]));
    }
  }
}

// What only the server puts in words: doubts, gateways, notices and closures.
// When these change, the page's parts are loaded again.
const signature = (s: State): string =>
  JSON.stringify([
    s.doubts?.map((d) => ({ ...d, part: undefined })), s.notice?.id, s.closure?.since,
    s.gates?.map((g) => [g.inToday > 0, g.outToday > 0]), // which rows there are
  ]);

function keypads(): void {
  for (const form of document.querySelectorAll("[data-keypad]:not([data-ready])")) {
    const input = form.querySelector<HTMLInputElement>("input[name=vehicles]");
    const keys = form.querySelector<HTMLElement>("[data-keys]");
    if (!input || !keys) continue;
    form.setAttribute("data-ready", "");
    keys.hidden = false;
    let fresh = true; // the first key replaces the believed number
    keys.addEventListener("click", (e) => {
      const key = (e.target as Element).closest("[data-key]")?.getAttribute("data-key");
      if (!key) return;
      if (key === "erase") input.value = input.value.slice(0, -1);
      else input.value = (fresh ? "" : input.value).concat(key).slice(0, 3);
      fresh = false;
    });
    input.addEventListener("input", () => {
      fresh = false;
    });
  }
}

function countdown(words: Words, swapper: Swapper): void {
  window.setInterval(() => {
    for (const el of document.querySelectorAll<HTMLElement>("[data-undo]")) {
      const left = Number(el.dataset.undo) - 1;
      el.dataset.undo = String(left);
      if (left > 0) el.textContent = words.n("staff.undotime", left);
      else swapper.later(0);
    }
  }, 1_000);
}

const start = readStart();
if (start) {
  const words = new Words(start.lang, start.words);
  const tell = announcer(words);
  const swapper = new Swapper(keypads);
  const seen = new Map<string, string>();
  const live: Live = new Live(start, {
    show(state, now) {
      const root = siteOf(state.id);
      if (!root) return;
      const view = words.view(state, now);
      showView(root, view, words, start.lang);
      if (state.gates || !state.onSite) numbers(root, state, words);
      tell(live.name(state.id), view);
      const before = seen.get(state.id);
      seen.set(state.id, signature(state));
      if (before !== undefined && before !== signature(state)) swapper.later();
    },
    forecast: () => swapper.later(),
    connected: (yes) => connected(yes),
  });
  const connected = liveLine(live, words);
  keypads();
  countdown(words, swapper);
  live.begin();
}
