/**
 * What a run was started with. A server keeps no inputs, but what it keeps may tell: the checkpoint that a run writes
 * of its input, in the log if it records checkpoints, or in its thread; and its first state. This browser knows what it
 * started itself.
 */

import type { Event, frames, RunRow, StateSnapshot } from "graphwire";
import type { Start } from "../starts";
import { isObject } from "./spans";

/** An input, and where it is from, as words behind "The input is". */
export interface KnownInput {
  readonly value: unknown;
  readonly from: string;
}

/** Return the input that the events of a run tell; undefined if none does. */
export function inputInLog(events: Iterable<Event>): KnownInput | undefined {
  for (const event of events) {
    if (event.namespace.length) continue;
    const data =
      event.mode === "debug" && isObject(event.data) && event.data.type === "checkpoint"
        ? event.data.payload
        : event.mode === "checkpoints"
          ? event.data
          : undefined;
    if (!isObject(data)) continue;
    const value = inputIn(data.metadata, data.values, data.tasks);
    // Only the first checkpoint is of the input; a later one of that kind would be of an answer.
    return value === undefined
      ? undefined
      : { value, from: "taken from the run’s first checkpoint, in its log" };
  }
  return undefined;
}

/**
 * Return the input that the first state of a run tells; undefined if none does, or if it may tell something else.
 *
 * Where nothing was before the run, its first state, before any node, is its input as the graph took it in. That it
 * is before any node is sure only if what nodes do is recorded, too. A key of the input that states do not show would
 * be missing without a trace.
 */
export function inputInState(
  events: Iterable<Event>,
  row: RunRow | undefined,
  graph: frames.GraphRow | undefined,
  modes: readonly string[],
): KnownInput | undefined {
  const isNew = row && (row.thread === undefined || row.checkpoint === "");
  const properties = graph?.input_schema?.properties;
  if (!isNew || !isObject(properties) || !NODES.some((mode) => modes.includes(mode))) return undefined;
  const keys = Object.keys(properties);
  const shown = graph?.output_keys;
  if (!keys.length || !Array.isArray(shown) || !keys.every((key) => shown.includes(key))) return undefined;
  const state = firstState(events);
  if (!isObject(state)) return undefined;
  const value = Object.fromEntries(keys.filter((key) => key in state).map((key) => [key, state[key]]));
  if (!isWhole(value)) return undefined;
  return {
    value,
    from: "taken from the run’s first state, before any node: keys left out have their defaults",
  };
}

/** The modes that tell of each node, of which one is recorded for sure before a state that a node made. */
const NODES = ["tasks", "updates", "debug"];

/** Return the state of the root graph before which nothing has happened but the run's beginning. */
function firstState(events: Iterable<Event>): unknown {
  let seq = 0;
  for (const event of events) {
    seq += 1;
    if (event.seq !== seq || event.namespace.length) return undefined; // what was before is not there any more
    if (event.mode === "values") return event.data;
    const isCheckpoint = event.mode === "debug" && isObject(event.data) && event.data.type === "checkpoint";
    if (event.mode !== "lifecycle" && event.mode !== "checkpoints" && !isCheckpoint) return undefined;
  }
  return undefined;
}

/** Return what this browser started the run with. */
export function inputOfStart(start: Start | undefined, graph: string | undefined): KnownInput | undefined {
  if (!start || (graph !== undefined && start.graph !== graph)) return undefined;
  return { value: start.input, from: "the one with which this browser started the run" };
}

/** Return the input in the checkpoint of a thread that a run wrote first; undefined if it is not that checkpoint. */
export function inputInCheckpoint(state: StateSnapshot, row: RunRow): KnownInput | undefined {
  if (row.checkpoint === undefined) return undefined;
  const before = state.parentConfig?.configurable;
  const parent = isObject(before) ? before.checkpoint_id : undefined;
  if ((parent ?? "") !== row.checkpoint) return undefined;
  const value = inputIn(state.metadata, state.values, state.tasks);
  return value === undefined
    ? undefined
    : { value, from: "taken from the run’s first checkpoint, in its thread" };
}

function inputIn(metadata: unknown, values: unknown, tasks: unknown): unknown {
  if (!isObject(metadata) || metadata.source !== "input") return undefined;
  if (Array.isArray(tasks))
    for (const task of tasks)
      if (isObject(task) && task.name === "__start__" && isWhole(task.result)) return task.result;
  const start = isObject(values) ? values.__start__ : undefined;
  return isWhole(start) ? start : undefined;
}

/** Tell whether a value is there, and nothing of it was cut. */
function isWhole(value: unknown): boolean {
  if (value === undefined || value === null) return false;
  if (!isObject(value)) return true;
  return !("$cut" in value) && Object.values(value).every((each) => !isObject(each) || !("$cut" in each));
}

/** Return where a run is started again: at the checkpoint of its thread from which it began, else in no thread. */
export function whereOf(row: RunRow | undefined): {
  thread: string | undefined;
  checkpoint: string | undefined;
} {
  if (!row?.thread || !row.checkpoint) return { thread: undefined, checkpoint: undefined };
  return { thread: row.thread, checkpoint: row.checkpoint };
}
