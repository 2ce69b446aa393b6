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
export interface Said {
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
export interface Later {
  stale?: Said;
  then?: { at: string; said: Said }[];
}

export type SiteSaid = Said & { id: string; later?: Later };

/** saidAt is what is to be shown at an instant when nothing newer was heard. */
export function saidAt(said: Said, later: Later | undefined, now: number): Said {
  for (const change of [...(later?.then ?? [])].reverse()) {
    if (now >= Date.parse(change.at)) return change.said;
  }
  if (later?.stale && said.staleAt && now > Date.parse(said.staleAt)) {
    return { ...later.stale, headline: said.staleHeadline ?? later.stale.headline };
  }
  return said;
}

/** ages writes how long ago an instant was, in whole minutes. */
export function ages(locale: string): (measuredAt: string, now: number) => string {
  const format = new Intl.RelativeTimeFormat(locale, { numeric: "auto", style: "short" });
  return (measuredAt, now) => {
    const minutes = Math.floor((now - Date.parse(measuredAt)) / 60_000);
    return minutes < 1 ? format.format(0, "second") : format.format(-minutes, "minute");
  };
}
