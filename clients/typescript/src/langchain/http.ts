/** A `fetch` for LangChain's client that answers from a graphwire client; nothing leaves the page by HTTP. */

import type { Client, Refused, StateSnapshot } from "../index.js";
import { valuesOf } from "./blocks.js";
import type { ThreadLog } from "./thread_log.js";

/** The address that LangChain's client is given. */
export const URL_OF_GRAPHWIRE = "http://graphwire.invalid";

type Body = { readonly [key: string]: unknown };

/** The logs of the threads that are shown. */
export interface Logs {
  /** The log of a thread; undefined if none is read. */
  logOf(thread: string): ThreadLog | undefined;
  /** The log of a thread, once it knows which of its runs are alive. */
  watched(thread: string): Promise<ThreadLog>;
}

/** Return the `fetch` for one graph. */
export function answer(client: Client, graph: string, logs: Logs): typeof fetch {
  return async (url, init) => {
    const [, kind, thread = "", what, run = "", verb] = new URL(String(url)).pathname
      .split("/")
      .map(decodeURIComponent);
    const method = init?.method ?? "GET";
    const call = `${method} ${kind} ${what} ${verb ?? ""}`.trim();
    try {
      if (call === "GET threads state" && !run) {
        // A run that ends between the state and the list of runs would be in neither.
        const log = await logs.watched(thread);
        const { seq } = log;
        const state = await stateOf(client, graph, thread);
        return reply(200, () => {
          const now = logs.logOf(thread);
          return now ? caughtUp(state, now, now === log ? seq : 0) : state;
        });
      }
      if (call === "POST threads history") {
        const asked = JSON.parse(String(init?.body ?? "{}"));
        const states = await historyOf(client, graph, thread, asked);
        return reply(200, () => states);
      }
      if (call === "POST threads runs cancel") {
        await client.cancel(run);
        return reply(204);
      }
      const detail = `not_supported: ${call}; graphwire's own client has its like`;
      return reply(501, () => ({ detail }));
    } catch (error) {
      const { code, message } = error as Refused;
      const statuses: { [code: string]: number } = { not_found: 404, forbidden: 403, conflict: 409 };
      return reply(statuses[code] ?? 400, () => ({ detail: message }));
    }
  };
}

/**
 * A reply whose values stay what they are: a state may hold what JSON cannot express. `body` is called when it is read.
 */
function reply(status: number, body: () => unknown = () => undefined): Response {
  return {
    ok: status < 300,
    status,
    statusText: "",
    headers: new Headers(),
    json: async () => body(),
    text: async () => JSON.stringify(body()),
  } as Response;
}

async function stateOf(client: Client, graph: string, thread: string): Promise<Body> {
  const state = await client.state(graph, thread);
  // The hooks drop events from before `created_at`. That is the server's clock, and events have this page's.
  const { next: _, tasks: __, created_at: ___, ...rest } = shapeOf(state, thread);
  if (!state.interrupts.length) return rest;
  // A question that a run waits with comes with the run's events. One whose run is forgotten is only here.
  for await (const { status } of client.runs({ graph, thread, limit: 1 }))
    if (!["completed", "failed", "cancelled"].includes(status)) return rest;
  const interrupts = state.interrupts.map(({ id, value, namespace }) => ({ id, value, namespace }));
  return { ...rest, tasks: [{ interrupts }] };
}

/**
 * Return a state that was asked for at `seq` of the thread's log, or what its events say instead.
 *
 * The hooks take the state for the newest there is, whenever it comes. Events may have been faster than the reply, or
 * than the checkpointer: then the values are theirs, and so are the questions.
 */
function caughtUp({ tasks, ...rest }: Body, log: ThreadLog, seq: number): Body {
  const values = log.valuesBehind(seq);
  return {
    ...rest,
    ...(tasks && log.seq === seq ? { tasks } : {}),
    ...(values === undefined ? {} : { values }),
  };
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
