/**
 * A WebSocket that counts what goes through it, and measures round trips.
 *
 * The client uses it in the place of the platform's: `connect(url, { webSocket: Counted })`. It never changes a message.
 */

/** What has gone through the sockets of this page since it was loaded. */
export interface Traffic {
  readonly messagesIn: number;
  readonly messagesOut: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** How often events were gone when a subscription got to them, and how many snapshots came. */
  readonly gaps: number;
  readonly snapshots: number;
  /** How many of the snapshots took the place of events that were gone. */
  readonly heals: number;
  /** Whether the server has said that it is about to stop. */
  readonly isDraining: boolean;
}

/** One round trip: when it was asked, and how long the answer took; undefined if none has come yet. */
export interface RoundTrip {
  readonly at: number;
  ms: number | undefined;
}

const KEPT_TRIPS = 60;
const encoder = new TextEncoder();
const now = {
  messagesIn: 0,
  messagesOut: 0,
  bytesIn: 0,
  bytesOut: 0,
  gaps: 0,
  snapshots: 0,
  heals: 0,
  isDraining: false,
};
const trips: RoundTrip[] = [];
/** The subscriptions whose gap no snapshot has closed yet. */
const gapped = new Set<string>();
let open: Counted | undefined;
let latestId = 0;

/** Return the counts so far. */
export function traffic(): Traffic {
  return { ...now };
}

/** Return the latest round trips, the oldest first. */
export function roundTrips(): readonly RoundTrip[] {
  return [...trips];
}

/** Count one message that came, by its text. What a frame is named stands in front; in a user's text quotes are escaped. */
export function countIn(data: string): void {
  now.messagesIn += 1;
  now.bytesIn += encoder.encode(data).byteLength;
  for (const [, type, sub = ""] of data.matchAll(/"type":"(gap|snapshot)"(?:,"sub":(\d+))?/g)) {
    if (type === "gap") {
      now.gaps += 1;
      gapped.add(sub);
    } else {
      now.snapshots += 1;
      if (gapped.delete(sub)) now.heals += 1;
    }
  }
  if (data.startsWith('{"type":"goaway"') || data.includes('{"type":"goaway",')) now.isDraining = true;
}

/** The platform's WebSocket, counted. */
export class Counted extends WebSocket {
  #isWelcome = false;
  readonly #asked = new Map<number, RoundTrip>();

  constructor(url: string, protocols: string[]) {
    super(url, protocols);
    this.addEventListener("message", ({ data }: MessageEvent<string>) => {
      countIn(data);
      if (!this.#isWelcome) {
        this.#isWelcome = true;
        now.isDraining = false;
        gapped.clear(); // a connection numbers its subscriptions anew
        open = this;
      }
      if (this.#asked.size) this.#answered(data);
    });
    this.addEventListener("close", () => {
      if (open === this) open = undefined;
    });
  }

  override send(data: string): void {
    now.messagesOut += 1;
    now.bytesOut += encoder.encode(data).byteLength;
    super.send(data);
  }

  /** Ask for a `pong`; the client takes it for the sign of life that it is. */
  ping(): void {
    const id = ++latestId;
    const trip: RoundTrip = { at: performance.now(), ms: undefined };
    this.#asked.set(id, trip);
    if (this.#asked.size > 8) this.#asked.delete(this.#asked.keys().next().value ?? 0);
    trips.push(trip);
    if (trips.length > KEPT_TRIPS) trips.shift();
    this.send(JSON.stringify({ type: "ping", t: `trip-${id}` }));
  }

  #answered(data: string): void {
    for (const [, id] of data.matchAll(/"t":"trip-(\d+)"/g)) {
      const trip = this.#asked.get(Number(id));
      if (trip) trip.ms = performance.now() - trip.at;
      this.#asked.delete(Number(id));
    }
  }
}

/** Measure one round trip; return whether there is a connection to measure. */
export function measure(): boolean {
  if (!open || open.readyState !== WebSocket.OPEN) return false;
  open.ping();
  return true;
}
