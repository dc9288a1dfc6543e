/** Requests with one reply each: lists, threads and their states, deletions. */

import { type Interrupt, interruptsOf, type Status } from "./events.js";
import type { Exchange } from "./exchange.js";
import type * as frames from "./protocol/frames.js";
import { isObject, type JsonObject } from "./protocol/json.js";
import { restore } from "./protocol/projection.js";
import { type RunRow, rowOf } from "./watch_queue.js";

const PAGE = 100;

/** What names a state of a thread: the latest checkpoint, or this one; `ns` is the path of a subgraph. */
export interface StateOptions {
  checkpoint?: string;
  ns?: string[];
  signal?: AbortSignal;
}

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

/** One task of a state, as LangGraph's `PregelTask`. */
export interface StateTask {
  readonly id: string;
  readonly name: string;
  readonly path: unknown;
  readonly error: unknown;
  readonly interrupts: readonly Interrupt[];
  /** For a subgraph: the `config` of its checkpoint, or its state if that was asked for. */
  readonly state: unknown;
  readonly result: unknown;
}

/** A thread at one checkpoint: LangGraph's `StateSnapshot`. */
export interface StateSnapshot<S = unknown> {
  readonly values: S;
  /** The nodes that run next, `[]` at the end of the graph. */
  readonly next: readonly string[];
  readonly tasks: readonly StateTask[];
  readonly interrupts: readonly Interrupt[];
  readonly metadata: unknown;
  readonly config: JsonObject;
  readonly parentConfig: JsonObject | undefined;
  readonly createdAt: string | undefined;
  /** The checkpoint's id, for `checkpoint` and `before`. */
  readonly checkpoint: string | undefined;
}

/** The part of a client that sends one request and returns its reply, or a list page by page. */
export class Requests {
  /** @internal */
  constructor(protected readonly exchange: Exchange) {}

  // ── lists ────────────────────────────────────────────────────────────────────────────────────

  /** Iterate over the graphs that the server offers this user. */
  graphs(options: Listing = {}): AsyncGenerator<frames.GraphRow, void, undefined> {
    return this.#pages({ type: "list", what: "graphs" }, "graphs", options);
  }

  /** Iterate over this user's runs, newest first, at most `limit`. Pages are requested as needed. */
  async *runs({
    limit,
    signal,
    ...filter
  }: RunFilter & Listing = {}): AsyncGenerator<RunRow, void, undefined> {
    const pages = this.#pages<frames.RunRow>({ type: "list", what: "runs", ...filter }, "runs", {
      limit,
      signal,
    });
    for await (const row of pages) yield rowOf(row);
  }

  /** Iterate over this user's threads, the last to change first, at most `limit`. */
  threads({
    limit,
    signal,
    ...filter
  }: Omit<RunFilter, "metadata"> & Listing = {}): AsyncGenerator<frames.ThreadRow, void, undefined> {
    return this.#pages({ type: "list", what: "threads", ...filter }, "threads", { limit, signal });
  }

  async *#pages<T>(
    asked: Omit<frames.List, "id"> | Omit<frames.StateHistory, "id">,
    rows: "runs" | "threads" | "graphs" | "states",
    { limit: left = Number.POSITIVE_INFINITY, signal }: Listing,
  ): AsyncGenerator<T, void, undefined> {
    while (left > 0) {
      const page = await this.exchange.ask({ ...asked, limit: Math.min(left, PAGE) }, signal);
      for (const row of page[rows] ?? []) if (left-- > 0) yield row as T;
      const { cursor } = page;
      if (cursor === undefined) return;
      asked = asked.type === "list" ? { ...asked, cursor } : { ...asked, before: cursor };
    }
  }

  // ── threads ──────────────────────────────────────────────────────────────────────────────────

  /** Return a thread's state. A thread that was never written has no values and an empty `next`. */
  async state<S = unknown>(
    graph: string,
    thread: string,
    { signal, ...options }: StateOptions & { keys?: string[]; subgraphs?: boolean } = {},
  ): Promise<StateSnapshot<S>> {
    return snapshotOf(await this.exchange.ask({ type: "state", graph, thread, ...options }, signal));
  }

  /** Iterate over a thread's states, newest first, at most `limit`; with `before`, a checkpoint's id, only earlier ones. */
  async *stateHistory<S = unknown>(
    graph: string,
    thread: string,
    {
      signal,
      limit,
      ...options
    }: StateOptions & { keys?: string[]; before?: string; limit?: number; metadata?: JsonObject } = {},
  ): AsyncGenerator<StateSnapshot<S>, void, undefined> {
    const asked = { type: "state_history", graph, thread, ...options } as const;
    for await (const state of this.#pages<frames.ThreadState>(asked, "states", { limit, signal }))
      yield snapshotOf(state);
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
    { signal, asNode, ...options }: StateOptions & { asNode?: string; task?: string } = {},
  ): Promise<JsonObject> {
    const fields = { values, ...options, as_node: asNode };
    return restore(
      (await this.exchange.ask({ type: "state_update", graph, thread, ...fields }, signal)).config ?? {},
    ) as JsonObject;
  }

  /** Delete a `run`, or a `thread` of a `graph` with all its runs and checkpoints. */
  async delete(what: { run: string } | { graph: string; thread: string }): Promise<void> {
    await this.exchange.ask({ type: "delete", ...what });
  }
}

function snapshotOf<S>(state: frames.Ok | frames.ThreadState): StateSnapshot<S> {
  const { next = [], tasks = [], interrupts = [], config = {} } = state;
  const { configurable } = config;
  return {
    values: restore(state.values) as S,
    next,
    tasks: tasks.map((task) => ({
      ...(restore(task) as StateTask),
      interrupts: interruptsOf(task.interrupts ?? []),
      state:
        isObject(task.state) && !("configurable" in task.state)
          ? snapshotOf(task.state as never)
          : restore(task.state),
    })),
    interrupts: interruptsOf(interrupts),
    metadata: restore(state.metadata),
    config: restore(config) as JsonObject,
    parentConfig: restore(state.parent_config) as JsonObject | undefined,
    createdAt: state.created_at,
    checkpoint: isObject(configurable) ? (configurable.checkpoint_id as string | undefined) : undefined,
  };
}
