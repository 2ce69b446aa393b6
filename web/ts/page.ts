// Puts views into the page without moving anything else in it.

import type { Live } from "./live.js";
import { dashes, mainY, narrow, type State, type View, type Words } from "./words.js";

const field = (root: Element, name: string): Element | null => root.querySelector(`[data-field="${name}"]`);

/** setText writes only what changed, so that nothing else notices. */
export function setText(root: Element, name: string, text: string): void {
  const el = field(root, name);
  if (el && el.textContent !== text) el.textContent = text;
}

function setAttribute(el: Element | null, name: string, value: string): void {
  if (el && el.getAttribute(name) !== value) el.setAttribute(name, value);
}

/** showView puts a view into the part of the page that belongs to its site. */
export function showView(root: Element, v: View, words: Words, lang: string): void {
  setAttribute(root, "data-level", v.level);
  setAttribute(root, "data-typical", v.typical);
  setAttribute(field(root, "level-icon"), "href", `#i-${v.level}`);
  setText(root, "level", v.headline);
  setText(root, "trend", v.detail);
  setAttribute(field(root, "trend"), "lang", v.detailLang || lang);
  if (v.detailLang) setAttribute(field(root, "trend"), "dir", "auto");
  else field(root, "trend")?.removeAttribute("dir");
  const icon = v.typical ? `typical-${v.typical}` : v.trend;
  if (icon) setAttribute(field(root, "detail-icon"), "href", `#i-${icon}`);
  field(root, "detail-box")?.toggleAttribute("hidden", !icon);
  setText(root, "until", v.until);
  setText(root, "age", v.age);
  setText(root, "onsite", v.onSite);
  setText(root, "visits", v.visits);
  setText(root, "band", field(root, "band")?.closest("dd") ? v.wait : words.t("wait.label", { Band: v.wait }));
  setText(root, "board-top", v.boardTop);
  setText(root, "board-main", v.boardMain);
  setText(root, "board-sub", v.boardSub);
  setAttribute(field(root, "board-main"), "class", `pd-board__main ${narrow(v.boardMain)}`);
  setAttribute(field(root, "board-main"), "y", String(mainY(v)));
  setAttribute(field(root, "ring"), "stroke-dasharray", dashes(v.lit));
}

/** showNotice shows or takes away the message by staff. */
export function showNotice(root: Element, s: State, words: Words, now: number): void {
  const box = field(root, "notice");
  if (!box) return;
  box.toggleAttribute("hidden", !s.notice);
  if (!s.notice) return;
  const { text, lang } = words.local(s.notice.text);
  setText(root, "notice-text", text);
  setAttribute(field(root, "notice-text"), "lang", lang);
  setText(root, "notice-when", words.posted(s.notice.at, now));
}

/** siteOf finds the part of the page that belongs to a site. */
export const siteOf = (id: string): HTMLElement | null => document.querySelector(`[data-site="${CSS.escape(id)}"]`);

/** announcer tells a change of level to a screen reader, and nothing else. */
export function announcer(words: Words): (name: string, v: View) => void {
  const box = document.querySelector("[data-announce]");
  const last = new Map<string, string>();
  return (name, v) => {
    const before = last.get(name);
    last.set(name, v.level);
    if (box && before !== undefined && before !== v.level) {
      box.textContent = words.t("live.announce", { Name: name, Level: v.headline.replace(/\.$/, ""), Wait: v.wait });
    }
  };
}

/** liveLine shows whether the figures are live, with the button that pauses them. */
export function liveLine(live: Live, words: Words): (yes: boolean) => void {
  const line = document.querySelector<HTMLElement>("[data-live]");
  const button = line?.querySelector<HTMLButtonElement>('[data-action="pause"]');
  line?.removeAttribute("hidden");
  const say = (text: string): void => {
    if (line) setText(line, "live", text);
  };
  button?.addEventListener("click", () => {
    live.setPaused(!live.paused);
    button.textContent = words.t(live.paused ? "live.resume" : "live.pause");
    button.setAttribute("aria-pressed", String(live.paused));
    say(live.paused ? words.t("live.paused", { Time: words.clock(live.now()) }) : words.t("live.on"));
  });
  return (yes) => {
    if (!live.paused) say(words.t(yes ? "live.on" : "live.off"));
  };
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
