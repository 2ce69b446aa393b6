// Keeps a page up to date over the API's websocket. The socket may go away at
// any time: then it is tried again with growing pauses, and what was shown
// turns unknown by itself when its time is over.

import { type Fallback, type Freshness, type Statement, statementAt, type SiteStatement } from "./statement.js";

export interface Start {
  now: string;
  locale: string;
  live: string;
  asking?: string;
  asOf: string;
  sites: SiteStatement[];
  labels: Record<"on" | "off" | "paused" | "pause" | "resume", string>;
}

type Incoming =
  | { type: "snapshot"; seq: number; at: string; asOf?: string; run?: string; sites: SiteStatement[] }
  | { type: "statement"; seq: number; at: string; site: SiteStatement }
  | { type: "fresh"; seq: number; at: string; site: { id: string } & Freshness }
  | { type: "fallback"; seq: number; at: string; site: { id: string; fallback: Fallback } }
  | { type: "forecast"; seq: number; at?: string; site: string; origin: string }
  | { type: "heartbeat"; seq: number; at: string; asOf?: string };

export interface Viewer {
  /** show is called with what is to be shown of a site now. */
  show(site: string, statement: Statement, now: number): void;
  forecast(site: string): void;
  /** asOf is called with the time of day of what is shown, in words. */
  asOf(text: string): void;
  /** connected is called when the connection comes or goes. */
  connected(yes: boolean): void;
}

const firstPause = 1_000;
const longestPause = 60_000;
const silence = 40_000; // more than two heartbeats
const tick = 5_000;

/** readStart is what the server put into the page for the script. */
export function readStart(): Start | undefined {
  const text = document.getElementById("start")?.textContent;
  return text ? (JSON.parse(text) as Start) : undefined;
}

export class Live {
  private readonly heardOf = new Map<string, { statement: Statement; fallback: Fallback | undefined; of: number }>();
  private socket: WebSocket | undefined;
  private pause = firstPause;
  private retry: number | undefined;
  private heard = 0;
  private offset: number; // server's clock less ours, milliseconds
  private seq = 0;
  private run = "";
  paused = false;

  constructor(
    private readonly start: Start,
    private readonly viewer: Viewer,
  ) {
    const nav = performance.getEntriesByType("navigation")[0] as PerformanceNavigationTiming | undefined;
    const rendered = performance.timeOrigin + (nav?.responseStart ?? 0);
    this.offset = Date.parse(start.now) - rendered;
    for (const { id, fallback, ...statement } of start.sites) {
      this.heardOf.set(id, { statement, fallback, of: Date.parse(start.now) });
    }
  }

  now(): number {
    return Date.now() + this.offset;
  }

  begin(): void {
    this.connect();
    window.setInterval(() => this.watch(), tick);
    window.addEventListener("online", () => this.reconnect());
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible") this.reconnect();
    });
    window.addEventListener("pageshow", (e) => {
      if (e.persisted) this.reconnect();
    });
  }

  setPaused(paused: boolean): void {
    this.paused = paused;
    if (paused) {
      window.clearTimeout(this.retry);
      this.socket?.close();
      this.socket = undefined;
    } else {
      this.connect();
    }
  }

  private reconnect(): void {
    this.watch();
    if (!this.socket || this.socket.readyState > WebSocket.OPEN) {
      this.pause = firstPause;
      this.connect();
    }
  }

  private connect(): void {
    if (this.paused || (this.socket && this.socket.readyState <= WebSocket.OPEN)) return;
    window.clearTimeout(this.retry);
    const url = new URL(this.start.live, location.href);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    if (this.run) {
      url.searchParams.set("since", String(this.seq));
      url.searchParams.set("run", this.run);
    }
    const socket = new WebSocket(url);
    this.socket = socket;
    this.heard = Date.now();
    socket.addEventListener("message", (e) => {
      if (socket === this.socket) this.receive(String(e.data));
    });
    socket.addEventListener("close", () => {
      if (socket !== this.socket) return;
      this.socket = undefined;
      this.viewer.connected(false);
      void this.poll();
      // Jitter, so that not everybody comes back at once.
      this.retry = window.setTimeout(() => this.connect(), this.pause * (0.5 + Math.random()));
      this.pause = Math.min(longestPause, this.pause * 2);
    });
  }

  // poll asks once without a websocket, which some networks do not let through
  // and of which one address gets only so many. Staff's numbers need theirs.
  private async poll(): Promise<void> {
    if (!this.start.asking) return;
    try {
      // A kept answer would carry the time at which it was made.
      const answer = await fetch(this.start.asking, { cache: "no-store" });
      const text = await answer.text(); // read in any case, else the request stays open
      if (!answer.ok || this.socket?.readyState === WebSocket.OPEN) return;
      const now = JSON.parse(text) as { at: string; sites: { statement: SiteStatement }[] };
      this.offset = Date.parse(now.at) - Date.now();
      for (const s of now.sites) this.take(s.statement, Date.parse(now.at));
    } catch {
      // No network: what is shown turns unknown when its time is over.
    }
  }

  private receive(text: string): void {
    const m = JSON.parse(text) as Incoming;
    this.heard = Date.now();
    this.seq = m.seq ?? this.seq;
    if (m.at) this.offset = Date.parse(m.at) - Date.now();
    this.pause = firstPause;
    this.viewer.connected(true);
    switch (m.type) {
      case "snapshot":
        this.run = m.run ?? "";
        if (m.asOf) this.viewer.asOf(m.asOf);
        for (const s of m.sites) this.take(s, Date.parse(m.at));
        break;
      case "statement":
        this.take(m.site, Date.parse(m.at));
        break;
      case "fresh": {
        const known = this.heardOf.get(m.site.id);
        if (known) this.take({ ...known.statement, ...m.site }, Date.parse(m.at));
        break;
      }
      case "fallback": {
        const known = this.heardOf.get(m.site.id);
        if (known) known.fallback = m.site.fallback;
        break;
      }
      case "heartbeat":
        if (m.asOf) this.viewer.asOf(m.asOf);
        break;
      case "forecast":
        this.viewer.forecast(m.site);
    }
  }

  private take({ id, fallback, ...statement }: SiteStatement, of: number): void {
    const known = this.heardOf.get(id);
    if (!known) return; // not on this page
    const staleHeadline = statement.staleHeadline ?? known.statement.staleHeadline;
    const now = { statement: staleHeadline === undefined ? statement : { ...statement, staleHeadline }, fallback: fallback ?? known.fallback, of };
    this.heardOf.set(id, now);
    this.viewer.show(id, statementAt(now.statement, now.fallback, of, this.now()), this.now());
  }

  // watch lets ages grow and old states turn unknown, also while paused: an
  // old figure must never look like a fresh one.
  private watch(): void {
    const now = this.now();
    for (const [id, { statement, fallback, of }] of this.heardOf) {
      this.viewer.show(id, statementAt(statement, fallback, of, now), now);
    }
    if (this.socket && Date.now() - this.heard > silence) this.socket.close();
  }
}
