/**
 * `RunLog`: what a page knows of a run, event by event, outside React.
 *
 * It is made once for each subscription, before its first event, and hears every event as long as that subscription
 * lives; a page that comes back finds all of it. The events that it keeps are bounded in number and in bytes. What is
 * made of them (which nodes work, when, which states there were) is not lost with them.
 */

import type { Event, FollowEvent } from "graphwire";
import type { RunView } from "graphwire/react";
import { useSyncExternalStore } from "react";
import { Activity } from "./activity";
import { Clock, momentOf } from "./clock";
import { type Size, sizeOf } from "./size";
import { isObject } from "./spans";

/** An event, and what the page knows of it besides. */
export interface Entry {
  readonly event: Event;
  readonly size: Size;
}

/** One state of the root graph, or of a subgraph. */
export interface Step {
  readonly seq: number;
  readonly namespace: readonly string[];
  /** The `seq` of the state before it, of the same namespace; undefined for the first. */
  readonly before: number | undefined;
}

const MOST_EVENTS = 20_000;
const MOST_BYTES = 64_000_000;
const MOST_STEPS = 5000;
const FRAME_MS = 16;
const LONGEST_FRAME_MS = 1000;

/** The events of a run, and what is made of them. */
export class RunLog {
  entries: Entry[] = [];
  steps: Step[] = [];
  activity: Activity;
  clock = new Clock();
  bytes = 0;
  /** How many events have come, those included that are not kept any more. */
  taken = 0;
  /** How many were let go. */
  dropped = 0;
  /** What stays lost: the gaps that snapshots have filled. */
  gaps = 0;
  /** When the run first ran and when it ended, in milliseconds by the server's clock; undefined if no event said so. */
  startedAt: number | undefined;
  endedAt: number | undefined;
  attempt = 1;
  /** Whether events happen as they come. The page takes it back when the connection is lost. */
  isLive = false;
  /** Rises at most once a frame; what is read between two rises belongs together. */
  version = 0;
  readonly #modes: readonly string[];
  readonly #listeners = new Set<() => void>();
  readonly #latestState = new Map<string, number>();
  #isDirty = false;

  constructor(modes: readonly string[]) {
    this.#modes = modes;
    this.activity = new Activity(modes);
  }

  /** Take the next event. `arrivedMs` is when it arrived, if it has just happened. */
  take(event: Event, arrivedMs: number | undefined): void {
    const last = this.entries.at(-1)?.event.seq ?? 0;
    const isAgain = event.seq <= last && event.mode !== "gap" && event.mode !== "snapshot";
    if (isAgain) this.#beginAgain();
    this.taken += 1;
    this.#time(event, arrivedMs);
    this.activity.apply(event);
    const size =
      event.cutBytes === undefined ? sizeOf(wireOf(event)) : { bytes: event.cutBytes, isExact: true };
    this.entries.push({ event, size });
    this.bytes += event.cutBytes === undefined ? size.bytes : 0;
    if (event.mode === "values" || (event.mode === "snapshot" && event.values !== undefined))
      this.#step(event);
    if (event.mode === "gap") this.gaps += 1;
    this.#letGo();
    this.changed();
  }

  /** Return the event `seq`; undefined if it never came, or is not kept any more. */
  at(seq: number | undefined): Event | undefined {
    if (seq === undefined) return undefined;
    let [low, high] = [0, this.entries.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.entries[middle]?.event.seq ?? 0) < seq) low = middle + 1;
      else high = middle;
    }
    for (let at = low; this.entries[at]?.event.seq === seq; at += 1) {
      const event = this.entries[at]?.event;
      if (event && event.mode !== "gap") return event;
    }
    return undefined;
  }

  /** Call `listener` when `version` has risen; return a function that ends it. */
  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  readonly changed = (): void => {
    if (this.#isDirty) return;
    this.#isDirty = true;
    let [frame, timer] = [0, 0];
    const publish = () => {
      cancelAnimationFrame(frame);
      clearTimeout(timer);
      this.#isDirty = false;
      this.version += 1;
      for (const each of this.#listeners) each();
    };
    const isVisible = document.visibilityState === "visible";
    if (isVisible) frame = requestAnimationFrame(publish);
    timer = window.setTimeout(publish, isVisible ? LONGEST_FRAME_MS : FRAME_MS);
  };

  // ── parts of taking ──────────────────────────────────────────────────────────────────────────

  /** The log is read from its beginning once more. */
  #beginAgain(): void {
    this.entries = [];
    this.steps = [];
    this.activity = new Activity(this.#modes);
    this.clock = new Clock();
    this.#latestState.clear();
    this.bytes = this.taken = this.dropped = this.gaps = 0;
  }

  #time(event: Event, arrivedMs: number | undefined): void {
    const { seq } = event;
    if (event.mode === "lifecycle") {
      const at = Date.parse(event.at);
      if (arrivedMs !== undefined) this.clock.skewMs = arrivedMs - at;
      this.clock.note(seq, at);
      this.attempt = event.attempt;
      if (event.status === "running") this.startedAt ??= at;
      if (isOver(event.status)) this.endedAt = at;
    } else if (event.mode === "debug" && isObject(event.data)) {
      this.clock.note(seq, Date.parse(String(event.data.timestamp)));
    } else if (event.mode === "checkpoints" && isObject(event.data)) {
      const config = event.data.config;
      const configurable = isObject(config) ? config.configurable : undefined;
      const at = isObject(configurable) ? momentOf(configurable.checkpoint_id) : undefined;
      if (at !== undefined) this.clock.note(seq, at);
      else if (arrivedMs !== undefined) this.clock.noteArrival(seq, arrivedMs);
    } else if (arrivedMs !== undefined && event.mode !== "gap" && event.mode !== "snapshot")
      this.clock.noteArrival(seq, arrivedMs);
  }

  #step({ seq, namespace }: Event): void {
    const key = namespace.join("|");
    this.steps.push({ seq, namespace, before: this.#latestState.get(key) });
    this.#latestState.set(key, seq);
    if (this.steps.length > MOST_STEPS) this.steps = this.steps.slice(MOST_STEPS / 10);
  }

  /** Let the oldest go where there are too many: a tenth at once, so that it happens seldom. */
  #letGo(): void {
    if (this.entries.length <= MOST_EVENTS && this.bytes <= MOST_BYTES) return;
    let [count, bytes] = [0, this.bytes];
    const [events, room] = [MOST_EVENTS * 0.9, MOST_BYTES * 0.9];
    while (count < this.entries.length - 1 && (this.entries.length - count > events || bytes > room)) {
      const gone = this.entries[count];
      bytes -= gone && gone.event.cutBytes === undefined ? gone.size.bytes : 0;
      count += 1;
    }
    this.entries = this.entries.slice(count);
    this.bytes = bytes;
    this.dropped += count;
  }
}

/** Return what of an event came over the wire: a message is held with what it does not itself say. */
export function wireOf(event: Event): unknown {
  switch (event.mode) {
    case "messages":
      return event.message.sent;
    case "snapshot":
      return { status: event.status, values: event.values, messages: event.messages.map(({ sent }) => sent) };
    case "interrupt":
      return event.interrupts;
    case "lifecycle": {
      const { status, attempt, at, reason, error, discard } = event;
      return { status, attempt, at, reason, error, discard };
    }
    case "gap": {
      const { afterSeq, uptoSeq, reason, lost } = event;
      return { afterSeq, uptoSeq, reason, lost };
    }
    default:
      return event.data;
  }
}

/** Tell whether a status is a run's last one. */
export function isOver(status: string | undefined): boolean {
  return status === "completed" || status === "failed" || status === "cancelled";
}

// ── one for each subscription ──────────────────────────────────────────────────────────────────

const logs = new WeakMap<object, RunLog>();

/** Return the log of a viewed run. The first call must come before the first event, that is, with the view itself. */
export function logOf(view: RunView, modes: readonly string[]): RunLog {
  const known = logs.get(view.store);
  if (known) return known;
  const log = new RunLog(modes);
  logs.set(view.store, log);
  view.store.listeners.add((event: Event | FollowEvent) => {
    if (event.mode === "run" || event.mode === "thread" || event.mode === "discard") return; // of threads alone
    // Once the end of what there was has been reached, all that comes happens as it comes.
    log.isLive ||= view.store.state.view.run?.isCaughtUp ?? false;
    log.take(event, log.isLive ? Date.now() : undefined);
  });
  return log;
}

/** Render again when the log has changed; return its version. */
export function useLog(log: RunLog): number {
  return useSyncExternalStore(log.subscribe, () => log.version);
}
