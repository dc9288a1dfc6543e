/**
 * Following a thread: its messages so far, the run that executes, and every later one, without a hole.
 *
 * Three things are read beside each other. One watch names the runs of the thread, each with its number and the
 * checkpoint that it began from (`follow_order` keeps the order). The log of one run is read at a time, from its start.
 * The thread's state is asked for where only it is exact: before a run, and after it unless the run's own values said
 * the same. A state read after run `k` may be touched by `k + 1` already. The reply names the latest run that had begun,
 * so such a state is not taken: `k + 1` names the checkpoint that it began from.
 *
 * Where the numbers have a hole, or a run's log is gone, everything begins anew from the state, and the reader gets a
 * `FollowDiscard`.
 *
 * Few pages follow threads, so `client.follow()` imports this file when it is called first.
 */

import { guarded, Refused } from "./errors.js";
import type { Event, GapEvent, SnapshotEvent } from "./events.js";
import type { Exchange } from "./exchange.js";
import type { FollowEvent, FollowMessages } from "./follow_events.js";
import { FollowedLog } from "./follow_log.js";
import { isSame, isTerminal, type Label, labelOf, RunOrder } from "./follow_order.js";
import { Anew, isNotFound, type Read, ThreadRequests } from "./follow_requests.js";
import { StateMessages, ThreadView } from "./follow_view.js";
import { ThreadWatch } from "./follow_watch.js";
import type { Message } from "./messages.js";
import type * as frames from "./protocol/frames.js";
import { Run } from "./run.js";
import { RunTracker } from "./run_tracker.js";
import type { Mode, ViewOptions } from "./streams.js";

/** What a chat page shows: tokens, and what the graph's writers write. */
const FOLLOWED_MODES: Mode[] = ["messages", "custom"];

/** Which events of the thread's runs to receive. A run that does not record all `modes` is read with those it does. */
export interface FollowOptions extends Omit<ViewOptions, "start" | "keys" | "values"> {
  /** The key of the state that holds the messages, by default `messages`. */
  key?: string | undefined;
}

type Events<S> = AsyncGenerator<FollowEvent<S>, void, undefined>;

/**
 * What `client.follow()` returns: an async iterator without end, and the thread's messages as they are.
 *
 * Leaving the loop, `return()` and aborting the signal end it; runs continue.
 */
export class ThreadFollower<S = unknown> implements AsyncIterableIterator<FollowEvent<S>> {
  readonly #exchange: Exchange;
  readonly #filter: frames.Filter;
  readonly #window: number;
  readonly #onHealed: ((gap: GapEvent, snapshot: SnapshotEvent) => void) | undefined;
  readonly #order = new RunOrder();
  readonly #view = new ThreadView();
  readonly #messages: StateMessages;
  readonly #requests: ThreadRequests;
  readonly #over = new AbortController();
  readonly #events: Events<S>;
  #watch: ThreadWatch | undefined;
  #run: Run<S> | undefined;
  /** Ends the reading of the present run. */
  #runOver: AbortController | undefined;
  readonly #caughtUp = new Set<() => void>();
  #isIdle = false; // while waiting for the next run
  #settled: readonly Message[] | undefined; // the messages of the last state

  /** @internal */
  constructor(
    exchange: Exchange,
    readonly graph: string,
    readonly thread: string,
    { key = "messages", window: own, signal, onHealed, modes = FOLLOWED_MODES, ...filter }: FollowOptions,
    window: number,
  ) {
    this.#exchange = exchange;
    this.#filter = { modes, ...filter } as frames.Filter;
    this.#window = own ?? window;
    this.#onHealed = onHealed;
    this.#messages = new StateMessages(key);
    this.#requests = new ThreadRequests(exchange, graph, thread, this.#messages, this.#over.signal);
    this.#events = this.#follow();
    if (signal?.aborted) this.#end(signal.reason);
    // A signal may live longer than what it ends.
    else signal?.addEventListener("abort", () => this.#end(signal.reason), { signal: this.#over.signal });
  }

  // ── the reader ───────────────────────────────────────────────────────────────────────────────

  /**
   * The thread's messages now, the ones that are being written included: what a chat page shows.
   *
   * The list stays the same object until a message changes, and so does each message.
   */
  get messages(): readonly Message[] {
    return this.#view.messages;
  }

  /** The run whose events are read, to cancel or to answer; undefined between runs. Do not iterate over it. */
  get run(): Run<S> | undefined {
    return this.#run;
  }

  /** Whether every event that there is has been taken: what comes next happens from now on. False while reconnecting. */
  get isCaughtUp(): boolean {
    return this.#run?.isCaughtUp ?? (this.#isIdle && this.#exchange.isOpen && !!this.#watch?.isCurrent);
  }

  /** Call `listener` whenever all events that there are have been taken; see `Run.onCaughtUp()`. */
  onCaughtUp(listener: () => void): () => void {
    this.#caughtUp.add(listener);
    return () => this.#caughtUp.delete(listener);
  }

  readonly #tellCaughtUp = () => {
    for (const listener of this.#caughtUp) guarded(listener)();
  };

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** Wait for the next event. Throws the signal's reason once that is aborted, and `Refused`. */
  async next(): Promise<IteratorResult<FollowEvent<S>, undefined>> {
    const { aborted, reason } = this.#over.signal;
    try {
      const step = await (aborted ? this.#events.throw(reason) : this.#events.next());
      if (step.done) return { done: true, value: undefined };
      this.#view.apply(step.value);
      return step;
    } catch (error) {
      if (error !== LEFT) throw error;
      return { done: true, value: undefined };
    }
  }

  /** End the loop, and stop receiving events. Runs continue on the server. */
  async return(): Promise<IteratorReturnResult<undefined>> {
    this.#end(LEFT);
    await this.#events.return(); // behind a `next()` that waits
    return { done: true, value: undefined };
  }

  /** End everything that waits with `reason`; the first call decides which it is. */
  #end(reason: unknown): void {
    this.#over.abort(reason);
    this.#runOver?.abort(reason);
    this.#requests.wake();
    if (!this.#watch) return;
    this.#exchange.leave(this.#watch);
    this.#watch.fail(reason);
  }

  // ── all runs ─────────────────────────────────────────────────────────────────────────────────

  async *#follow(): Events<S> {
    const { signal } = this.#over;
    try {
      const [watch] = await this.#exchange.open(
        (sub) => ({ type: "watch", sub, graphs: [this.graph], thread: this.thread }),
        (sub) => new ThreadWatch(sub, this.#order, this.#exchange),
        signal,
      );
      this.#watch = watch;
      signal.throwIfAborted();
      if (!this.#exchange.welcome?.minor)
        throw new Refused("unsupported", "the server is too old to follow a thread: it does not number runs");
      let anew: Anew | undefined;
      for (;;) {
        try {
          yield* this.#begin(watch, anew);
          yield* this.#followRuns(watch);
        } catch (error) {
          if (!(error instanceof Anew)) throw error;
          anew = error;
        }
      }
    } finally {
      this.#end(LEFT);
    }
  }

  async *#followRuns(watch: ThreadWatch): AsyncGenerator<FollowEvent<S>, never, undefined> {
    for (;;) {
      const row = watch.isCurrent ? this.#order.following() : undefined;
      if (row === "missed") throw new Anew(row);
      if (row) {
        yield* this.#followRun(watch, row);
        this.#order.done();
      } else if (watch.isSynced && !watch.isCurrent) yield* this.#refresh(watch);
      else {
        this.#isIdle = true;
        if (this.isCaughtUp) this.#tellCaughtUp();
        await watch.change();
        this.#isIdle = false;
      }
    }
  }

  /** Begin, or begin anew, from the thread's state. */
  async *#begin(watch: ThreadWatch, anew: Anew | undefined): Events<S> {
    const order = this.#order;
    if (anew) {
      const { reason, run } = anew;
      if (run !== undefined) order.forget(run);
      yield { mode: "discard", reason, run: reason === "lost" ? run : undefined };
    }
    while (!watch.isSynced) await watch.change();
    const { now: before } = order;
    const event = await this.#startFrom(await this.#readNow(watch), before);
    if (event) yield event;
  }

  #readNow(watch: ThreadWatch): Promise<Read> {
    return watch.compare(() => this.#requests.read());
  }

  /** Go on behind a state; return what to show of it, undefined if the run that it names is shown instead. */
  async #startFrom(read: Read, before: number): Promise<FollowMessages | undefined> {
    const order = this.#order;
    const { label } = read;
    let isShown = label !== undefined && (order.isShown(label) || order.hasEnded(label, before));
    if (label && !isShown && !order.find(label)) {
      await this.#requests.list(order); // a watch may leave out runs, if there are too many
      isShown = !order.find(label); // nobody shows it to this user: another's, or forgotten
    }
    order.begin(label, isShown, before);
    if (label && !isShown) return undefined;
    this.#settled = read.messages;
    return shown(read, "state");
  }

  /** Compare with the thread's state after a reconnect, during which anything may have happened. */
  async *#refresh(watch: ThreadWatch): Events<S> {
    const order = this.#order;
    const read = await this.#readNow(watch);
    const { label, messages } = read;
    if (order.isShown(label)) {
      if (this.#messages.areEqual(messages, this.#settled)) return;
      this.#settled = messages;
      yield shown(read, "state");
      return;
    }
    const isSameNumbering = label && (order.epoch ?? label.epoch) === label.epoch;
    if (!isSameNumbering || !order.find({ epoch: label.epoch, number: order.next })) throw new Anew("missed");
  }

  // ── one run ──────────────────────────────────────────────────────────────────────────────────

  async *#followRun(watch: ThreadWatch, row: frames.RunRow): Events<S> {
    let isShownAlready = false;
    try {
      for await (const event of this.#readRun(watch, row)) {
        isShownAlready = true;
        yield event;
      }
    } catch (error) {
      if (!isNotFound(error, "run")) throw error;
      throw new Anew(isShownAlready ? "lost" : "missed", row.run);
    } finally {
      this.#run?.detach();
      this.#run = undefined;
    }
  }

  async *#readRun(watch: ThreadWatch, listed: frames.RunRow): Events<S> {
    const row = await this.#located(watch, listed);
    const { run: id, status, checkpoint } = row;
    const label = labelOf(row);
    const log = new FollowedLog(row);
    let [run, events, step] = await this.#attach(row, log);
    yield {
      mode: "run",
      run: id,
      number: label?.number ?? 0,
      status,
      checkpoint,
      missing: log.missing,
    };
    if (checkpoint !== undefined) {
      const base = checkpoint ? await this.#requests.read(checkpoint) : EMPTY;
      this.#settled = base.messages;
      yield shown(base, "start", id);
    }
    for (; ; step = await events.next()) {
      if (!step.done) {
        const event = step.value;
        if (log.lacksInput(event)) {
          const read = await this.#requests.read();
          const given = this.#messages.givenOf(this.#settled, read.messages);
          if (given && isSame(read.label, label)) {
            log.hasInput = true;
            yield shown({ messages: given }, "input", id);
          }
        }
        const messages = log.take(event, this.#messages);
        if (messages) yield shown({ messages }, "values", id);
        if (event.mode !== "values" || this.#filter.modes.includes("values")) yield event;
        continue;
      }
      if (log.hasEnded || isTerminal(run.status)) break;
      const read = await this.#requests.read();
      if (isSame(read.label, label)) {
        this.#settled = read.messages;
        yield shown(read, "pause", id);
      }
      events = run[Symbol.asyncIterator]();
    }
    this.#run = undefined;
    if (log.values && log.status === "completed") {
      this.#settled = log.values;
      yield shown({ messages: log.values }, "end", id);
      return;
    }
    const read = await this.#requests.read();
    if (isSame(read.label, label)) {
      this.#settled = read.messages;
      yield shown(read, "end", id);
    } else if (!(await this.#hasNext(read.label))) throw new Anew("missed");
  }

  /** Tell whether the run that touched the state since is one that will be shown. */
  async #hasNext(latest: Label | undefined): Promise<boolean> {
    const order = this.#order;
    if (!latest || latest.epoch !== order.epoch) return false;
    const following = { epoch: latest.epoch, number: order.next + 1 };
    if (!order.find(following)) await this.#requests.list(order);
    return order.find(following) !== undefined;
  }

  /** Wait until it is known from where the run began, or that it never did. */
  async #located(watch: ThreadWatch, row: frames.RunRow): Promise<frames.RunRow> {
    const label = labelOf(row);
    while (row.checkpoint === undefined && !isTerminal(row.status)) {
      await watch.change();
      const found = label && this.#order.find(label);
      if (!found && watch.isSynced) throw new Anew("missed");
      row = found ?? row;
    }
    return row;
  }

  /** Read the run's log from its start; return the run, its events, and the first. */
  async #attach(row: frames.RunRow, log: FollowedLog): Promise<Attached<S>> {
    const wanted = this.#filter;
    const records = new Set(row.modes);
    log.missing.push(...wanted.modes.filter((mode) => !records.has(mode)));
    const modes = wanted.modes.filter((mode) => records.has(mode));
    const onlyKeys =
      !modes.includes("values") && !wanted.modes.includes("updates") && !wanted.modes.includes("values");
    if (records.has("values") && !modes.includes("values")) modes.push("values");
    const filter = {
      ...wanted,
      modes: modes.length ? modes : ["lifecycle"],
      keys: modes.includes("values") && onlyKeys ? [this.#messages.key] : undefined,
    } as frames.Filter;
    try {
      return await this.#open(row.run, filter);
    } catch (error) {
      const isBelowRoot = wanted.namespaces?.some((path) => path.length);
      if (!isBelowRoot || !(error instanceof Refused) || error.code !== "unsupported") throw error;
    }
    log.missing.push("subgraphs");
    return this.#open(row.run, { ...filter, namespaces: [[]] });
  }

  async #open(id: string, filter: frames.Filter): Promise<Attached<S>> {
    const over = new AbortController();
    this.#runOver = over;
    const values = this.#exchange.welcome?.features.includes("patch") ? "patch" : "full";
    const view = {
      spec: { filter, credit: this.#window, values } as const,
      signal: over.signal,
      onHealed: this.#onHealed,
    };
    const run = new Run<S>(this.#exchange, id, this.graph, view, new RunTracker());
    run.thread = this.thread;
    run.onCaughtUp(this.#tellCaughtUp);
    this.#run = run;
    const events = run[Symbol.asyncIterator]();
    return [run, events, await events.next()];
  }
}

type Attached<S> = [Run<S>, AsyncIterator<Event<S>>, IteratorResult<Event<S>>];
/** What ends a follower that its application leaves. */
const LEFT = new Error("the follower was left");
const EMPTY = { messages: [] };

function shown(
  { messages, bytes }: { messages: readonly Message[]; bytes?: number | undefined },
  because: FollowMessages["because"],
  run?: string,
): FollowMessages {
  return { mode: "thread", messages, because, run, cutBytes: bytes };
}
