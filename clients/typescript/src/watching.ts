/** Watching: the states of all of a user's runs or threads that match, and every change of them. */

import type { Status } from "./events.js";
import type { JsonObject } from "./protocol/json.js";
import { Requests } from "./requests.js";
import type { ThreadFilter, ThreadWatchItem } from "./threads.js";
import type { WatchItem } from "./watch_queue.js";

/** Which runs to watch; several fields are ANDed. */
export interface WatchOptions {
  graphs?: string[] | undefined;
  thread?: string | undefined;
  status?: Status[] | undefined;
  /** Only runs whose metadata contains this. */
  metadata?: JsonObject | undefined;
  /** Yield a row also when a run's log has grown (`row.head`), at most once a second for each run. */
  progress?: boolean | undefined;
  signal?: AbortSignal | undefined;
}

/** The part of a client that watches runs and threads. */
export class Watching extends Requests {
  /**
   * Iterate without end over this user's matching runs: first their present states, newest first, then every change,
   * including the one after which a run no longer matches.
   *
   * `item.status` tells what it is: `synced` when the present states are complete, after the start and after each
   * reconnect; `gone` for a run that is no longer there; else the status of the run whose row it is.
   */
  async *watch({ signal, ...filter }: WatchOptions = {}): AsyncGenerator<WatchItem, void, undefined> {
    const { watched, WatchQueue } = await import("./watch_queue.js");
    yield* watched(this.exchange, filter, (sub) => new WatchQueue(sub, filter.status), signal);
  }

  /**
   * Iterate without end over this user's matching threads: first their present rows, newest first, then every change of
   * a row: a new run, a status, a question, metadata; and the change after which a thread no longer matches.
   *
   * `item.status` is `synced` or `gone` as in `watch()`. Throws `Refused` with code `unsupported` if the server does not
   * know threads as objects.
   */
  async *watchThreads(
    options?: ThreadFilter & { signal?: AbortSignal | undefined },
  ): AsyncGenerator<ThreadWatchItem, void, undefined> {
    const { watchThreads } = await import("./threads.js");
    yield* watchThreads(this.exchange, options);
  }
}
