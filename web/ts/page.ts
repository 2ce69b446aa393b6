// Puts views into the page without moving anything else in it.

import type { Live, Start } from "./live.js";
import type { Board, Statement } from "./statement.js";

const field = (root: Element, name: string): Element | null => root.querySelector(`[data-field="${name}"]`);

/** setText writes only what changed, so that nothing else notices. */
export function setText(root: Element, name: string, text: string): void {
  const el = field(root, name);
  if (el && el.textContent !== text) el.textContent = text;
}

function setAttribute(el: Element | null, name: string, value: string): void {
  if (el && el.getAttribute(name) !== value) el.setAttribute(name, value);
}

/** showStatement puts what is said into the part of the page that belongs to its site. */
export function showStatement(root: Element, s: Statement, age: string): void {
  setAttribute(root, "data-level", s.level);
  setAttribute(root, "data-typical", s.typical ?? "");
  setAttribute(field(root, "level-icon"), "href", `#i-${s.level}`);
  setText(root, "level", s.headline);
  setText(root, "trend", s.detail ?? "");
  setLang(field(root, "trend"), s.detailLang);
  if (s.detailLang) setAttribute(field(root, "trend"), "dir", "auto");
  else field(root, "trend")?.removeAttribute("dir");
  const icon = s.typical ? `typical-${s.typical}` : s.trend;
  if (icon) setAttribute(field(root, "detail-icon"), "href", `#i-${icon}`);
  field(root, "detail-box")?.toggleAttribute("hidden", !icon);
  setText(root, "until", s.until ?? "");
  showAge(root, s, age);
  setText(root, "onsite", s.onSite ?? "");
  setText(root, "visits", s.visits ?? "");
  setText(root, "band", s.wait);
  showBoard(root, s.board);
  showNotice(root, s);
}

// A text of staff in another language says so; all others are the page's.
function setLang(el: Element | null, lang: string | undefined): void {
  if (lang) setAttribute(el, "lang", lang);
  else el?.removeAttribute("lang");
}

function showAge(root: Element, s: Statement, age: string): void {
  const box = field(root, "age");
  const time = box?.querySelector("time");
  if (!box || !time) return;
  box.toggleAttribute("hidden", !s.measuredAt);
  if (!s.measuredAt) return;
  setAttribute(time, "datetime", s.measuredAt);
  if (time.textContent !== age) time.textContent = age;
}

function showBoard(root: Element, b: Board): void {
  setText(root, "board-top", b.top ?? "");
  setText(root, "board-main", b.main);
  setText(root, "board-sub", b.sub ?? "");
  setAttribute(field(root, "board-main"), "class", `pd-board__main pd-${narrow(b.main)}`);
  setAttribute(field(root, "board-main"), "y", String(mainY(b)));
  setAttribute(field(root, "ring"), "stroke-dasharray", dashes(b.lit ?? 0));
}

/** dashes lights segments of the board's ring, as statementView.Dashes does. */
export function dashes(lit: number): string {
  return lit === 0 ? "0 60" : `${"3.8 1.2 ".repeat(lit - 1)}3.8 60`;
}

/** mainY is where the middle of the board's number stands, as statementView.MainY says. */
export function mainY(b: Board): number {
  if (b.top) return 63;
  return b.sub ? 55 : 60;
}

/** narrow sizes the board's number, as statementView.Narrow does. */
export function narrow(main: string): string {
  const n = [...main].length;
  return n <= 3 ? "n3" : n <= 4 ? "n4" : "n5";
}

/** showNotice shows or takes away the message by staff. */
function showNotice(root: Element, s: Statement): void {
  const box = field(root, "notice");
  if (!box) return;
  box.toggleAttribute("hidden", !s.notice);
  if (!s.notice) return;
  setText(root, "notice-text", s.notice.text);
  setLang(field(root, "notice-text"), s.notice.lang);
  setText(root, "notice-when", s.notice.when);
}

/** siteOf finds the part of the page that belongs to a site. */
export const siteOf = (id: string): HTMLElement | null => document.querySelector(`[data-site="${CSS.escape(id)}"]`);

/**
 * announcer tells changes of level to a screen reader, and nothing else. Those
 * of one moment, like closing time, are told together: the next text in a live
 * region takes the place of one that was not read yet.
 */
export function announcer(): (site: string, s: Statement) => void {
  const box = document.querySelector("[data-announce]");
  const last = new Map<string, string>();
  const aloud: string[] = [];
  return (site, s) => {
    const before = last.get(site);
    last.set(site, s.level);
    if (!box || before === undefined || before === s.level || !s.aloud) return;
    if (aloud.push(s.aloud) === 1) {
      queueMicrotask(() => {
        box.textContent = aloud.splice(0).join(" ");
      });
    }
  };
}

/** liveLine shows whether the figures are live, with the button that pauses them. */
export function liveLine(live: Live, labels: Start["labels"]): (yes: boolean) => void {
  const line = document.querySelector<HTMLElement>("[data-live]");
  const button = line?.querySelector<HTMLButtonElement>('[data-action="pause"]');
  line?.removeAttribute("hidden");
  const say = (text: string): void => {
    if (line) setText(line, "live", text);
  };
  button?.addEventListener("click", () => {
    live.setPaused(!live.paused);
    button.textContent = live.paused ? labels.resume : labels.pause;
    button.setAttribute("aria-pressed", String(live.paused));
    line?.querySelector("[data-paused]")?.toggleAttribute("hidden", !live.paused);
    say(live.paused ? labels.paused : labels.on);
  });
  return (yes) => {
    if (!live.paused) say(yes ? labels.on : labels.off);
  };
}

/** showAsOf says of what time of day the figures are. */
export function showAsOf(text: string): void {
  for (const el of document.querySelectorAll('[data-field="asof"]')) {
    if (el.textContent !== text) el.textContent = text;
  }
}

/**
 * sometime is a moment within so many milliseconds after the first second, so
 * that not all pages that hear of something ask the server in the same second.
 */
export const sometime = (within: number): number => 1_000 + Math.random() * within;

/**
 * A swapper loads the page again in the background and puts the parts marked
 * data-swap in the place of the old ones. A part that has the focus, or a form
 * that is open, waits; other disclosures stay as they are.
 */
export class Swapper {
  private timer: number | undefined;
  private due = 0;
  private readonly shown = new WeakMap<Element, string>();

  constructor(private readonly after: () => void = () => undefined) {}

  /** later asks for a swap; of many requests the earliest is carried out. */
  later(wait = 1_000): void {
    const due = performance.now() + wait;
    if (this.timer !== undefined) {
      if (due >= this.due) return;
      window.clearTimeout(this.timer);
    }
    this.due = due;
    this.timer = window.setTimeout(() => {
      this.timer = undefined;
      void this.swap();
    }, wait);
  }

  /** clear empties a part until the page has been loaded again. */
  clear(name: string): void {
    const part = document.querySelector(`[data-swap="${CSS.escape(name)}"]`);
    part?.replaceChildren();
    if (part) this.shown.set(part, "");
  }

  private async swap(): Promise<void> {
    let fresh: Document;
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
      if (!answer.ok || answer.redirected) return;
      fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    } catch {
      return; // away for a moment; the next message asks again
    }
    for (const old of document.querySelectorAll("[data-swap]")) {
      const part = fresh.querySelector(`[data-swap="${CSS.escape(old.getAttribute("data-swap") ?? "")}"]`);
      if (!part || part.innerHTML === this.shown.get(old)) continue;
      if (old.contains(document.activeElement)) {
        old.addEventListener("focusout", () => this.later(), { once: true });
        continue;
      }
      if (old.querySelector("details[open] form")) continue;
      const open = [...old.querySelectorAll("details")].map((d) => d.open);
      this.shown.set(old, part.innerHTML);
      old.replaceChildren(...part.childNodes);
      old.querySelectorAll("details").forEach((d, i) => {
        d.open = open[i] ?? false;
      });
    }
    this.after();
  }
}
