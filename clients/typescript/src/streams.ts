/** Requests that open a stream: start a run, attach to a run; and acting on a run by its id. */

import { guarded, type Refused } from "./errors.js";
import { EventQueue } from "./event_queue.js";
import type { GapEvent, SnapshotEvent, Status } from "./events.js";
import type { Exchange } from "./exchange.js";
import type { From } from "./protocol/cursor.js";
import type * as frames from "./protocol/frames.js";
import type { JsonObject } from "./protocol/json.js";
import type { RunFilter } from "./requests.js";
import { LIFECYCLE, Run, type View } from "./run.js";
import { RunTracker } from "./run_tracker.js";
import { Watching } from "./watching.js";

/** A stream mode: LangGraph's, and the protocol's own. */
export type Mode = frames.Filter["modes"][number];

/** What a viewer most often wants: each step's update, tokens, and what the graph's writers write. */
export const DEFAULT_MODES: Mode[] = ["updates", "messages", "custom"];

/** The types of a server's graphs, by name: `connect<{chat: {input: ChatInput; state: ChatState}}>(url)`. */
export interface GraphTypes {
  input: unknown;
  state: unknown;
  context?: unknown;
}

type ContextOf<T> = T extends { context: infer C } ? C : unknown;

/** Which events of a run to receive, and how. */
export interface ViewOptions {
  /** LangGraph's stream modes. */
  modes?: Mode[] | undefined;
  /** Paths of subgraphs, such as `[["researcher"]]`; `[["**"]]` is all of them, the default is the root only. */
  namespaces?: string[][] | undefined;
  /** Globs of node names. */
  nodes?: string[] | undefined;
  /** Globs of tags; for tokens. */
  tags?: string[] | undefined;
  /** Names of keys of the state. */
  keys?: string[] | undefined;
  /** What to leave out: `namespaces`, `nodes`, `tags`. */
  exclude?: frames.Exclude | undefined;
  /** The whole log, the present state and what follows, what follows only, or what follows a position. */
  start?: From | undefined;
  /** How many events may wait for their reader, by default the client's. */
  window?: number | undefined;
  /** `patch` sends a state as the difference from the one before; the events hold whole states either way. */
  values?: "full" | "patch" | undefined;
  /** Aborting it unsubscribes: a loop throws the signal's reason, and the run continues on the server. */
  signal?: AbortSignal | undefined;
  /** Called when a snapshot has taken the place of events that were gone. */
  onHealed?: ((gap: GapEvent, snapshot: SnapshotEvent) => void) | undefined;
}

/** Where and how a run runs, and how it is viewed. */
export interface RunOptions<C = unknown> extends ViewOptions {
  /** The run's id, by default a new one. If the run exists, attach to it; so a start may be repeated. */
  run?: string | undefined;
  /** The conversation to continue, or to begin. */
  thread?: string | undefined;
  /** The checkpoint of the thread to start at, by default the latest. */
  checkpoint?: string | undefined;
  /** LangGraph's `Command`, instead of an input. */
  command?: frames.GraphCommand | undefined;
  /** LangGraph's config: `tags`, `configurable`, `recursion_limit` and others; the thread is no part of it. */
  config?: frames.RunConfig | undefined;
  /** LangGraph's runtime context. */
  context?: C | undefined;
  /** LangGraph's `interrupt_before`, `interrupt_after`, `output_keys`, `durability`, `version`. */
  options?: frames.RunOptions | undefined;
  /** What the log records beyond the filter, for later viewers. */
  record?: frames.RecordOptions | undefined;
  /** For finding the run in lists. */
  metadata?: JsonObject | undefined;
  /** What to do if the thread has a run: `reject` this one, `enqueue` it, or `interrupt` the other. */
  ifBusy?: NonNullable<frames.Run["if_busy"]> | undefined;
  /** `cancel` stops the run when this client is gone for good. */
  onDisconnect?: NonNullable<frames.Run["on_disconnect"]> | undefined;
}

/** The part of a client that opens streams. */
export class Streams<G extends { [N in keyof G]: GraphTypes }> extends Watching {
  /** @internal */
  constructor(
    exchange: Exchange,
    protected readonly window: number,
  ) {
    super(exchange);
  }

  /**
   * Start a run of `graph` and attach to its log before its first event.
   *
   * Input, context, config and command may hold what `projection` names: dates, sets, bytes, bigints. Throws `TypeError`
   * for a value that cannot be sent, `Refused` with code `not_found` for an unknown graph, `busy` for a thread that has
   * a run.
   */
  async run<N extends keyof G & string>(
    graph: N,
    input?: G[N]["input"],
    options: RunOptions<ContextOf<G[N]>> = {},
  ): Promise<Run<G[N]["state"]>> {
    const { view, others } = this.#view(options);
    const {
      run: id = `run-${crypto.getRandomValues(new Uint32Array(4)).join("-")}`,
      ifBusy: if_busy,
      onDisconnect: on_disconnect,
      ...fields
    } = others;
    const tracker = new RunTracker();
    const [queue, started] = await this.exchange.open<EventQueue, frames.Started>(
      (sub) => ({
        type: "run",
        run: id,
        graph,
        input,
        if_busy,
        on_disconnect,
        subscribe: [{ sub, ...view.spec }],
        ...fields,
      }),
      (sub) => new EventQueue(sub, tracker),
      view.signal,
    );
    tracker.status ??= started.status;
    const run = new Run<G[N]["state"]>(this.exchange, id, graph, view, tracker, queue);
    run.thread = started.thread;
    run.created = started.created;
    return run;
  }

  /**
   * Attach to a run that exists. `modes` are by default those of `DEFAULT_MODES` that the run records.
   *
   * Throws `Refused` with code `not_found` for an unknown run, `unsupported` for modes that it does not record.
   */
  async attach<S = unknown>(id: string, options: ViewOptions = {}): Promise<Run<S>> {
    const tracker = new RunTracker();
    const { view } = this.#view(options);
    try {
      const [queue] = await this.exchange.open(
        (sub) => ({ type: "subscribe", run: id, sub, ...view.spec }),
        (sub) => new EventQueue(sub, tracker),
        view.signal,
      );
      return new Run<S>(this.exchange, id, undefined, view, tracker, queue);
    } catch (error) {
      const { modes } = ((error as Refused | null)?.details?.recorded ?? {}) as {
        modes?: Mode[] | undefined;
      };
      if (options.modes || !modes) throw error;
      return this.attach(id, {
        ...options,
        modes: ["lifecycle", ...DEFAULT_MODES.filter((mode) => modes.includes(mode))],
      });
    }
  }

  /** Take the options of a view out of `options`. */
  #view(options: RunOptions): { view: View; others: Omit<RunOptions, keyof ViewOptions> } {
    const {
      modes = DEFAULT_MODES,
      namespaces,
      nodes,
      tags,
      keys,
      exclude,
      start,
      window,
      values,
      signal,
      onHealed,
      ...others
    } = options;
    const filter = { modes, namespaces, nodes, tags, keys, exclude } as frames.Filter;
    const spec = { filter, from: start, credit: window ?? this.window, values };
    return { view: { spec, signal, onHealed: guarded(onHealed) }, others };
  }

  // ── acting on a run by its id ────────────────────────────────────────────────────────────────

  /** Cancel the run with this id; return its status like `run.cancel()`. */
  cancel(run: string, reason?: string): Promise<Status | undefined>;
  /**
   * Cancel this user's runs that match, as in `runs()`, and have not ended; return their ids.
   *
   * A run that starts meanwhile may be missed. Throws `TypeError` for an empty filter, and for a field that is undefined.
   */
  cancel(runs: RunFilter, reason?: string): Promise<string[]>;
  async cancel(run: string | RunFilter, reason?: string): Promise<Status | string[] | undefined> {
    if (typeof run === "string") return this.#runOf(run).cancel(reason);
    const { cancelAll } = await import("./acting.js");
    return cancelAll(this as never, run, reason);
  }

  /**
   * Answer the questions of a run by its id, like `run.respond()`, or what a thread of a graph asks.
   *
   * The thread's interrupted run continues. If the server knows none, as after a restart, a new run does, with all
   * answers at once or `partial`. Throws `Refused` with code `conflict` for a thread that waits for no answer.
   */
  async respond(
    run: string | { graph: string; thread: string },
    responses?: { readonly [id: string]: unknown },
    options?: { partial?: boolean | undefined },
  ): Promise<Status | undefined> {
    if (typeof run === "string") return this.#runOf(run).respond(responses, options);
    const { respondTo } = await import("./acting.js");
    return respondTo(this as never, run, responses, options);
  }

  /** Wait for the end of a run by its id, and return its output like `run.result()`. */
  result<S = unknown>(run: string, signal?: AbortSignal): Promise<S> {
    return this.#runOf<S>(run).result(signal);
  }

  #runOf<S>(id: string): Run<S> {
    return new Run<S>(this.exchange, id, undefined, LIFECYCLE, new RunTracker());
  }
}
