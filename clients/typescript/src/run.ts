/**
 * `Run`: one run as a client sees it. Iterate over its events, await its result, answer it, cancel it.
 *
 * A `Run` remembers the position of the last event that was taken. Leaving a loop unsubscribes and stops nothing on
 * the server; the next loop continues after that position. Reconnecting happens below, in the `Reconnector`, and is
 * not visible here.
 */

import {
  guarded,
  Refused,
  RunCancelled,
  type RunEnded,
  RunFailed,
  RunInterrupted,
  RunLost,
} from "./errors.js";
import { EventQueue, type Item } from "./event_queue.js";
import { EventReader } from "./event_reader.js";
import {
  type Event,
  type GapEvent,
  type Interrupt,
  interruptsOf,
  type SnapshotEvent,
  type Status,
} from "./events.js";
import type { Exchange } from "./exchange.js";
import type { Message } from "./messages.js";
import type { Asked } from "./protocol/client.js";
import type { From } from "./protocol/cursor.js";
import type * as frames from "./protocol/frames.js";
import { restore } from "./protocol/projection.js";
import type { RunTracker } from "./run_tracker.js";

/** How a run is viewed: the fields of its subscription, and what ends or hears of it on this side. */
export interface View {
  spec: Omit<frames.Spec, "sub">;
  signal: AbortSignal | undefined;
  /** Called when a snapshot has taken the place of events that were gone. */
  onHealed?: ((gap: GapEvent, snapshot: SnapshotEvent) => void) | undefined;
}

/** Enough to see how a run ends: its lifecycle, which costs no credit. */
export const LIFECYCLE: View = { spec: { filter: { modes: ["lifecycle"] } }, signal: undefined };

/**
 * A run on the server, made by `client.run()` or `client.attach()`.
 *
 * `for await (const event of run)` yields the run's events in order, each once. It stops after the last event of a run
 * that ended, and after the last event of a run that is interrupted and was not answered. After `respond()` the same
 * loop continues, if it is called within the loop; otherwise iterate again. A new loop continues after the last event
 * that was taken, and ends an older loop.
 */
export class Run<S = unknown> implements AsyncIterable<Event<S>> {
  /** The run's thread; undefined if it has none, or if the run was attached to. */
  thread: string | undefined;
  /** Whether this client's request started the run, rather than found it. */
  created = false;
  readonly #exchange: Exchange;
  readonly #tracker: RunTracker;
  readonly #reader: EventReader<S>;
  #cursor: From;
  #queue: EventQueue | undefined;
  #isExhausted = false;
  #loop: object | undefined; // the loop that takes the events
  #knownOn: number | undefined; // the latest connection on which the server knew this run, by number
  readonly #caughtUp = new Set<() => void>();
  readonly #abort = () => this.detach();

  /** @internal */
  constructor(
    exchange: Exchange,
    readonly id: string,
    /** The graph's name; undefined for a run that was attached to. */
    readonly graph: string | undefined,
    /** @internal */
    readonly view: View,
    tracker: RunTracker,
    queue?: EventQueue,
  ) {
    this.#exchange = exchange;
    this.#cursor = view.spec.from ?? "start";
    this.#tracker = tracker;
    this.#reader = new EventReader(id);
    if (queue) this.#hold(queue);
  }

  // ── properties ───────────────────────────────────────────────────────────────────────────────

  /** The last event that was taken; `attach(id, { start: run.position })` continues there. Undefined before it is known. */
  get position(): frames.Position | undefined {
    this.#adoptStart();
    return typeof this.#cursor === "string" ? undefined : this.#cursor;
  }

  /** The latest known status, which may be ahead of the events taken; undefined before the first. */
  get status(): Status | undefined {
    return this.#tracker.status;
  }

  /** The questions that wait for an answer, as far as known. */
  get interrupts(): readonly Interrupt[] {
    return this.#tracker.interrupts;
  }

  /** The highest known `seq` of the log. */
  get head(): number {
    return Math.max(this.#tracker.head, this.#queue?.start?.head ?? 0);
  }

  /**
   * The messages so far, each the sum of its pieces, up to the last event that was taken.
   *
   * The list stays the same object until a message changes, and so does each message.
   */
  get messages(): readonly Message[] {
    return this.#reader.messages.list;
  }

  /** The state of the root graph at the last `values` event or snapshot that was taken. */
  get values(): S | undefined {
    return this.#reader.values;
  }

  /** Whether every event that there is has been taken: what comes next happens from now on. False while reconnecting. */
  get isCaughtUp(): boolean {
    return this.#isExhausted || (this.#queue !== undefined && this.#exchange.isLive(this.#queue));
  }

  /**
   * Call `listener` whenever a loop has taken all events that there are and waits for more: behind the events so far,
   * behind each that comes later, after a reconnect, and at the run's end. Return a function that ends it. A listener
   * that is given twice is called once.
   */
  onCaughtUp(listener: () => void): () => void {
    this.#caughtUp.add(listener);
    return () => this.#caughtUp.delete(listener);
  }

  // ── events ───────────────────────────────────────────────────────────────────────────────────

  [Symbol.asyncIterator](): AsyncIterableIterator<Event<S>> {
    const loop = { pause: undefined as number | undefined };
    this.#loop = loop;
    this.#queue?.readBy(loop);
    const end = () => {
      if (this.#loop === loop) this.detach();
      return { done: true, value: undefined } as const;
    };
    const iterator: AsyncIterableIterator<Event<S>> = {
      next: async () => {
        const event = await this.#next(loop);
        return event ? { done: false, value: event } : end();
      },
      // `break` and `return` come here: unsubscribe.
      return: async () => end(),
      [Symbol.asyncIterator]: () => iterator,
    };
    return iterator;
  }

  /** Wait for the next event and return it; undefined at the end of the loop. */
  async #next(loop: { pause: number | undefined }): Promise<Event<S> | undefined> {
    for (;;) {
      if (this.isCaughtUp) for (const listener of this.#caughtUp) guarded(listener)();
      if (this.#loop !== loop || this.#isExhausted) break;
      const isAnswered = loop.pause === undefined || loop.pause <= this.#tracker.answered;
      if (!isAnswered && !this.#queue?.length) return undefined;
      let queue = this.#queue;
      let item: Item | null;
      try {
        queue ??= await this.#attach(loop);
        item = await queue.take(loop);
      } catch (error) {
        if (queue) this.#leave(queue);
        throw this.#explained(error);
      }
      if (!item) continue; // another loop took over, or this one was left
      const event = this.#taken(queue, item);
      if (!event) continue;
      const isPause =
        (event.mode === "lifecycle" || event.mode === "snapshot") && event.status === "interrupted";
      loop.pause = isPause && event.seq >= (queue.start?.head ?? 0) ? event.seq : undefined;
      return event;
    }
    this.view.signal?.throwIfAborted();
    if (this.#loop && this.#loop !== loop) throw new TypeError("another loop took over: attach again");
    return undefined;
  }

  async #attach(loop: object): Promise<EventQueue> {
    const { spec, signal } = this.view;
    const make = (sub: number): Asked => ({
      type: "subscribe",
      run: this.id,
      ...spec,
      sub,
      from: this.#cursor,
    });
    const queueOf = (sub: number) => new EventQueue(sub, this.#tracker);
    const [queue] = await this.#exchange.open(make, queueOf, signal);
    if (this.#queue || this.#loop !== loop) {
      this.#exchange.leave(queue); // another loop was faster, or this one was left meanwhile
      return this.#queue ?? queue;
    }
    queue.readBy(loop);
    this.#hold(queue);
    return queue;
  }

  /** Receive into a queue until it is left. The signal may live longer than that, and would keep the run. */
  #hold(queue: EventQueue): void {
    const { signal } = this.view;
    this.#queue = queue;
    this.#knownOn = this.#exchange.connections;
    if (signal?.aborted) this.detach();
    else signal?.addEventListener("abort", this.#abort);
  }

  /** Move the cursor past a frame that was taken; return its event, undefined if it is none. */
  #taken(queue: EventQueue, { frame, epoch }: Item): Event<S> | undefined {
    this.#adoptStart();
    if (frame.type === "closed") {
      this.#leave(queue);
      if (frame.reason !== "end")
        throw new Refused(
          frame.reason === "forbidden" ? "forbidden" : "not_found",
          `closed: ${frame.reason}`,
        );
      this.#isExhausted = true;
      return undefined;
    }
    if (frame.type !== "event" && frame.type !== "gap" && frame.type !== "snapshot") return undefined;
    // Between a gap and its snapshot the cursor stays, so that a reconnect brings both again.
    if (frame.type !== "gap" && epoch !== undefined) this.#cursor = { epoch, seq: frame.seq };
    if (frame.type === "event") this.#exchange.took(queue, frame.mode);
    const event = this.#reader.read(frame);
    if (event.mode === "snapshot" && event.heals) {
      this.view.onHealed?.(event.heals, event);
    }
    return event;
  }

  /** Turn "now" or "snapshot" into the position where the first subscription started; later ones continue there. */
  #adoptStart(): void {
    const start = this.#queue?.start;
    if (typeof this.#cursor === "string" && start?.epoch !== undefined && start.after !== undefined)
      this.#cursor = { epoch: start.epoch, seq: start.after };
  }

  #leave(queue: EventQueue): void {
    this.#adoptStart();
    if (this.#queue === queue) {
      this.#queue = undefined;
      this.view.signal?.removeEventListener("abort", this.#abort);
    }
    this.#exchange.leave(queue);
  }

  /** Stop receiving events; a loop over this run ends. The run continues on the server. */
  detach(): void {
    this.#loop = undefined;
    const queue = this.#queue;
    queue?.readBy(undefined);
    if (queue) this.#leave(queue);
  }

  // ── requests ─────────────────────────────────────────────────────────────────────────────────

  async #ask(type: "respond" | "cancel" | "delete" | "result", more?: object, signal?: AbortSignal) {
    try {
      const reply = await this.#exchange.ask({ type, run: this.id, ...more } as Asked, signal);
      this.#knownOn = this.#exchange.connections;
      return reply;
    } catch (error) {
      throw this.#explained(error);
    }
  }

  /** Return `RunLost` if the server knew this run on an earlier connection and does not any more, else `error`. */
  #explained(error: unknown): unknown {
    const isUnknown = error instanceof Refused && error.details.kind === "run"; // only `not_found` has a kind
    return isUnknown && (this.#knownOn as number) < this.#exchange.connections
      ? new RunLost(this.id, this.graph, this.thread)
      : error;
  }

  /**
   * Answer the questions of an interrupted run, `{[interrupt's id]: value}`; return its new status.
   *
   * Once every question has its answer the run continues in the same log, and the status is `running`; until then it is
   * `interrupted`. With `partial` the run continues at once. A static breakpoint asks nothing: call `respond()`.
   *
   * Throws `Refused` with code `not_found` for an interrupt that is not open, and `conflict` if the question was
   * answered already or the run is not interrupted. If the connection is lost before the reply, the answer is sent
   * again; `conflict` may then mean that it had arrived.
   */
  async respond(
    responses: { readonly [id: string]: unknown } = {},
    { partial = false } = {},
  ): Promise<Status | undefined> {
    const tracker = this.#tracker;
    const pause = tracker.status === "interrupted" ? tracker.pause : undefined;
    const { resumed } = tracker;
    const { status } = await this.#ask("respond", {
      responses: Object.entries(responses).map(([interrupt, value]) => ({ interrupt, value })),
      partial,
    });
    if (status !== "interrupted") tracker.answer(Object.keys(responses), pause, resumed);
    return status;
  }

  /** Answer the one question that the run asks. Throws `TypeError` unless exactly one question is known. */
  async answer(value: unknown): Promise<Status | undefined> {
    const [asked, ...more] = this.interrupts;
    if (!asked || more.length)
      throw new TypeError(`${this.interrupts.length} open questions: respond({ id: value })`);
    return this.respond({ [asked.id]: value });
  }

  /** Cancel the run; return its status: a queued or interrupted one is `cancelled` at once. */
  async cancel(reason?: string): Promise<Status | undefined> {
    return (await this.#ask("cancel", { reason })).status;
  }

  /** Delete the run, its log and its result; its thread stays. */
  async delete(): Promise<void> {
    await this.#ask("delete");
  }

  /**
   * Wait for the run's end and return its output, as LangGraph's `invoke` does.
   *
   * Throws `RunFailed`, `RunCancelled` or `RunInterrupted`, and `Refused` with code `too_large` for an output over the
   * server's `max_event_bytes`. It needs no loop over the events, and does not disturb one.
   */
  async result(signal?: AbortSignal): Promise<S> {
    for (;;) {
      const { status, output, interrupts } = await this.#ask("result", undefined, signal);
      if (status === "completed") {
        const value = restore(output);
        if (!interrupts) return value as S;
        throw new RunInterrupted(this.id, interruptsOf(interrupts), value, true);
      }
      const hasEnded = status === "failed" || status === "cancelled";
      if (this.#tracker.status !== status || !hasEnded) {
        const events = new Run(this.#exchange, this.id, this.graph, { ...LIFECYCLE, signal }, this.#tracker);
        events.thread = this.thread;
        events.#knownOn = this.#knownOn;
        for await (const _ of events); // until it has ended or is interrupted
      }
      if (hasEnded || (status === "interrupted" && this.#tracker.status === status))
        throw this.#errorFor(status);
    }
  }

  #errorFor(status: Status): RunEnded {
    const { reason, interrupts, failure } = this.#tracker;
    if (status === "cancelled") return new RunCancelled(this.id, reason);
    if (status === "interrupted") return new RunInterrupted(this.id, interrupts);
    return new RunFailed(this.id, failure ?? { code: "lost", message: "unknown" });
  }
}
