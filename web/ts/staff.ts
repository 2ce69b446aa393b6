// The staff page: live numbers, the keypad for a recount, and the seconds that
// are left to undo.

import { Live, readStart } from "./live.js";
import { announcer, liveLine, setText, showAsOf, showStatement, siteOf, Swapper } from "./page.js";
import { ages, type Statement } from "./statement.js";

function figures(root: Element, staff: NonNullable<Statement["staff"]>): void {
  setText(root, "count", staff.count);
  setText(root, "between", staff.between ?? "");
  setText(root, "queue", staff.queue);
  for (const gate of staff.gates ?? []) {
    for (const row of root.querySelectorAll(`[data-gate="${CSS.escape(gate.gate)}"]`)) {
      for (const name of ["inToday", "outToday", "inHour", "outHour"] as const) setText(row, name, gate[name]);
    }
  }
}

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
      else input.value = (fresh ? "" : input.value).concat(key).slice(0, input.maxLength);
      fresh = false;
    });
    input.addEventListener("input", () => {
      fresh = false;
    });
  }
}

// countdown counts the seconds down in which an action can be undone.
function countdown(locale: string, swapper: Swapper): void {
  const seconds = new Intl.NumberFormat(locale, { style: "unit", unit: "second", unitDisplay: "long" });
  window.setInterval(() => {
    for (const el of document.querySelectorAll<HTMLElement>("[data-undo]")) {
      const left = Number(el.dataset.undo) - 1;
      el.dataset.undo = String(left);
      if (left > 0) el.textContent = seconds.format(left);
      else swapper.later(0);
    }
  }, 1_000);
}

const start = readStart();
if (start) {
  const age = ages(start.locale);
  const tell = announcer();
  const swapper = new Swapper(keypads);
  const seen = new Map(start.sites.map((s) => [s.id, s.staff?.parts]));
  const live: Live = new Live(start, {
    show(site, said, now) {
      const root = siteOf(site);
      if (!root) return;
      showStatement(root, said, said.measuredAt ? age(said.measuredAt, now) : "");
      if (said.staff) figures(root, said.staff);
      tell(site, said);
      // What only the page says: doubts, gateways, notices and closures.
      if (said.staff && seen.get(site) !== said.staff.parts) {
        seen.set(site, said.staff.parts);
        swapper.later();
      }
    },
    forecast: () => swapper.later(),
    asOf: showAsOf,
    connected: (yes) => connected(yes),
  });
  const connected = liveLine(live, start.labels);
  for (const { id, ...said } of start.sites) tell(id, said);
  keypads();
  countdown(start.locale, swapper);
  live.begin();
}
