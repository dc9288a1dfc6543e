/**
 * What one watch delivered and its reader has not taken yet: at most one row for a run and status.
 *
 * A row that comes again, as after a reconnect, replaces the one that is still queued. When a run is gone, the rows of
 * it that are still queued go with it, and the reader hears of it only if it knows the run. So the queue is bounded by
 * the runs that match, and by what the reader has taken.
 *
 * After a reconnect the server lists what matches now. What was shown before and is not on that list is gone; the
 * queue says so before it says that the list is complete.
 */

import { type Item, Queue } from "./event_queue.js";
import { type Interrupt, interruptsOf, type Status } from "./events.js";
import type * as frames from "./protocol/frames.js";
import { STATUSES } from "./protocol/tables.js";

/** A run as a list or a watch shows it, with the values of its questions restored. */
export type RunRow = Omit<frames.RunRow, "questions"> & { questions?: readonly Interrupt[] };

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

/** The queue of one watch. */
export class WatchQueue extends Queue {
  readonly #items = new Map<string, WatchItem>();
  /** Runs that match: whether the reader has taken a row of it. */
  readonly #shown = new Map<string, boolean>();
  /** Runs of the list that is coming in; undefined behind it. */
  #listed: Set<string> | undefined = new Set();

  constructor(
    sub: number,
    readonly statuses?: readonly Status[],
  ) {
    super(sub);
  }

  /** Add what a frame says; frames that say nothing of runs are ignored. */
  put({ frame }: Item): void {
    if (frame.type === "run_info") this.#putRow(rowOf(frame));
    else if (frame.type === "run_gone") this.#putGone(frame.run, frame.reason);
    else if (frame.type === "synced") {
      const { cut = 0 } = frame;
      const listed = this.#listed;
      this.#listed = undefined;
      if (listed && !cut)
        for (const run of [...this.#shown.keys()]) if (!listed.has(run)) this.#putGone(run, "unlisted");
      this.#put("", { status: "synced", cut });
    }
  }

  /** The connection is lost: the server lists what matches once more. */
  beginList(): void {
    this.#listed = new Set();
  }

  #putRow(row: RunRow): void {
    const { run, status } = row;
    this.#listed?.add(run);
    if (this.statuses && !this.statuses.includes(status))
      this.#shown.delete(run); // no later list names it
    else if (!this.#shown.has(run)) this.#shown.set(run, false);
    this.#put(run, row);
  }

  #putGone(run: string, reason: string): void {
    const wasTaken = this.#shown.get(run);
    this.#shown.delete(run);
    for (const status of STATUSES) this.#items.delete(`${status} ${run}`);
    if (wasTaken) this.#put(run, { status: "gone", run, reason });
  }

  #put(run: string, item: WatchItem): void {
    const key = `${item.status} ${run}`;
    this.#items.delete(key);
    this.#items.set(key, item);
    this.wake();
  }

  /** Wait for the next item and return it. */
  take(): Promise<WatchItem> {
    return this.until(() => {
      for (const [key, item] of this.#items) {
        this.#items.delete(key);
        if ("run" in item && this.#shown.has(item.run)) this.#shown.set(item.run, item.status !== "gone");
        return item;
      }
      return undefined;
    });
  }
}

/** Return the row of a frame. */
export function rowOf({
  type: _,
  sub: __,
  questions,
  ...row
}: frames.RunRow & { type?: unknown; sub?: unknown }): RunRow {
  return questions ? { ...row, questions: interruptsOf(questions) } : row;
}
