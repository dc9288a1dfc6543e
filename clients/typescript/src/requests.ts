/**
 * Requests with one reply each: lists, threads and their states, deletions.
 *
 * Few pages read states, so the code for them is loaded when it is needed first.
 */

import type { Status } from "./events.js";
import type { Exchange } from "./exchange.js";
import type * as frames from "./protocol/frames.js";
import type { JsonObject } from "./protocol/json.js";
import type { HistoryOptions, StateOptions, StateSnapshot } from "./state.js";
import { type RunRow, rowOf } from "./watch_queue.js";

const PAGE = 100;

/** Which runs a list holds; several fields are ANDed. */
export interface RunFilter {
  graph?: string;
  thread?: string;
  status?: Status[];
  /** Only runs whose metadata contains this. */
  metadata?: JsonObject;
}

/** How much of a list to read. */
export interface Listing {
  limit?: number;
  signal?: AbortSignal;
}

/** The part of a client that sends one request and returns its reply, or a list page by page. */
export class Requests {
  /** @internal */
  constructor(protected readonly exchange: Exchange) {}

  // ── lists ────────────────────────────────────────────────────────────────────────────────────

  /** Iterate over the graphs that the server offers this user. */
  graphs(options: Listing = {}): AsyncGenerator<frames.GraphRow, void, undefined> {
    return pages(this.exchange, { type: "list", what: "graphs" }, "graphs", options);
  }

  /** Iterate over this user's runs, newest first, at most `limit`. Pages are requested as needed. */
  async *runs({
    limit,
    signal,
    ...filter
  }: RunFilter & Listing = {}): AsyncGenerator<RunRow, void, undefined> {
    const rows = pages<frames.RunRow>(this.exchange, { type: "list", what: "runs", ...filter }, "runs", {
      limit,
      signal,
    });
    for await (const row of rows) yield rowOf(row);
  }

  /** Iterate over this user's threads, the last to change first, at most `limit`. */
  threads({
    limit,
    signal,
    ...filter
  }: Omit<RunFilter, "metadata"> & Listing = {}): AsyncGenerator<frames.ThreadRow, void, undefined> {
    return pages(this.exchange, { type: "list", what: "threads", ...filter }, "threads", { limit, signal });
  }

  // ── threads ──────────────────────────────────────────────────────────────────────────────────

  /** Return a thread's state. A thread that was never written has no values and an empty `next`. */
  async state<S = unknown>(
    graph: string,
    thread: string,
    options?: StateOptions & { keys?: string[]; subgraphs?: boolean },
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
    options?: StateOptions & { asNode?: string; task?: string },
  ): Promise<JsonObject> {
    const { updateState } = await import("./state.js");
    return updateState(this.exchange, graph, thread, values, options);
  }

  /** Delete a `run`, or a `thread` of a `graph` with all its runs and checkpoints. */
  async delete(what: { run: string } | { graph: string; thread: string }): Promise<void> {
    await this.exchange.ask({ type: "delete", ...what });
  }
}

/** Iterate over the rows of a list, page by page. */
export async function* pages<T>(
  exchange: Exchange,
  asked: Omit<frames.List, "id"> | Omit<frames.StateHistory, "id">,
  rows: "runs" | "threads" | "graphs" | "states",
  { limit: left = Number.POSITIVE_INFINITY, signal }: Listing,
): AsyncGenerator<T, void, undefined> {
  while (left > 0) {
    const page = await exchange.ask({ ...asked, limit: Math.min(left, PAGE) }, signal);
    for (const row of page[rows] ?? []) if (left-- > 0) yield row as T;
    const { cursor } = page;
    if (cursor === undefined) return;
    asked = asked.type === "list" ? { ...asked, cursor } : { ...asked, before: cursor };
  }
}
