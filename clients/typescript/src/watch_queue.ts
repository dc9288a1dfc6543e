/**
 * What one watch delivered and its reader has not taken yet: at most one row for a run, or a thread, and status.
 *
 * A row that comes again, as after a reconnect, replaces the one that is still queued. When a run is gone, the rows of
 * it that are still queued go with it, and the reader hears of it only if it knows the run. So the queue is bounded by
 * the runs that match, and by what the reader has taken.
 *
 * After a reconnect the server lists what matches now. What was shown before and is not on that list is gone; the
 * queue says so before it says that the list is complete.
 *
 * `watching` loads this file on demand.
 */

import { type Item, Queue } from "./event_queue.js";
import type { Status } from "./events.js";
import type { Exchange } from "./exchange.js";
import type * as frames from "./protocol/frames.js";
import { STATUSES } from "./protocol/tables.js";
import { type RunRow, rowOf } from "./rows.js";

/**
 * A run that a watch has shown is no longer there; take it off the board.
 *
 * `reason` is the server's, `deleted`, `expired` or `evicted`, or `unlisted` if the list after a reconnect does not
 * name the run.
 */
export interface RunGone {
  readonly status: "gone";
  readonly run: string;
  readonly reason: string;
}

/** The watch has shown all runs that match now, but for the `cut` oldest; after its start and each reconnect. */
export interface WatchSynced {
  readonly status: "synced";
  readonly cut: number;
}

/** What a watch yields; `status` tells the three apart. */
export type WatchItem = RunRow | RunGone | WatchSynced;

/** The queue of one watch; `threads` has that of a watch of threads. */
export class WatchQueue<T extends { status: string } = WatchItem> extends Queue {
  readonly #items = new Map<string, [key: string, item: T]>();
  /** What matches, by key: whether the reader has taken a row of it. */
  readonly #shown = new Map<string, boolean>();
  /** The keys of the list that is coming in; undefined behind it. */
  #listed: Set<string> | undefined = new Set();

  constructor(
    sub: number,
    readonly statuses?: readonly Status[],
  ) {
    super(sub);
  }

  /** Add what a frame says; frames that say nothing of runs are ignored. */
  put({ frame }: Item): void {
    if (frame.type === "run_info") {
      const { run, status } = frame;
      this.putRow(run, rowOf(frame) as never, !this.statuses || this.statuses.includes(status));
    } else if (frame.type === "run_gone") this.putGone(frame.run, frame.reason);
    else if (frame.type === "synced") {
      const { cut = 0 } = frame;
      const listed = this.#listed;
      this.#listed = undefined;
      if (listed && !cut)
        for (const key of [...this.#shown.keys()]) if (!listed.has(key)) this.putGone(key, "unlisted");
      this.#put("", { status: "synced", cut } as never);
    }
  }

  /** The connection is lost: the server lists what matches once more. */
  override beginList(): void {
    this.#listed = new Set();
  }

  /** Add the row of a run, or a thread, that is known by `key`. */
  protected putRow(key: string, row: T, isMatching: boolean): void {
    this.#listed?.add(key);
    if (!isMatching)
      this.#shown.delete(key); // no later list names it
    else if (!this.#shown.has(key)) this.#shown.set(key, false);
    this.#put(key, row);
  }

  /** What is known by `key` is gone. */
  protected putGone(key: string, reason: string): void {
    const wasTaken = this.#shown.get(key);
    this.#shown.delete(key);
    for (const status of STATUSES) this.#items.delete(`${status} ${key}`);
    if (wasTaken) this.#put(key, this.goneOf(key, reason));
  }

  /** Return what the reader gets when the run is gone. */
  protected goneOf(run: string, reason: string): T {
    return { status: "gone", run, reason } as never;
  }

  #put(key: string, item: T): void {
    const name = `${item.status} ${key}`;
    this.#items.delete(name);
    this.#items.set(name, [key, item]);
    this.wake();
  }

  /** Wait for the next item and return it. */
  take(): Promise<T> {
    return this.until(() => {
      for (const [name, [key, item]] of this.#items) {
        this.#items.delete(name);
        if (this.#shown.has(key)) this.#shown.set(key, item.status !== "gone");
        return item;
      }
      return undefined;
    });
  }
}

/** Open a watch and yield what its queue brings, until it is left or the signal aborts it. */
export async function* watched<T extends { status: string }>(
  exchange: Exchange,
  filter: Omit<frames.Watch, "type" | "id" | "sub">,
  queueOf: (sub: number) => WatchQueue<T>,
  signal: AbortSignal | undefined,
): AsyncGenerator<T, void, undefined> {
  const [queue] = await exchange.open((sub) => ({ type: "watch", sub, ...filter }), queueOf, signal);
  const abort = () => {
    exchange.leave(queue);
    queue.fail(signal?.reason);
  };
  signal?.addEventListener("abort", abort);
  try {
    while (!signal?.aborted) yield await queue.take();
    throw signal.reason;
  } finally {
    signal?.removeEventListener("abort", abort);
    exchange.leave(queue);
  }
}
