/**
 * The runs of one thread, one after the other, as one list of LangChain's events that any number of streams read.
 *
 * A watch of the thread names its runs, whoever starts them. The log attaches to those that are alive, in their order,
 * and keeps what they sent: LangChain's hooks open a stream anew whenever they want more, and expect everything again.
 * What a later event says again is dropped when a run is over: pieces of finished messages, older states.
 */

import type { Client, Mode, Refused, Run, RunOptions } from "../index.js";
import { EventStream, type ProtocolEvent, type Wanted } from "./event_stream.js";
import { RunEvents } from "./run_events.js";

/** Options of `graphwireStream()`. */
export interface ThreadOptions {
  /** Whether to receive the events of subgraphs; by default it is so. */
  subgraphs?: boolean | undefined;
}

const MODES: Mode[] = ["values", "messages", "updates", "custom"];
const ENDED = ["completed", "failed", "cancelled"];

/** The present run of a thread. */
interface Present {
  id: string;
  events?: RunEvents | undefined;
}

/** The events of one thread. */
export class ThreadLog {
  readonly #streams = new Set<EventStream>();
  readonly #closing = new AbortController();
  readonly #synced: Promise<void>;
  readonly #seen = new Set<string>();
  #events: ProtocolEvent[] = [];
  #line: Promise<void> = Promise.resolve(); // runs are read one after the other
  #sync = () => {};
  #isWatched = false;
  #last: Present | undefined;
  #values: { run: string; seq: number; data: unknown } | undefined; // the root's latest

  /** `before` is what an earlier log of the thread has `seen`, if the same page had one. */
  constructor(
    readonly client: Client,
    readonly graph: string,
    readonly thread: string,
    readonly options: ThreadOptions,
    readonly before?: ReadonlySet<string> | undefined,
  ) {
    this.#synced = new Promise((resolve) => {
      this.#sync = resolve;
    });
  }

  /** The `seq` of the last event. */
  seq = 0;

  /** The runs that are read, or that were over when it began to watch; undefined before that is known. */
  seen: ReadonlySet<string> | undefined;

  get isClosed(): boolean {
    return this.#closing.signal.aborted;
  }

  /** The run that is read; undefined before the first and when the last is over. */
  get present(): Run | undefined {
    const events = this.#last?.events;
    return events?.isOver ? undefined : events?.run;
  }

  /** The root's latest values, if they came behind `seq` or are of a run at work; else undefined. */
  valuesBehind(seq: number): unknown {
    const { run, seq: latest = 0, data } = this.#values ?? {};
    const isAtWork = run === this.present?.id && this.present?.status === "running";
    return latest > seq || isAtWork ? data : undefined;
  }

  get isUnused(): boolean {
    return !this.#streams.size;
  }

  /** Open a stream: everything so far that it wants, then what comes. */
  open(wanted: Wanted, onClose: () => void): EventStream {
    const stream = new EventStream(wanted, () => {
      this.#streams.delete(stream);
      onClose();
    });
    this.#streams.add(stream);
    for (const event of this.#events) stream.put(event);
    void this.watch();
    return stream;
  }

  /**
   * Hear which runs there are, from now on; resolves when all that are alive are known, or nothing can be heard.
   *
   * A state that is read behind that has what the runs wrote that are over.
   */
  watch(): Promise<void> {
    if (!this.#isWatched) {
      this.#isWatched = true;
      void this.#watch().finally(this.#sync);
    }
    return this.#synced;
  }

  /** Start a run of the thread. Throws what `client.run` throws. */
  async start(input: unknown, options: RunOptions): Promise<Run> {
    const id = `run-${crypto.getRandomValues(new Uint32Array(4)).join("-")}`;
    this.#seen.add(id);
    const run = await this.client.run(this.graph, input, {
      ...options,
      ...this.#view(),
      run: id,
      thread: this.thread,
    });
    this.#enqueue(id, run);
    return run;
  }

  /** Stop receiving events; the runs continue. */
  close(): void {
    this.#closing.abort();
    for (const stream of this.#streams) stream.end();
  }

  #view(): RunOptions {
    const { subgraphs = true } = this.options;
    return {
      modes: MODES,
      ...(subgraphs ? { namespaces: [["**"]] } : {}),
      values: "patch",
      signal: this.#closing.signal,
    };
  }

  // ── which runs there are ─────────────────────────────────────────────────────────────────────

  async #watch(): Promise<void> {
    const { client, graph, thread } = this;
    let listed: [string, string][] | undefined = [];
    try {
      for await (const row of client.watch({ graphs: [graph], thread, signal: this.#closing.signal })) {
        if (row.status === "gone") continue;
        if (row.status === "synced") {
          // Runs that are over when a page opens are in the thread's state. The list is newest first.
          const isWanted = ([run, status]: [string, string]) =>
            !ENDED.includes(status) || (this.before && !this.before.has(run));
          const wanted = (listed ?? []).filter(isWanted).reverse();
          for (const [run] of wanted) this.#enqueue(run);
          listed = undefined;
          this.seen = this.#seen;
          this.#sync();
        } else if (!this.#seen.has(row.run)) {
          this.#seen.add(row.run);
          if (listed) listed.push([row.run, row.status]);
          else this.#enqueue(row.run);
        }
      }
    } catch (error) {
      this.#fail(error);
    }
  }

  #enqueue(id: string, run?: Run): void {
    this.#line = this.#line.then(() => this.#read(id, run)).catch((error) => this.#fail(error));
  }

  #fail(error: unknown): void {
    if (this.#closing.signal.aborted) return;
    for (const stream of this.#streams) stream.end({ error });
  }

  // ── reading a run ────────────────────────────────────────────────────────────────────────────

  async #read(id: string, started: Run | undefined): Promise<void> {
    if (this.#closing.signal.aborted) return;
    const present: Present = { id };
    this.#last = present;
    const run = started ?? (await this.#attach(id));
    if (!run) return;
    const emit = (method: string, namespace: readonly string[], data: unknown, node?: string) =>
      this.#put(id, method, namespace, data, node);
    const events = new RunEvents(run, this.graph, emit, !started);
    present.events = events;
    const unlisten = run.onCaughtUp(() => events.goLive());
    try {
      // A loop ends at a question. One that takes a single event goes on behind it, whoever answers.
      for (;;) {
        const { done, value: event } = await run[Symbol.asyncIterator]().next();
        if (done) break;
        events.read(event);
      }
      events.goLive();
    } catch (error) {
      const { code, message } = error as Refused; // a closed connection has a number for its code
      if (typeof code !== "string") throw error;
      events.fail(message);
    } finally {
      unlisten();
      this.#compact();
    }
  }

  /** Attach to a run that somebody started, with what it records; undefined if it is gone. */
  async #attach(id: string): Promise<Run | undefined> {
    const view = this.#view();
    try {
      return await this.client.attach(id, view);
    } catch (error) {
      const { code, details } = error as Refused;
      if (code === "not_found") return undefined;
      const recorded = details?.recorded as
        | { modes?: Mode[] | undefined; subgraphs?: boolean | undefined }
        | undefined;
      if (!recorded?.modes) throw error;
      const modes = MODES.filter((mode) => recorded.modes?.includes(mode));
      const { namespaces, ...rest } = view;
      const isDeep = recorded.subgraphs !== false && namespaces;
      return this.client.attach(id, {
        ...rest,
        ...(isDeep ? { namespaces } : {}),
        modes: ["lifecycle", ...modes],
      });
    }
  }

  #put(run: string, method: string, namespace: readonly string[], data: unknown, node?: string): void {
    const params = {
      namespace: [...namespace],
      timestamp: Date.now(),
      data,
      ...(node === undefined ? {} : { node }),
    };
    this.seq += 1;
    const event: ProtocolEvent = {
      type: "event",
      event_id: `synth:${run}:${this.seq}`,
      seq: this.seq,
      method,
      params,
    };
    if (method === "values" && !namespace.length) this.#values = { run, seq: this.seq, data };
    // What was answered is not asked again when a stream opens anew.
    if (method === "lifecycle" && !namespace.length)
      this.#events = this.#events.filter(({ method }) => method !== "input.requested" || isAsked(data));
    this.#events.push(event);
    for (const stream of this.#streams) stream.put(event);
  }

  /** Drop what later events say again. */
  #compact(): void {
    const states = new Set<string>();
    const kept = this.#events.reverse().filter(({ method, params }) => {
      const { event } = params.data as { event?: string | undefined };
      if (method === "messages") return event !== "content-block-delta" && event !== "content-block-start";
      if (method !== "values") return true;
      const path = params.namespace.join("\0");
      return !states.has(path) && states.add(path);
    });
    this.#events = kept.reverse();
  }
}

function isAsked(data: unknown): boolean {
  return (data as { event: string }).event === "interrupted";
}
