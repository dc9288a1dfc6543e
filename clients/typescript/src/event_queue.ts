/**
 * What a subscription delivered and its reader has not taken yet.
 *
 * Credit bounds the queue of a run: the server sends no more events than the window of the subscription.
 */

import type { Delivered } from "./protocol/client.js";
import type { Subscribed } from "./protocol/frames.js";
import type { RunTracker } from "./run_tracker.js";

/** A frame of a subscription, and the epoch of the log that it is of. */
export interface Item {
  readonly frame: Delivered;
  readonly epoch?: string | undefined;
}

/** What the queues of runs and of watches have in common: a reader that waits, and an end. */
export abstract class Queue {
  #error: unknown;
  #wake: (() => void) | undefined;

  constructor(readonly sub: number) {}

  /** Add what a frame says. */
  abstract put(item: Item): void;

  /** The connection is lost: a watch lists anew what matches. */
  beginList(): void {}

  /** End the queue: after what is queued, the reader gets `error`. */
  fail(error: unknown): void {
    this.#error = error;
    this.wake();
  }

  /** Let the reader look again. */
  wake(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }

  /** Return what `next` returns, as soon as that is something. */
  protected async until<T>(next: () => T | undefined): Promise<T> {
    for (;;) {
      const found = next();
      if (found !== undefined) return found;
      if (this.#error !== undefined) throw this.#error;
      await new Promise<void>((resolve) => {
        const other = this.#wake; // of a reader that another one took over from
        this.#wake = () => {
          other?.();
          resolve();
        };
      });
    }
  }
}

/** The queue of one subscription to a run. */
export class EventQueue extends Queue {
  /** The reply to the first `subscribe`: the log's epoch and head, and where it starts. */
  start: Subscribed | undefined;
  readonly #items: Item[] = [];
  #reader: unknown;

  constructor(
    sub: number,
    readonly tracker: RunTracker,
  ) {
    super(sub);
  }

  /** How many frames wait for the reader. */
  get length(): number {
    return this.#items.length;
  }

  /** Add a frame, and update the run's tracker from it. */
  put(item: Item): void {
    this.tracker.update(item);
    this.#items.push(item);
    this.wake();
  }

  /** Wait for the next frame; return null once `reader` is not the one that `readBy()` named last. */
  take(reader: unknown): Promise<Item | null> {
    return this.until(() => (this.#reader === reader ? this.#items.shift() : null));
  }

  /** Let `reader` take the frames from here on. */
  readBy(reader: unknown): void {
    this.#reader = reader;
    this.wake();
  }
}
