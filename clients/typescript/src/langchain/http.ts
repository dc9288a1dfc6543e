/** A `fetch` for LangChain's client that answers from a graphwire client; nothing leaves the page by HTTP. */

import type { Client, Refused, StateSnapshot } from "../index.js";
import { valuesOf } from "./blocks.js";

/** The address that LangChain's client is given. */
export const URL_OF_GRAPHWIRE = "http://graphwire.invalid";

/** Return the `fetch` for one graph. */
export function answer(client: Client, graph: string): typeof fetch {
  return async (url, init) => {
    const [, kind, thread = "", what, run = "", verb] = new URL(String(url)).pathname
      .split("/")
      .map(decodeURIComponent);
    const method = init?.method ?? "GET";
    const call = `${method} ${kind} ${what} ${verb ?? ""}`.trim();
    try {
      if (call === "GET threads state" && !run) return reply(200, await stateOf(client, graph, thread));
      if (call === "POST threads history") {
        const asked = JSON.parse(String(init?.body ?? "{}"));
        return reply(200, await historyOf(client, graph, thread, asked));
      }
      if (call === "POST threads runs cancel") {
        await client.cancel(run);
        return reply(204, undefined);
      }
      return reply(501, { detail: `not_supported: ${call}; graphwire's own client has its like` });
    } catch (error) {
      const { code, message } = error as Refused;
      const statuses: { [code: string]: number } = { not_found: 404, forbidden: 403, conflict: 409 };
      return reply(statuses[code] ?? 400, { detail: message });
    }
  };
}

/** A reply whose values stay what they are: a state may hold what JSON cannot express. */
function reply(status: number, body: unknown): Response {
  return {
    ok: status < 300,
    status,
    statusText: "",
    headers: new Headers(),
    json: async () => body,
    text: async () => JSON.stringify(body),
  } as Response;
}

async function stateOf(client: Client, graph: string, thread: string): Promise<unknown> {
  const state = await client.state(graph, thread);
  const { next: _, tasks: __, ...rest } = shapeOf(state, thread);
  if (!state.interrupts.length) return rest;
  // A question that a run waits with comes with the run's events. One whose run is forgotten is only here.
  for await (const { status } of client.runs({ graph, thread, limit: 1 }))
    if (!["completed", "failed", "cancelled"].includes(status)) return rest;
  const interrupts = state.interrupts.map(({ id, value, namespace }) => ({ id, value, namespace }));
  return { ...rest, tasks: [{ interrupts }] };
}

async function historyOf(
  client: Client,
  graph: string,
  thread: string,
  asked: {
    limit?: number | undefined;
    before?: unknown;
    checkpoint?: { checkpoint_ns?: string | undefined; checkpoint_id?: string | undefined } | undefined;
  },
): Promise<unknown[]> {
  const { limit = 10, before, checkpoint: { checkpoint_ns, checkpoint_id } = {} } = asked;
  const ns = checkpoint_ns?.split(/[|\0]/).filter(Boolean);
  const states: unknown[] = [];
  for await (const state of client.stateHistory(graph, thread, {
    limit,
    ...(typeof before === "string" ? { before } : {}),
    ...(ns?.length ? { ns } : {}),
    ...(checkpoint_id ? { checkpoint: checkpoint_id } : {}),
  }))
    states.push(shapeOf(state, thread));
  return states;
}

/** Return a state as LangChain's `ThreadState`, which says in `next` what the hooks take for "nothing runs". */
function shapeOf(state: StateSnapshot, thread_id: string) {
  const { values, next, tasks, metadata, checkpoint, parentConfig, createdAt } = state;
  const { checkpoint_id: parent, checkpoint_ns = "" } = (parentConfig?.configurable ?? {}) as {
    checkpoint_id?: string | undefined;
    checkpoint_ns?: string | undefined;
  };
  const name = (id: string | undefined) => (id ? { thread_id, checkpoint_id: id, checkpoint_ns } : null);
  return {
    values: metadata ? valuesOf(values) : null,
    next,
    tasks,
    metadata,
    created_at: createdAt,
    checkpoint: name(checkpoint),
    parent_checkpoint: name(parent),
  };
}
