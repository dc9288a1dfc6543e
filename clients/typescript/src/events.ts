/**
 * The events of a run: one shape for each mode, made for `switch (event.mode)`.
 *
 * `event_reader` makes them from the protocol's frames.
 */

import type { Message } from "./messages.js";
import type { AskedInterrupt, PendingInterrupt, Failure as WireFailure } from "./protocol/frames.js";
import { isObject } from "./protocol/json.js";
import { restore } from "./protocol/projection.js";
import type { STATUSES } from "./protocol/tables.js";

/** The status of a run. */
export type Status = (typeof STATUSES)[number];

/**
 * A question that a graph asked with `interrupt(value)` and that has no answer yet.
 *
 * `id` names it in `run.respond({[id]: answer})`; `namespace` is the path of the subgraph that asks.
 * `responseSchema` is the JSON Schema that the server checks the answer against.
 */
export interface Interrupt {
  readonly id: string;
  readonly value: unknown;
  readonly namespace: readonly string[];
  readonly responseSchema: { readonly [key: string]: unknown } | undefined;
}

/** Why a run failed; see `RunFailed` for the fields. */
export interface Failure {
  readonly code: string;
  readonly message: string;
  readonly errorId?: string | undefined;
  readonly type?: string | undefined;
}

/**
 * What all events have in common.
 *
 * `seq` is the event's position in its log, from 1. `namespace` is the subgraph's path (`[]` is the root), `node` the
 * name of the node if the server says it. `cutBytes` is the size of data that is larger than the server's
 * `max_event_bytes` and was not sent; `data` then only stands for it.
 */
export interface RunEvent {
  readonly run: string;
  readonly seq: number;
  readonly namespace: readonly string[];
  readonly node: string | undefined;
  readonly cutBytes: number | undefined;
}

/** `data` is the state after a step, `interrupts` the questions that LangGraph yields with it. */
export interface ValuesEvent<S = unknown> extends RunEvent {
  readonly mode: "values";
  readonly data: S;
  readonly interrupts: readonly Interrupt[] | undefined;
}

/** `data` is `{node: update}`; when LangGraph yields interrupts instead, it is empty and `interrupts` holds them. */
export interface UpdatesEvent extends RunEvent {
  readonly mode: "updates";
  readonly data: { readonly [node: string]: unknown };
  readonly interrupts: readonly Interrupt[] | undefined;
}

/** `data` is what a node passed to its stream writer. */
export interface CustomEvent extends RunEvent {
  readonly mode: "custom";
  readonly data: unknown;
  readonly taskNamespace: readonly string[] | undefined;
}

/**
 * A piece of a message, or a whole one (`isWhole`), which replaces what came before with its `call`.
 *
 * `message.call` names the call of a model that wrote it, uniquely in the run: pieces with the same `call` add up,
 * as `run.messages` does. `discard`: the node failed and begins again; drop what you have of the `call`.
 */
export interface MessagesEvent extends RunEvent {
  readonly mode: "messages";
  readonly message: Message;
  readonly isWhole: boolean;
  readonly discard: boolean;
}

/** `data` as LangGraph's mode of that name yields it. */
export interface TasksEvent extends RunEvent {
  readonly mode: "tasks";
  readonly data: unknown;
}
/** `data` as LangGraph's mode of that name yields it. */
export interface CheckpointsEvent extends RunEvent {
  readonly mode: "checkpoints";
  readonly data: unknown;
}
/** `data` as LangGraph's mode of that name yields it. */
export interface DebugEvent extends RunEvent {
  readonly mode: "debug";
  readonly data: unknown;
}

/** The run pauses: `interrupts` are all open questions, `[]` at a static breakpoint. */
export interface InterruptEvent extends RunEvent {
  readonly mode: "interrupt";
  readonly interrupts: readonly Interrupt[];
}

/**
 * The run has a new `status`, since `at` (RFC 3339).
 *
 * `attempt` counts from 1 and rises when another process takes over the run and repeats its last step. `voidAfter` is
 * then the `seq` behind which all that the graph said before this event is void, in every mode: drop it, it comes again.
 * `discard` holds the `call` of each message among that.
 */
export interface LifecycleEvent extends RunEvent {
  readonly mode: "lifecycle";
  readonly status: Status;
  readonly attempt: number;
  readonly at: string;
  readonly reason: string | undefined;
  readonly error: Failure | undefined;
  readonly discard: readonly string[];
  readonly voidAfter: number | undefined;
}

/**
 * The events after `afterSeq`, up to and including `uptoSeq`, are no longer available.
 *
 * A `SnapshotEvent` follows and replaces them, except for events of the modes in `lost`.
 */
export interface GapEvent extends RunEvent {
  readonly mode: "gap";
  readonly afterSeq: number;
  readonly uptoSeq: number;
  readonly reason: string;
  readonly lost: readonly string[];
}

/**
 * The run as it was at `seq`. It replaces everything that was shown before.
 *
 * `values` is the state of the root graph, undefined if the filter or the run's log has no values. `heals` is the gap
 * that it fills, undefined if the application asked for a snapshot to start with.
 */
export interface SnapshotEvent<S = unknown> extends RunEvent {
  readonly mode: "snapshot";
  readonly status: Status;
  readonly values: S | undefined;
  readonly messages: readonly Message[];
  readonly interrupts: readonly Interrupt[];
  readonly heals: GapEvent | undefined;
}

/** An event whose mode or data this version does not know; `name` is its mode, `data` is as it was sent. */
export interface UnknownEvent extends RunEvent {
  readonly mode: "unknown";
  readonly name: string;
  readonly data: unknown;
}

/** Everything that iterating over a run yields. */
export type Event<S = unknown> =
  | ValuesEvent<S>
  | UpdatesEvent
  | CustomEvent
  | MessagesEvent
  | TasksEvent
  | CheckpointsEvent
  | DebugEvent
  | InterruptEvent
  | LifecycleEvent
  | GapEvent
  | SnapshotEvent<S>
  | UnknownEvent;

/** Return the size of what `data` stands for, undefined if it is all there. */
export function cutBytes(data: unknown): number | undefined {
  const cut = isObject(data) ? data.$cut : undefined;
  return isObject(cut) && cut.reason === "size" ? Number(cut.bytes) : undefined;
}

/** Return questions as they are on the wire as `Interrupt`s. */
export function interruptsOf(pending: readonly (PendingInterrupt | AskedInterrupt)[]): Interrupt[] {
  return pending.map((item) => ({
    id: item.id,
    value: restore(item.value),
    namespace: ("ns" in item && item.ns) || [],
    responseSchema: item.response_schema,
  }));
}

/** Return why a run failed; undefined if it did not. */
export function failureOf(error: WireFailure | undefined): Failure | undefined {
  return error && { code: error.code, message: error.message, errorId: error.error_id, type: error.type };
}
