// What the server says of the sites, in the language of the page. Its
// sentences are ready; nothing here composes one.

export type Level = "quiet" | "moderate" | "busy" | "very_busy" | "closed" | "late" | "unknown";

export interface Board {
  top?: string;
  main: string;
  sub?: string;
  lit?: number;
}

/** What is said of a site at one instant; instants are RFC 3339. */
export interface Statement {
  level: Level;
  typical?: string;
  trend?: string;
  headline: string;
  detail?: string;
  detailLang?: string;
  until?: string;
  wait: string;
  board: Board;
  aloud?: string;
  onSite?: string;
  visits?: string;
  measuredAt?: string;
  notice?: { id: string; text: string; lang?: string; when: string };
  staleAt?: string;
  staleHeadline?: string;
  staff?: {
    count: string;
    between?: string;
    queue: string;
    gates?: { gate: string; inToday: string; outToday: string; inHour: string; outHour: string }[];
    parts: string;
  };
}

/** What is said when nothing more is heard. */
export interface Fallback {
  stale?: Statement;
  then?: { at: string; statement: Statement }[];
}

/** What of a statement moves on with every vehicle and measurement. */
export type Freshness = Pick<Statement, "onSite" | "visits" | "measuredAt" | "staleAt" | "staleHeadline">;

/** A statement of a site, with its fallback where both are sent. */
export type SiteStatement = Statement & { id: string; fallback?: Fallback };

/**
 * statementAt is what is to be shown now when nothing newer was heard than a
 * statement of that time: a change of before is in it already.
 */
export function statementAt(statement: Statement, fallback: Fallback | undefined, of: number, now: number): Statement {
  for (const change of [...(fallback?.then ?? [])].reverse()) {
    const at = Date.parse(change.at);
    if (at > of && now >= at) return change.statement;
  }
  if (fallback?.stale && statement.staleAt && now > Date.parse(statement.staleAt)) {
    return { ...fallback.stale, headline: statement.staleHeadline ?? fallback.stale.headline };
  }
  return statement;
}

/** ages writes how long ago an instant was, in whole minutes. */
export function ages(locale: string): (measuredAt: string, now: number) => string {
  const format = new Intl.RelativeTimeFormat(locale, { numeric: "auto", style: "short" });
  return (measuredAt, now) => {
    const minutes = Math.floor((now - Date.parse(measuredAt)) / 60_000);
    return minutes < 1 ? format.format(0, "second") : format.format(-minutes, "minute");
  };
}
