/**
 * `graphwireStream()`: what `useStream` of `@langchain/react` is given to run over a graphwire client.
 *
 * LangChain's hooks speak in three ways: they send commands and open streams, both through `transport`, and they ask
 * for a thread's state, its history and a cancel over HTTP. For the last there is a `fetch` that answers from the same
 * client. What the protocol has and graphwire has not is refused as `not_supported`, with what to do instead.
 */

import type { AgentServerAdapter } from "@langchain/react";
import type { Client, GraphTypes, Refused, RunOptions } from "../index.js";
import type { EventStream, Wanted } from "./event_stream.js";
import { answer, URL_OF_GRAPHWIRE } from "./http.js";
import { ThreadLog, type ThreadOptions } from "./thread_log.js";

/** Options for `useStream`: spread them into its own. */
export interface GraphwireStream {
  readonly transport: AgentServerAdapter & { cancel(reason?: string): Promise<void> };
}

/**
 * Return the options with which one `useStream` runs over `client`, for any thread of `graph`.
 *
 *     const graphwire = useMemo(() => graphwireStream(client, "chat"), []);
 *     const stream = useStream({ ...graphwire, threadId, onThreadId });
 *
 * Each mounted `useStream` needs one of its own; all share the connection of the client. Spread them whole: beside
 * `transport` they hold what answers for a thread's state and for `stop()`.
 */
export function graphwireStream<G extends { [N in keyof G]: GraphTypes }>(
  client: Client<G>,
  graph: keyof G & string,
  options: ThreadOptions = {},
): GraphwireStream {
  const transport = new Adapter(client as unknown as Client, graph, options);
  const callerOptions = { fetch: answer(client as unknown as Client, graph, transport) };
  // LangChain's types forbid `callerOptions` beside a transport of one's own; its code takes them.
  return {
    transport: transport as unknown as GraphwireStream["transport"],
    callerOptions,
  } as GraphwireStream;
}

interface Command {
  id: number;
  method: string;
  params?: { [name: string]: unknown } | undefined;
}

/** What a command is refused with. */
class Unsupported extends Error {}

const INSTEAD: { [method: string]: string } = {
  "agent.getTree": "subgraphs are in stream.subgraphs",
  "input.inject": "start a run with submit()",
  "state.get": "use client.state(graph, thread)",
  "state.listCheckpoints": "use client.stateHistory(graph, thread)",
  "state.fork": "use submit(input, { forkFrom })",
};

const CODES: { [code: string]: string } = {
  forbidden: "permission_denied",
  not_found: "invalid_argument",
  unsupported: "not_supported",
  invalid_argument: "invalid_argument",
};

/** The transport of one `useStream`. */
class Adapter {
  /** The address under which LangChain's client asks; nothing is sent there. */
  readonly apiUrl = URL_OF_GRAPHWIRE;
  #log: ThreadLog | undefined;
  #next: ThreadLog | undefined; // of the thread whose state was asked for, and that may be shown soon
  #seen: { thread: string; runs: ReadonlySet<string> } | undefined; // by the last log
  #thread = "";

  constructor(
    readonly client: Client,
    readonly graph: string,
    readonly options: ThreadOptions,
  ) {}

  get threadId(): string {
    return this.#thread;
  }

  /** The log of a thread; undefined if its events are not read. */
  logOf(thread: string): ThreadLog | undefined {
    return [this.#log, this.#next].find((log) => log?.thread === thread);
  }

  /** The log of a thread, once it knows which runs are alive. */
  async watched(thread: string): Promise<ThreadLog> {
    for (;;) {
      const log = this.logOf(thread) ?? this.#new(thread);
      if (log !== this.#log && log !== this.#next) {
        this.#forget(this.#next);
        this.#next = log;
      }
      await log.watch();
      if (!log.isClosed) return log; // else the page was mounted again meanwhile
    }
  }

  setThreadId(thread: string): void {
    if (thread !== this.#thread) this.#forget(this.#log);
    this.#thread = thread;
  }

  async open(): Promise<void> {}

  async close(): Promise<void> {
    for (const log of [this.#log, this.#next]) if (log?.isUnused) this.#forget(log);
  }

  /** LangChain's hooks open streams instead. */
  async *events(): AsyncGenerator<never, void, undefined> {}

  openEventStream(wanted: Wanted): { events: EventStream; ready: Promise<void>; close(): void } {
    const log = this.#logOf();
    const events = log.open(wanted, () => log.isUnused && this.#forget(log));
    const isRefused = wanted.channels.includes("tasks");
    if (isRefused) events.close();
    const ready = isRefused
      ? Promise.reject(
          new Error("not_supported: the channel tasks; use client.attach(run, { modes: ['tasks'] })"),
        )
      : Promise.resolve();
    return { events, ready, close: () => events.close() };
  }

  /** Cancel the thread's present run, whoever started it. */
  async cancel(reason?: string): Promise<void> {
    const { present } = this.#logOf();
    await present?.cancel(reason);
  }

  async send({ id, method, params = {} }: Command): Promise<unknown> {
    const log = this.#logOf();
    const { seq } = log; // everything behind it is of the command
    try {
      let result = {};
      if (method === "run.start") result = { run_id: (await this.#start(log, params)).id };
      else if (method === "input.respond") await this.#respond(log, params);
      else throw new Unsupported(`${method}; ${INSTEAD[method] ?? "graphwire has nothing like it"}`);
      return { type: "success", id, result, meta: { applied_through_seq: seq } };
    } catch (error) {
      const { code = "", message } = error as Refused;
      const isUnsupported = error instanceof Unsupported;
      return {
        type: "error",
        id,
        error: isUnsupported ? "not_supported" : (CODES[code] ?? "unknown_error"),
        message: isUnsupported ? `not_supported: ${message}` : message,
      };
    }
  }

  #start(log: ThreadLog, params: NonNullable<Command["params"]>) {
    const { input, multitaskStrategy, metadata } = params;
    const { ifBusy, isRefused } = busyOf(multitaskStrategy);
    if (isRefused)
      throw new Unsupported(
        "multitaskStrategy 'rollback': a run cannot be undone; use 'interrupt', and fork",
      );
    // A run that waits for an answer makes way for a new input.
    const isAsking = log.present?.status === "interrupted" && ifBusy === "enqueue";
    return log.start(input ?? undefined, {
      ...configOf(params.config),
      ifBusy: isAsking ? "interrupt" : ifBusy,
      ...(metadata ? { metadata: metadata as RunOptions["metadata"] } : {}),
    } as RunOptions);
  }

  async #respond(log: ThreadLog, params: NonNullable<Command["params"]>): Promise<void> {
    const { responses, interrupt_id, response, update, goto, config, metadata } = params;
    const list = (responses ?? [{ interrupt_id, response }]) as { interrupt_id: string; response: unknown }[];
    const answers = Object.fromEntries(list.map((item) => [item.interrupt_id, item.response]));
    const { present } = log;
    const isPlain = [update, goto, config, metadata].every((part) => part === undefined || part === null);
    if (isPlain && present) {
      await present.respond(answers);
      return;
    }
    // With more than answers, or if the server forgot the run, a new one resumes the thread.
    await log.start(undefined, {
      ...configOf(config),
      command: { resume: answers, ...(update ? { update } : {}), ...(goto ? { goto } : {}) },
      ifBusy: "interrupt",
      ...(metadata ? { metadata: metadata as RunOptions["metadata"] } : {}),
    } as RunOptions);
  }

  #logOf(): ThreadLog {
    if (!this.#thread) throw new Error("no thread: useStream names one with its first submit()");
    if (!this.#log) {
      this.#log = this.logOf(this.#thread) ?? this.#new(this.#thread);
      if (this.#log === this.#next) this.#next = undefined;
    }
    return this.#log;
  }

  #new(thread: string): ThreadLog {
    const before = this.#seen?.thread === thread ? this.#seen.runs : undefined;
    return new ThreadLog(this.client, this.graph, thread, this.options, before);
  }

  #forget(log: ThreadLog | undefined): void {
    if (!log) return;
    log.close();
    if (log.seen) this.#seen = { thread: log.thread, runs: log.seen };
    if (this.#log === log) this.#log = undefined;
    if (this.#next === log) this.#next = undefined;
  }
}

function busyOf(strategy: unknown): { ifBusy: NonNullable<RunOptions["ifBusy"]>; isRefused: boolean } {
  const isKnown = strategy === "reject" || strategy === "interrupt";
  return { ifBusy: isKnown ? strategy : "enqueue", isRefused: strategy === "rollback" };
}

/** Split LangChain's config into graphwire's and the checkpoint to start at. */
function configOf(config: unknown): RunOptions {
  const { configurable = {}, ...rest } = (config ?? {}) as {
    configurable?: { [key: string]: unknown } | undefined;
  };
  const { thread_id: _, checkpoint_id: checkpoint, checkpoint_ns: __, ...own } = configurable;
  const kept = { ...rest, ...(Object.keys(own).length ? { configurable: own } : {}) };
  return {
    ...(Object.keys(kept).length ? { config: kept } : {}),
    ...(typeof checkpoint === "string" ? { checkpoint } : {}),
  };
}
