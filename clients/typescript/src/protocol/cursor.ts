/**
 * One subscription as its client keeps it: a cursor over a run's log that outlives connections.
 *
 * This is what makes delivery exact: an event at or below the cursor of its epoch is not shown again, a hole in
 * `n` is an error, and patches become whole states. The session decides what to send, and when.
 */

import { Window } from "./credit.js";
import type { Closed, Event, Gap, Mark, Snapshot, Spec, Subscribed, Synced } from "./frames.js";
import { apply } from "./patches.js";
import { advance, OutOfStep, type SubscriptionState } from "./state.js";

/** The frames that belong to one subscription. */
export type SubFrame = Event | Gap | Snapshot | Synced | Mark | Closed;

/** Where a subscription starts: at a position, or at one that the server finds. */
export type From = NonNullable<Spec["from"]>;

/**
 * One cursor over a run's log, across connections.
 *
 * `epoch` and `seq` are the cursor, undefined until the first attachment sets it. A gap moves it only with the
 * snapshot that follows: if the connection is lost between the two, both have to be sent again.
 */
export class Subscription {
  state: SubscriptionState = "requested";
  epoch: string | undefined;
  seq: number | undefined;
  /** The epoch of the current attachment. */
  attachedEpoch: string | undefined;
  readonly window: Window | undefined;
  readonly #spec: Spec;
  /** The last state of each namespace, if patched. */
  readonly #states = new Map<string, { seq: number; state: unknown }>();
  #n = 0;

  constructor(
    readonly run: string,
    { sub, filter, from = "start", values = "full", credit }: Spec,
  ) {
    this.#spec = { sub, filter, from, values };
    this.window = credit === undefined ? undefined : new Window(credit);
  }

  /** Begin a new attachment: return its spec, from the cursor, or from the spec's own start if there is none yet. */
  spec(): Spec {
    const { epoch, seq } = this;
    this.state = "requested";
    this.#n = 0;
    this.#states.clear();
    const from = epoch !== undefined && seq !== undefined && { from: { epoch, seq } };
    return { ...this.#spec, ...from, ...(this.window && { credit: this.window.opening() }) };
  }

  /** Take in the reply that opens the attachment. */
  subscribed({ recovery = "live", epoch, after }: Subscribed): void {
    this.state = recovery === "live" ? recovery : "replaying";
    this.attachedEpoch = epoch;
    // Without `after` a gap or a snapshot follows and says where delivery begins. Within an epoch a reply never
    // moves the cursor back: everything up to it has been shown.
    if (after !== undefined && (this.seq === undefined || epoch !== this.epoch)) {
      this.epoch = epoch;
      this.seq = after;
    }
  }

  /** Take a frame in; return what the application should see, patches as whole states. Throws `OutOfStep`. */
  receive(frame: SubFrame): SubFrame | undefined {
    this.state = advance(this.state, frame.type);
    switch (frame.type) {
      case "event": {
        this.#n += 1;
        this.#require(frame.n);
        const shown = frame.mode === "values" && this.#spec.values === "patch" ? this.#whole(frame) : frame;
        if (this.seq !== undefined && this.epoch === this.attachedEpoch && frame.seq <= this.seq)
          return undefined;
        this.#moveTo(frame.seq);
        this.window?.put(frame.mode);
        return shown;
      }
      case "gap":
        this.#states.clear();
        break;
      case "snapshot":
        this.#states.clear();
        this.#moveTo(frame.seq);
        break;
      case "mark":
        this.#require(frame.n ?? this.#n);
        this.seq = Math.max(frame.seq, this.seq ?? 0);
        return undefined;
    }
    return frame;
  }

  #require(n: number): void {
    if (n !== this.#n) throw new OutOfStep(`n is ${n}, not ${this.#n}`);
  }

  #moveTo(seq: number): void {
    if (!(seq >= 0)) throw new TypeError("no seq");
    this.epoch = this.attachedEpoch;
    this.seq = seq;
  }

  /** Return a values event with its whole state; the next patch of its namespace builds on it. */
  #whole({ base, ...event }: Event): Event {
    const key = JSON.stringify(event.ns ?? []);
    if (base !== undefined) {
      const old = this.#states.get(key);
      if (old?.seq !== base) throw new OutOfStep(`a patch of ${base} after ${old?.seq}`);
      event.data = apply(old.state, event.data);
    }
    this.#states.set(key, { seq: event.seq, state: event.data });
    return event;
  }
}
