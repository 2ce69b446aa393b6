// What the pages say about a state, in the words of the locale files. It says
// the same as state.go and words.go do on the server; testdata/states.json
// holds both to it.

export type Level = "quiet" | "moderate" | "busy" | "very_busy" | "closed" | "late" | "unknown";

export interface Interval {
  low: number;
  mid: number;
  high: number;
}

/** A site's state as the API sends it; times are RFC 3339. */
export interface State {
  id: string;
  name?: string;
  level: Level;
  band?: { min: number; max: number };
  atLeast?: boolean;
  wait?: Interval;
  onSite?: Interval;
  visits?: number;
  queue?: Interval;
  trend?: string;
  measuredAt?: string;
  staleAt?: string;
  closesAt?: string;
  opensAt?: string;
  typicalLevel?: Level;
  closure?: { since: string; until?: string; reason?: Record<string, string> };
  notice?: { id: string; at: string; text: Record<string, string> };
  gates?: { gate: string; inToday: number; outToday: number; inHour: number; outHour: number }[];
  doubts?: object[];
  gateways?: unknown[];
}

/** The live part of a tile or perron page. */
export interface View {
  level: Level;
  typical: string;
  trend: string;
  headline: string;
  detail: string;
  detailLang: string;
  until: string;
  age: string;
  onSite: string;
  visits: string;
  wait: string;
  boardTop: string;
  boardMain: string;
  boardSub: string;
  lit: number;
}

type Message = string | Record<string, string>;
type Values = Record<string, string | number>;

const zone = "Europe/Amsterdam";
const parts = new Intl.DateTimeFormat("en-GB", {
  timeZone: zone,
  hourCycle: "h23",
  year: "numeric",
  month: "numeric",
  day: "numeric",
  hour: "numeric",
  minute: "2-digit",
});

interface Civil {
  day: number; // days since 1970 of the civil date
  date: number;
  month: number;
  weekday: number;
  clock: string;
}

function civil(ms: number): Civil {
  const p: Record<string, string> = {};
  for (const { type, value } of parts.formatToParts(ms)) p[type] = value;
  const utc = Date.UTC(Number(p.year), Number(p.month) - 1, Number(p.day));
  return {
    day: utc / 86_400_000,
    date: Number(p.day),
    month: Number(p.month),
    weekday: new Date(utc).getUTCDay(),
    clock: `${Number(p.hour)}:${p.minute}`,
  };
}

const ranked: readonly string[] = ["quiet", "moderate", "busy", "very_busy"];

/** Whether a level is one of the four of busyness. */
export const isRanked = (level: string | undefined): boolean => level !== undefined && ranked.includes(level);

const capital = (s: string): string => s.charAt(0).toUpperCase() + s.slice(1);

/** Words says things in one language, from the messages of its locale file. */
export class Words {
  private readonly plurals: Intl.PluralRules;
  private readonly numbers: Intl.NumberFormat;

  constructor(
    readonly lang: string,
    private readonly messages: Record<string, Message>,
  ) {
    this.plurals = new Intl.PluralRules(lang);
    this.numbers = new Intl.NumberFormat(lang);
  }

  t(id: string, values: Values = {}): string {
    const m = this.messages[id];
    return fill(typeof m === "string" ? m : (m?.other ?? id), values);
  }

  n(id: string, count: number, values: Values = {}): string {
    const m = this.messages[id];
    if (m === undefined || typeof m === "string") return this.t(id, values);
    return fill(m[this.plurals.select(count)] ?? m.other ?? id, { ...values, Count: this.numbers.format(count) });
  }

  clock(ms: number): string {
    return civil(ms).clock;
  }

  number(n: number): string {
    return this.numbers.format(n);
  }

  wait(band: State["band"], atLeast = false): string {
    if (!band || (band.min === 0 && band.max === 0)) return this.t("wait.unknown");
    if (atLeast && band.min > 0) return this.t("wait.atleast", { Min: band.min });
    if (band.max === 0) return this.t("wait.over", { Min: band.min });
    if (band.min === 0) return this.t("wait.under", { Max: band.max });
    return this.t("wait.between", { Min: band.min, Max: band.max });
  }

  age(measured: number, now: number): string {
    const minutes = Math.floor((now - measured) / 60_000);
    return minutes < 1 ? this.t("age.now") : this.n("age.minutes", minutes);
  }

  onSite(i: Interval | undefined): string {
    if (!i) return this.t("onsite.unknown");
    const n = Math.round(i.mid);
    return n < 1 ? this.t("onsite.none") : this.n("onsite.vehicles", n);
  }

  visits(n: number | undefined): string {
    if (n === undefined) return "";
    return n < 1 ? this.t("visits.none") : this.n("visits.today", n);
  }

  queue(i: Interval | undefined, atLeast = false): string {
    if (!i) return "?";
    if (atLeast && Math.floor(i.low) > 0) return this.n("queue.atleast", Math.floor(i.low));
    const n = Math.round(i.mid);
    return n < 1 ? this.t("queue.none") : this.n("queue.vehicles", n);
  }

  opens(at: number, now: number): string {
    const today = civil(now);
    const day = civil(at);
    const ahead = day.day - today.day;
    if (ahead === 0) return this.t("hours.today", { Time: day.clock });
    if (ahead === 1) return this.t("hours.tomorrow", { Time: day.clock });
    const weekday = this.t(`weekday.d${day.weekday}`);
    if (ahead < 7) return capital(this.t("hours.weekday", { Day: weekday, Time: day.clock }));
    return this.t("hours.date", { Day: `${weekday} ${day.date} ${this.t(`month.m${day.month}`)}`, Time: day.clock });
  }

  lastMeasured(measuredAt: string | undefined, now: number): string {
    if (!measuredAt) return this.t("state.never");
    const at = civil(Date.parse(measuredAt));
    if (at.day === civil(now).day) return this.t("state.unknown", { Time: at.clock });
    return this.t("state.unknownday", { Day: `${at.date} ${this.t(`month.m${at.month}`)}` });
  }

  /** A text by staff in this language, else in any other. */
  local(text: Record<string, string> | undefined): { text: string; lang: string } {
    for (const lang of [this.lang, "nl", "en", ...Object.keys(text ?? {})]) {
      const own = text?.[lang];
      if (own) return { text: own, lang };
    }
    return { text: "", lang: this.lang };
  }

  /** The date and time of a notice. */
  posted(at: string, now: number): string {
    const c = civil(Date.parse(at));
    if (c.day === civil(now).day) return this.t("notice.at", { Time: c.clock });
    return this.t("notice.atday", { Day: `${c.date} ${this.t(`month.m${c.month}`)}` });
  }

  /** view puts a state, as it must be shown at now, in words. */
  view(s: State, now: number): View {
    const v: View = {
      level: s.level, typical: "", trend: "", headline: "", detail: "", detailLang: "", until: "",
      age: "", onSite: "", visits: "", wait: "", boardTop: "", boardMain: "", boardSub: "", lit: 0,
    };
    const measured = s.measuredAt ? Date.parse(s.measuredAt) : 0;
    if (s.level === "closed") {
      v.headline = this.t("state.closed");
      v.boardMain = this.t("board.closed");
      v.wait = this.t("level.closed");
      if (s.closure) {
        const { text, lang } = this.local(s.closure.reason);
        v.detail = text || `${this.t("hours.unplanned")}.`;
        if (text && lang !== this.lang) v.detailLang = lang;
        v.until = this.t("hours.since", { Time: this.clock(Date.parse(s.closure.since)) });
        if (s.closure.until) v.until += `. ${this.opens(Date.parse(s.closure.until), now)}`;
      } else if (s.opensAt) {
        v.detail = this.opens(Date.parse(s.opensAt), now);
      }
      return v;
    }
    const closes = s.closesAt ? this.clock(Date.parse(s.closesAt)) : "";
    if (s.level === "late") {
      v.headline = this.t("state.late", { Time: closes });
      v.detail = this.t("state.latewhy");
      v.boardTop = this.t("board.late");
      v.boardMain = closes;
      v.wait = this.t("level.late");
      v.age = this.age(measured, now);
      v.onSite = this.onSite(s.onSite);
      v.visits = this.visits(s.visits);
      return v;
    }
    if (closes) v.until = this.t("hours.until", { Time: closes });
    if (!isRanked(s.level)) {
      v.level = "unknown";
      v.headline = this.lastMeasured(s.measuredAt, now);
      v.boardMain = "?";
      v.boardSub = this.t("board.unknown");
      v.wait = this.t("wait.unknown");
      v.onSite = this.t("onsite.unknown");
      v.detail = this.t("state.notypical");
      if (isRanked(s.typicalLevel)) {
        v.typical = s.typicalLevel ?? "";
        v.detail = this.t(`state.typical.${v.typical}`);
      }
      return v;
    }
    v.trend = s.trend ?? "";
    v.headline = this.t(`level.${s.level}`);
    v.detail = this.t(`trend.${s.trend || "steady"}`);
    v.wait = this.wait(s.band, s.atLeast);
    [v.boardMain, v.lit] = board(s.band, s.atLeast ?? false);
    if (v.boardMain !== "?") v.boardSub = this.t("board.min");
    v.age = this.age(measured, now);
    v.onSite = this.onSite(s.onSite);
    v.visits = this.visits(s.visits);
    return v;
  }
}

/** asOf is the state as it must be shown at now when nothing newer came. */
export function asOf(s: State, now: number): State {
  const at = (t: string | undefined): number => (t ? Date.parse(t) : 0);
  const closes = at(s.closesAt);
  if (s.level !== "closed" && closes > 0 && now >= closes) {
    // When it opens again only the server knows.
    return { ...s, level: "closed", closure: undefined, band: undefined, onSite: undefined };
  }
  const ends = at(s.closure?.until);
  if ((s.level !== "closed" && now > at(s.staleAt)) || (ends > 0 && now >= ends)) {
    return { ...s, level: "unknown", closure: undefined, band: undefined, onSite: undefined, queue: undefined, atLeast: false };
  }
  return s;
}

function board(band: State["band"], atLeast: boolean): [string, number] {
  if (!band || (band.min === 0 && band.max === 0)) return ["?", 0];
  if (band.max === 0 || (atLeast && band.min > 0)) return [`${band.min}+`, Math.min(12, Math.floor(band.min / 5))];
  if (band.min === 0) return [`< ${band.max}`, Math.floor(band.max / 5)];
  return [`${band.min}–${band.max}`, Math.floor(band.max / 5)];
}

/** dashes lights segments of the board's ring, as stateView.Dashes does. */
export function dashes(lit: number): string {
  return lit === 0 ? "0 60" : `${"3.8 1.2 ".repeat(lit - 1)}3.8 60`;
}

/** mainY is where the middle of the board's number stands. */
export function mainY(v: View): number {
  if (v.boardTop) return 63;
  return v.boardSub ? 55 : 60;
}

/** narrow is the class that sizes the board's number. */
export function narrow(main: string): string {
  const n = [...main].length;
  return n <= 3 ? "pd-n3" : n <= 4 ? "pd-n4" : "pd-n5";
}

function fill(text: string, values: Values): string {
  return text.replace(/\{\{\.(\w+)\}\}/g, (_, name: string) => String(values[name] ?? ""));
}
