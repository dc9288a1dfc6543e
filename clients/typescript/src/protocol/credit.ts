/** Credit: how many more events a server may send on a subscription, as a client counts it. */

import { UNCONSTRAINED } from "./tables.js";

const isFree = (mode: string) => (UNCONSTRAINED as readonly string[]).includes(mode);

/**
 * The queue of one subscription holds at most `size` events that cost credit.
 *
 * The session calls `put` for each event that is queued and `take` for each event that the application took.
 */
export class Window {
  held = 0;
  #owed = 0;

  constructor(readonly size: number) {}

  /** Return the credit to attach with: how many events the queue has room for. */
  opening(): number {
    this.#owed = 0;
    return this.size - this.held;
  }

  /** Count an event that was queued for the application. */
  put(mode: string): void {
    if (!isFree(mode)) this.held += 1;
  }

  /** Count an event that the application took; return the credit to grant: usually 0, then half a window. */
  take(mode: string): number {
    if (isFree(mode)) return 0;
    this.held -= 1;
    this.#owed += 1;
    if (this.#owed * 2 < this.size) return 0;
    const owed = this.#owed;
    this.#owed = 0;
    return owed;
  }
}
