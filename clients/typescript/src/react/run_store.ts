/**
 * `RunStore`: one run as hooks read it.
 *
 * One loop takes the run's events, outside React, so that credit returns however slowly or seldom a page renders; a
 * page that nobody looks at goes on receiving. A loop over a run ends at a question; here another one goes on behind
 * it, in the same subscription, since somebody else may answer.
 */

import type { Client } from "../client.js";
import { guarded, RunFailed } from "../errors.js";
import type { Event, GapEvent, Interrupt, Status } from "../events.js";
import type { Message } from "../messages.js";
import type { Run } from "../run.js";
import type { GraphTypes, RunOptions, ViewOptions } from "../streams.js";
import { isSame, type Source, Store, storeOf } from "./store.js";

/** A client of whatever graphs. */
export type AnyClient = Client<{ [graph: string]: GraphTypes }>;

/** How to view a run: the options of `client.attach()` that are data. */
export type RunViewOptions = Omit<ViewOptions, "signal" | "onHealed">;

/** What to run, and under which id: a run with this id is attached to, if there is one, else started. */
export interface RunStart extends Omit<RunOptions, "signal" | "onHealed"> {
  run: string;
  graph: string;
  input?: unknown;
}

/**
 * A run as a component sees it. It is a new object when a field changes, which a token alone does not.
 *
 * Give it to `useMessages`, `useValues` and the other hooks, which see the rest.
 */
export interface RunView<S = unknown> {
  readonly id: string | undefined;
  /** The run, once it is attached. Do not iterate it: this view does. */
  readonly run: Run<S> | undefined;
  readonly status: Status | undefined;
  /** Why the run was cancelled. */
  readonly reason: string | undefined;
  /** `RunFailed`, or why the run cannot be shown: `Refused` or `ConnectionClosed`. */
  readonly error: Error | undefined;
  /** The questions that wait for an answer. */
  readonly interrupts: readonly Interrupt[];
  /** Whether the run is asked for and nothing is known of it yet. */
  readonly isLoading: boolean;
  /** Whether all events that there are have been shown: what comes next happens from now on. */
  readonly isCaughtUp: boolean;
  /** The latest gap that a snapshot has filled, with the modes that stay `lost`; undefined if nothing was missed. */
  readonly healed: GapEvent | undefined;
  /** End the run, for everybody. Unmounting does not. */
  readonly cancel: (reason?: string) => Promise<Status | undefined>;
  /** Answer questions, `{[interrupt's id]: value}`; see `Run.respond()`. */
  readonly respond: Run["respond"];
  /** Answer the one question that the run asks. */
  readonly answer: Run["answer"];
  /** @internal */
  readonly store: RunSource<S>;
}

/** What hooks use of a `RunStore`. */
export interface RunSource<S> extends Source<RunState<S>> {
  listen(listener: (event: Event<S>) => void): () => void;
}

/** All that hooks select from. */
export interface RunState<S = unknown> {
  readonly view: RunView<S>;
  readonly messages: readonly Message[];
  readonly values: S | undefined;
  /** The latest event of each mode. */
  readonly latest: { readonly [mode: string]: Event<S> | undefined };
}

const NONE: readonly never[] = [];

/** The store of a run; without a client or an id it stays as it is. */
export class RunStore extends Store<RunState> {
  readonly #client: AnyClient | undefined;
  readonly #id: string | undefined;
  readonly #options: RunViewOptions;
  /** How the run is started, if it has to be. */
  startWith: RunStart | undefined;
  readonly #listeners = new Set<(event: Event) => void>();
  #run: Run | undefined;
  #opening: Promise<Run> | undefined;
  /** Names the present loop. */
  #loop: object | undefined;
  #unlisten: (() => void) | undefined;
  #error: Error | undefined;
  #reason: string | undefined;
  #healed: GapEvent | undefined;
  readonly #latest: { [mode: string]: Event } = {};

  constructor(client?: AnyClient | null, of?: string | Run, options: RunViewOptions = {}) {
    super({ messages: NONE, values: undefined, latest: {}, view: undefined as never });
    this.#client = client ?? undefined;
    this.#options = options;
    if (typeof of === "object") this.#run = of;
    this.#id = typeof of === "object" ? of.id : of;
    const { cancel, respond, answer } = this;
    const nothing = {
      run: undefined,
      status: undefined,
      reason: undefined,
      error: undefined,
      healed: undefined,
    };
    const view = { ...nothing, id: this.#id, interrupts: NONE, isCaughtUp: false, cancel, respond, answer };
    (this.initial as { view: RunView }).view = { ...view, isLoading: this.#id !== undefined, store: this };
  }

  protected start(): void {
    if (!this.#client || this.#id === undefined) return;
    this.#unlisten = this.#client.onState(this.changed);
    void this.#takeAll(this.#client, this.#id);
  }

  protected stop(): void {
    this.#loop = undefined;
    this.#run?.detach();
    this.#unlisten?.();
  }

  protected read(): RunState {
    const run = this.#run;
    const { initial, state } = this;
    if (!run && !this.#error) return initial;
    const { status, interrupts, isCaughtUp, messages, values } = run ?? ({} as Partial<Run>);
    const view: RunView = {
      ...initial.view,
      run,
      status,
      reason: this.#reason,
      error: this.#error,
      interrupts: isSame(interrupts, state.view.interrupts) ? state.view.interrupts : (interrupts ?? NONE),
      isLoading: !status && !this.#error,
      isCaughtUp: isCaughtUp ?? false,
      healed: this.#healed,
    };
    return {
      messages: messages ?? NONE,
      values,
      latest: { ...this.#latest },
      view: isSame(view, state.view) ? state.view : view,
    };
  }

  // ── events ───────────────────────────────────────────────────────────────────────────────────

  /** Call `listener` with each event from now on; return a function that ends it. */
  listen(listener: (event: Event) => void): () => void {
    const careful = guarded(listener);
    this.#listeners.add(careful);
    return () => this.#listeners.delete(careful);
  }

  async #takeAll(client: AnyClient, id: string): Promise<void> {
    const loop = {};
    this.#loop = loop;
    try {
      this.#opening ??= this.#open(client, id);
      const run = await this.#opening;
      this.#run = run;
      if (!this.#loop) run.detach(); // it took so long that nobody wants it any more
      if (this.#loop !== loop) return;
      run.onTaken = this.changed;
      this.changed();
      let events = run[Symbol.asyncIterator]();
      for (;;) {
        const { done, value: event } = await events.next();
        if (done) return;
        this.#take(event, client);
        if (this.#loop !== loop) return;
        if ("status" in event && event.status === "interrupted") events = run[Symbol.asyncIterator]();
      }
    } catch (error) {
      if (this.#loop !== loop) return;
      this.#error = error as Error;
    } finally {
      this.changed();
    }
  }

  async #open(client: AnyClient, id: string): Promise<Run> {
    if (this.#run) return this.#run;
    const { startWith } = this;
    if (!startWith) return client.attach(id, this.#options);
    const { graph, input, ...options } = startWith;
    return client.run(graph, input, options);
  }

  #take(event: Event, client: AnyClient): void {
    this.#latest[event.mode] = event;
    if (event.mode === "lifecycle") {
      const { status, reason, error = { code: "lost", message: "unknown" } } = event;
      this.#reason = reason;
      if (status === "failed") this.#error = new RunFailed(event.run, error);
    } else if (event.mode === "snapshot") {
      this.#healed = event.heals ?? this.#healed;
      if (event.status === "failed" && !this.#error)
        client.result(event.run).catch((error) => {
          this.#error = error;
          this.changed();
        });
    }
    for (const listener of this.#listeners) listener(event);
  }

  // ── requests ─────────────────────────────────────────────────────────────────────────────────

  readonly cancel = async (reason?: string): Promise<Status | undefined> => {
    const { client, id } = this.#known();
    return client.cancel(id, reason);
  };

  readonly respond: Run["respond"] = async (responses, options) => {
    const { client, id } = this.#known();
    const status = await (this.#run?.respond(responses, options) ?? client.respond(id, responses, options));
    this.changed();
    return status;
  };

  readonly answer: Run["answer"] = async (value) => {
    if (!this.#run) throw new TypeError("the run is not known yet: wait for its interrupts");
    const status = await this.#run.answer(value);
    this.changed();
    return status;
  };

  #known(): { client: AnyClient; id: string } {
    if (!this.#client || this.#id === undefined) throw new TypeError("there is no run");
    return { client: this.#client, id: this.#id };
  }
}

// ── which store ────────────────────────────────────────────────────────────────────────────────

/** What hooks read while there is no run. */
const IDLE = new RunStore();
const ofRuns = new WeakMap<object, RunStore>();

/** Return the store of a run; components that ask for the same id with the same options share one. */
export function runStoreOf(
  client: AnyClient | null | undefined,
  what: string | Run | RunStart | null | undefined,
  options: RunViewOptions = {},
): RunStore {
  if (!client || !what) return IDLE;
  if (typeof what === "object" && "id" in what) {
    const known = ofRuns.get(what);
    const store = known ?? new RunStore(client, what);
    ofRuns.set(what, store);
    return store;
  }
  const startWith = typeof what === "object" ? what : undefined;
  const id = startWith ? startWith.run : (what as string);
  const { modes, namespaces, nodes, tags, keys, exclude, start, window, values } = startWith ?? options;
  const view = { modes, namespaces, nodes, tags, keys, exclude, start, window, values } as RunViewOptions;
  const store = storeOf(client, `run ${JSON.stringify([id, view])}`, () => new RunStore(client, id, view));
  store.startWith ??= startWith;
  return store;
}
