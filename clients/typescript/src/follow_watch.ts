/** The watch of one thread's runs: keeps a `RunOrder` up to date across reconnects, and queues nothing. */

import type { Item } from "./event_queue.js";
import type { Exchange } from "./exchange.js";
import type { RunOrder } from "./follow_order.js";
import { WatchQueue } from "./watch_queue.js";

/**
 * The frames of a watch, each taken into account as it comes.
 *
 * After a reconnect the server sends all rows again; until they are complete, `isSynced` is false.
 */
export class ThreadWatch extends WatchQueue {
  readonly #order: RunOrder;
  readonly #exchange: Exchange;
  #beganOn = 0; // numbers of connections
  #syncedOn = 0;
  #deleted = 0;
  #frames = 0;
  #compared = { on: 0, deleted: 0 }; // when the thread's state was read last

  constructor(sub: number, order: RunOrder, exchange: Exchange) {
    super(sub);
    this.#order = order;
    this.#exchange = exchange;
  }

  /** Whether all runs that the server knows are known here. */
  get isSynced(): boolean {
    return this.#syncedOn === this.#exchange.connections;
  }

  /** Whether nothing can have been missed: the rows are complete, and the state was read since. */
  get isCurrent(): boolean {
    const { on, deleted } = this.#compared;
    return this.isSynced && on === this.#syncedOn && deleted === this.#deleted;
  }

  /**
   * Return the thread's state that `read` asks for, as soon as the rows are complete with which it can be compared.
   *
   * A request that was sent before a cut is sent again behind the watch, and so its reply counts for the connection
   * that brings it. Otherwise a line that is cut often would ask for one state after the other.
   */
  async compare<R>(read: () => Promise<R>): Promise<R> {
    const deleted = this.#deleted;
    const state = await read();
    this.#compared = { on: this.#exchange.connections, deleted };
    while (!this.isSynced) await this.change();
    return state;
  }

  /** The connection is lost; the first frame of the next one begins the list. */
  override beginList(): void {}

  /** Take a frame into account; a frame of another type says nothing here. */
  override put({ frame }: Item): void {
    const { connections } = this.#exchange;
    if (this.#beganOn !== connections) {
      this.#beganOn = connections;
      this.#order.beginList();
    }
    if (frame.type === "run_info") this.#order.add(frame);
    else if (frame.type === "run_gone" && frame.reason === "deleted")
      this.#deleted += 1; // its thread may be deleted with it
    else if (frame.type === "synced") {
      this.#order.endList(Boolean(frame.cut));
      this.#syncedOn = connections;
    }
    this.#frames += 1;
    this.wake();
  }

  /** Wait for the next frame. Throws why the watch has ended. */
  async change(): Promise<void> {
    const before = this.#frames;
    await this.until(() => this.#frames > before || undefined);
  }
}
