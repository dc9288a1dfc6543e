/** The states of threads, at their checkpoints: read, listed, written. `requests` loads this file on demand. */

import { type Interrupt, interruptsOf } from "./events.js";
import type { Exchange } from "./exchange.js";
import type * as frames from "./protocol/frames.js";
import { isObject, type JsonObject } from "./protocol/json.js";
import { restore } from "./protocol/projection.js";
import type { Listing } from "./requests.js";

const PAGE = 100;

/** What names a state of a thread: the latest checkpoint, or this one; `ns` is the path of a subgraph. */
export interface StateOptions {
  checkpoint?: string | undefined;
  ns?: string[] | undefined;
  signal?: AbortSignal | undefined;
}

/** Which states of a thread's history to list. */
export interface HistoryOptions extends StateOptions, Listing {
  keys?: string[] | undefined;
  /** A checkpoint's id: only earlier ones. */
  before?: string | undefined;
  /** Only checkpoints whose metadata contains this. */
  metadata?: JsonObject | undefined;
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

/** `client.state()`. */
export async function readState<S>(
  exchange: Exchange,
  graph: string,
  thread: string,
  {
    signal,
    ...options
  }: StateOptions & { keys?: string[] | undefined; subgraphs?: boolean | undefined } = {},
): Promise<StateSnapshot<S>> {
  return snapshotOf(await exchange.ask({ type: "state", graph, thread, ...options }, signal));
}

/** `client.stateHistory()`. */
export async function* readHistory<S>(
  exchange: Exchange,
  graph: string,
  thread: string,
  { signal, limit: left = Number.POSITIVE_INFINITY, before, ...options }: HistoryOptions = {},
): AsyncGenerator<StateSnapshot<S>, void, undefined> {
  while (left > 0) {
    const asked = { type: "state_history", graph, thread, ...options } as const;
    const page = await exchange.ask({ ...asked, before, limit: Math.min(left, PAGE) }, signal);
    for (const state of page.states ?? []) if (left-- > 0) yield snapshotOf(state);
    before = page.cursor;
    if (before === undefined) return;
  }
}

/** `client.stateUpdate()`. */
export async function updateState(
  exchange: Exchange,
  graph: string,
  thread: string,
  values: unknown,
  {
    signal,
    asNode,
    ...options
  }: StateOptions & { asNode?: string | undefined; task?: string | undefined } = {},
): Promise<JsonObject> {
  const fields = { values, ...options, as_node: asNode };
  const reply = await exchange.ask({ type: "state_update", graph, thread, ...fields }, signal);
  return restore(reply.config ?? {}) as JsonObject;
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
