/** Acting on runs that are found first: all that match, or the one that a thread waits with. `streams` loads this file on demand. */

import { Refused } from "./errors.js";
import type { Status } from "./events.js";
import { has } from "./protocol/json.js";
import { TERMINAL } from "./protocol/tables.js";
import type { RunFilter } from "./requests.js";
import type { Streams } from "./streams.js";

type AnyStreams = Streams<{ [graph: string]: { input: unknown; state: unknown } }>;
type Ids = { graph: string; thread: string };

const isOver = (status: string | undefined) => (TERMINAL as readonly unknown[]).includes(status);

/** `client.cancel()` with a filter. */
export async function cancelAll(
  client: AnyStreams,
  filter: RunFilter,
  reason: string | undefined,
): Promise<string[]> {
  // A variable that holds nothing by mistake would cancel everything.
  if (!Object.keys(filter).length || Object.values(filter).includes(undefined))
    throw new TypeError("cancel() needs the id of a run, or a filter with fields all given");
  const ids: string[] = [];
  const status: Status[] = ["queued", "running", "interrupted"];
  for await (const row of client.runs({ status, ...filter })) if (!isOver(row.status)) ids.push(row.run);
  const cancelled: string[] = [];
  for (const id of ids) {
    try {
      const then = await client.cancel(id, reason);
      if (then !== "completed" && then !== "failed") cancelled.push(id);
    } catch (error) {
      if (!(error instanceof Refused) || error.code !== "not_found") throw error; // deleted meanwhile
    }
  }
  return cancelled;
}

/** `client.respond()` with a thread: its interrupted run continues, or a new one if the server knows none. */
export async function respondTo(
  client: AnyStreams,
  { graph, thread }: Ids,
  responses: { readonly [id: string]: unknown } = {},
  { partial = false } = {},
): Promise<Status | undefined> {
  const where = { graph, thread };
  const waiting = await client.runs({ ...where, status: ["interrupted"], limit: 1 }).next();
  if (!waiting.done) return client.respond(waiting.value.run, responses, { partial });
  const { next, interrupts } = await client.state(graph, thread);
  if (!next.length && !interrupts.length)
    throw new Refused("conflict", `thread ${thread} of graph ${graph} waits for no answer`);
  const ids = Object.keys(responses);
  const unknown = ids.find((id) => !interrupts.some((asked) => asked.id === id));
  if (unknown !== undefined)
    throw new Refused("not_found", `thread ${thread} does not ask ${unknown}`, "never", undefined, {
      kind: "interrupt",
    });
  const open = interrupts.filter(({ id }) => !has(responses, id));
  if (open.length && !(partial && ids.length))
    throw new Refused("conflict", `thread ${thread} also asks ${open.map(({ id }) => id).join(", ")}`);
  const command = ids.length ? { resume: { ...responses } } : undefined;
  const run = await client.run(graph, undefined, { thread, ...(command && { command }) });
  run.detach();
  return run.status;
}
