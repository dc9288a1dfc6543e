/**
 * Requests with one reply each: lists, threads and their states, deletions.
 *
 * Few pages need most of them, so the code of lists, states and threads is loaded when it is needed first.
 */

import type { Status } from "./events.js";
import type { Exchange } from "./exchange.js";
import type { Listed } from "./lists.js";
import type * as frames from "./protocol/frames.js";
import type { JsonObject } from "./protocol/json.js";
import type { RunRow, ThreadRow } from "./rows.js";
import type { HistoryOptions, StateOptions, StateSnapshot } from "./state.js";

/** Which runs, or threads, a list holds; several fields are ANDed. */
export interface RunFilter {
  graph?: string | undefined;
  thread?: string | undefined;
  status?: Status[] | undefined;
  /** Only those whose metadata contains this. */
  metadata?: JsonObject | undefined;
}

/** How much of a list to read. */
export interface Listing {
  limit?: number | undefined;
  signal?: AbortSignal | undefined;
}

/** The part of a client that sends one request and returns its reply, or a list page by page. */
export class Requests {
  /** @internal */
  constructor(protected readonly exchange: Exchange) {}

  // ── lists ────────────────────────────────────────────────────────────────────────────────────

  /** Iterate over the graphs that the server offers this user. */
  graphs(options?: Listing): AsyncGenerator<frames.GraphRow, void, undefined> {
    return this.#rows("graphs", options);
  }

  /** Iterate over this user's runs, newest first, at most `limit`. Pages are requested as needed. */
  runs(options?: RunFilter & Listing): AsyncGenerator<RunRow, void, undefined> {
    return this.#rows("runs", options);
  }

  /**
   * Iterate over this user's threads, the last to change first, at most `limit`.
   *
   * `search` leaves only threads whose title, `metadata.title`, contains this text, whatever its case.
   */
  threads(
    options?: RunFilter & { search?: string | undefined } & Listing,
  ): AsyncGenerator<ThreadRow, void, undefined> {
    return this.#rows("threads", options);
  }

  async *#rows<R>(what: Listed, options?: RunFilter & Listing): AsyncGenerator<R, void, undefined> {
    const { rowsOf } = await import("./lists.js");
    yield* rowsOf<R>(this.exchange, what, options);
  }

  // ── threads ──────────────────────────────────────────────────────────────────────────────────

  /** Return the row of one thread; undefined if it has no run, no checkpoint and no metadata. */
  async thread(graph: string, thread: string): Promise<ThreadRow | undefined> {
    return (await this.threads({ graph, thread, limit: 1 }).next()).value as ThreadRow | undefined;
  }

  /**
   * Set keys of a thread's metadata, such as its `title`; return its row. Other keys stay, `null` removes one.
   *
   * The thread may be in use, or not exist yet: then it does from here on, without a run. Throws `Refused` with code
   * `limit_exceeded` for more metadata than the server keeps, `unsupported` if it does not know threads as objects.
   */
  async threadUpdate(graph: string, thread: string, metadata: JsonObject): Promise<ThreadRow> {
    const { updateThread } = await import("./threads.js");
    return updateThread(this.exchange, graph, thread, metadata);
  }

  /** Return a thread's state. A thread that was never written has no values and an empty `next`. */
  async state<S = unknown>(
    graph: string,
    thread: string,
    options?: StateOptions & { keys?: string[] | undefined; subgraphs?: boolean | undefined },
  ): Promise<StateSnapshot<S>> {
    const { readState } = await import("./state.js");
    return readState(this.exchange, graph, thread, options);
  }

  /** Iterate over a thread's states, newest first, at most `limit`; with `before`, a checkpoint's id, only earlier ones. */
  async *stateHistory<S = unknown>(
    graph: string,
    thread: string,
    options?: HistoryOptions,
  ): AsyncGenerator<StateSnapshot<S>, void, undefined> {
    const { readHistory } = await import("./state.js");
    yield* readHistory<S>(this.exchange, graph, thread, options);
  }

  /**
   * Write `values` into a thread's state as the node `asNode` would; return the new checkpoint's `config`.
   *
   * Throws `Refused` with code `busy` while a run writes to the thread, and `unavailable` if the connection was lost
   * before the reply: the update may have been written, and is not sent again.
   */
  async stateUpdate(
    graph: string,
    thread: string,
    values: unknown,
    options?: StateOptions & { asNode?: string | undefined; task?: string | undefined },
  ): Promise<JsonObject> {
    const { updateState } = await import("./state.js");
    return updateState(this.exchange, graph, thread, values, options);
  }

  /** Delete a `run`, or a `thread` of a `graph` with all its runs and checkpoints. */
  async delete(what: { run: string } | { graph: string; thread: string }): Promise<void> {
    await this.exchange.ask({ type: "delete", ...what });
  }
}
