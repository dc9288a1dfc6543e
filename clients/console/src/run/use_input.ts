/** What a run was started with, as far as anything tells. */

import type { Event } from "graphwire";
import { startOf } from "../starts";
import { inputInCheckpoint, inputInLog, inputInState, inputOfStart, type KnownInput } from "./input";
import type { RunLog } from "./log";
import type { Viewed } from "./page";
import { useAsked } from "./recorded";

export interface InputAnswer {
  readonly input: KnownInput | undefined;
  readonly isLoading: boolean;
  /** Why there is no input. */
  readonly why: string;
}

/** How far back in its thread the beginning of a run is looked for. */
const MOST_STATES = 500;

export function useKnownInput({ client, id, row, log, graph: served, recorded }: Viewed): InputAnswer {
  const near =
    inputInLog(eventsOf(log)) ??
    inputOfStart(startOf(id), row?.graph) ??
    inputInState(eventsOf(log), row, served, recorded.modes);
  const { graph, thread } = row ?? {};
  const isAsked = !near && row?.checkpoint !== undefined && thread !== undefined;
  const asked = useAsked(isAsked ? `${id} ${row.checkpoint}` : undefined, client, async (signal) => {
    if (!row || graph === undefined || thread === undefined) return null;
    for await (const state of client.stateHistory(graph, thread, { limit: MOST_STATES, signal })) {
      const found = inputInCheckpoint(state, row);
      if (found) return found;
    }
    return null;
  });
  if (near) return { input: near, isLoading: false, why: "" };
  if (asked.value) return { input: asked.value, isLoading: false, why: "" };
  const isLoading = !row || (isAsked && asked.value === undefined && !asked.error);
  return { input: undefined, isLoading, why: whyNot(thread, asked.error) };
}

function* eventsOf(log: RunLog): Iterable<Event> {
  for (const { event } of log.entries) yield event;
}

function whyNot(thread: string | undefined, error: Error | undefined): string {
  const where = thread === undefined ? "it has no thread" : "its thread does not hold it";
  const because = error ? `its thread cannot be read (${error.message})` : where;
  return (
    "The input of this run is unknown: servers do not keep inputs, this browser did not start the run, and " +
    `${because}. The input is known of runs on a thread, of those started here, and of those that record states ` +
    "(values) and what nodes do (tasks or updates)."
  );
}
