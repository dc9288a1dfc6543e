/** Watching: the states of all of a user's runs or threads that match, and every change of them. */

import type { Status } from "./events.js";
import type { Exchange } from "./exchange.js";
import type * as frames from "./protocol/frames.js";
import type { JsonObject } from "./protocol/json.js";
import { Requests } from "./requests.js";
import type { ThreadFilter, ThreadWatchItem } from "./threads.js";
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
    options?: ThreadFilter & { signal?: AbortSignal },
  ): AsyncGenerator<ThreadWatchItem, void, undefined> {
    const { watchThreads } = await import("./threads.js");
    yield* watchThreads(this.exchange, options);
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
