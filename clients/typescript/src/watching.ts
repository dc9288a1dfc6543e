/** Watching: the states of all of a user's runs that match, and every change of them. */

import type { Status } from "./events.js";
import type { JsonObject } from "./protocol/json.js";
import { Requests } from "./requests.js";
import { type WatchItem, WatchQueue } from "./watch_queue.js";

/** Which runs to watch; several fields are ANDed. */
export interface WatchOptions {
  graphs?: string[];
  thread?: string;
  status?: Status[];
  /** Only runs whose metadata contains this. */
  metadata?: JsonObject;
  /** Yield a row also when a run's log has grown (`row.head`), at most once a second for each run. */
  progress?: boolean;
  signal?: AbortSignal;
}

/** The part of a client that watches runs. */
export class Watching extends Requests {
  /**
   * Iterate without end over this user's matching runs: first their present states, newest first, then every change,
   * including the one after which a run no longer matches.
   *
   * `item.status` tells what it is: `synced` when the present states are complete, after the start and after each
   * reconnect; `gone` for a run that is no longer there; else the status of the run whose row it is.
   */
  async *watch({ signal, ...filter }: WatchOptions = {}): AsyncGenerator<WatchItem, void, undefined> {
    const queue = (
      await this.exchange.open(
        (sub) => ({ type: "watch", sub, ...filter }),
        (sub) => new WatchQueue(sub, filter.status),
        signal,
      )
    )[0];
    const abort = () => {
      this.exchange.leave(queue);
      queue.fail(signal?.reason);
    };
    signal?.addEventListener("abort", abort);
    try {
      while (!signal?.aborted) yield await queue.take();
      throw signal.reason;
    } finally {
      signal?.removeEventListener("abort", abort);
      this.exchange.leave(queue);
    }
  }
}
