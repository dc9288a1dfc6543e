/** The hooks. They hold nothing themselves: each selects from a store, and renders again when its selection changes. */

import { useCallback, useEffect, useRef, useSyncExternalStore } from "react";
import type { Client } from "../client.js";
import { listen } from "../errors.js";
import { cutBytes, type Event, type Interrupt } from "../events.js";
import type { FollowEvent } from "../follow_events.js";
import type { Message } from "../messages.js";
import type { Connection } from "../reconnector.js";
import type { Run } from "../run.js";
import type { GraphTypes, Mode } from "../streams.js";
import { runStoreOf, threadStoreOf } from "./run_store.js";
import { kept, type Source } from "./store.js";
import type {
  AnyClient,
  AnyEvent,
  RunStart,
  RunState,
  RunView,
  RunViewOptions,
  ThreadView,
  ThreadViewOptions,
} from "./view.js";
import { type WatchFilter, type WatchState, watchStoreOf } from "./watch_store.js";

/** A client, or nothing: on a server there is none. */
type MaybeClient<C = AnyClient> = C | null | undefined;

/** Select from a store. What is the same as before, one level deep, stays the same object. */
function useSelection<T, U>(store: Source<T>, select: (state: T) => U): U {
  const memo = useRef<{ state: T; select: (state: T) => U; value: U } | undefined>(undefined);
  const pick = (state: T): U => {
    const last = memo.current;
    if (last && last.state === state && last.select === select) return last.value;
    const now = select(state);
    const value = kept(last?.value, now);
    memo.current = { state, select, value };
    return value;
  };
  return useSyncExternalStore(
    store.subscribe,
    () => pick(store.state),
    () => pick(store.initial),
  );
}

// ── a run ──────────────────────────────────────────────────────────────────────────────────────

/**
 * View a run while the component is mounted; unmounting unsubscribes and never cancels.
 *
 * The run is an id, a `Run` that an event handler got from `client.run()`, or what to start: `{ run: id, graph, input }`
 * starts the run unless one with this id exists, so a second mount and a reload find the first. Nothing (`undefined`,
 * `null`) is no run yet. What goes wrong is in `error`; nothing is thrown.
 */
export function useRun<G extends { [N in keyof G]: GraphTypes }, N extends keyof G & string>(
  client: MaybeClient<Client<G>>,
  start: (RunStart & { graph: N; input?: G[N]["input"] | undefined }) | null | undefined,
): RunView<G[N]["state"]>;
/** View a run that an event handler started. */
export function useRun<S = unknown>(client: MaybeClient, run: Run<S> | null | undefined): RunView<S>;
/** View the run with this id; `options` as of `client.attach()`. */
export function useRun<S = unknown>(
  client: MaybeClient,
  id: string | null | undefined,
  options?: RunViewOptions,
): RunView<S>;
/** The implementation of the signatures above. */
export function useRun<S>(
  client: MaybeClient,
  what: string | Run<S> | RunStart | null | undefined,
  options?: RunViewOptions,
): RunView<S> {
  return useSelection(runStoreOf(client, what as Run, options), viewOf) as RunView<S>;
}

/**
 * View a thread while the component is mounted, whoever runs it and whenever: `client.follow()` as a hook.
 *
 * `useMessages` shows all its messages; the run that executes, or the latest one, is what `status`, `interrupts`,
 * `cancel` and `answer` are about. `start(input)` runs the graph in the thread.
 */
export function useThread<G extends { [N in keyof G]: GraphTypes }, N extends keyof G & string>(
  client: MaybeClient<Client<G>>,
  graph: N,
  thread: string | null | undefined,
  options?: ThreadViewOptions,
): ThreadView<G[N]["state"], G[N]["input"]> {
  const store = threadStoreOf(client as MaybeClient, graph, thread, options);
  return useSelection(store, viewOf) as ThreadView<G[N]["state"], G[N]["input"]>;
}

const viewOf = ({ view }: RunState) => view;
const messagesOf = ({ messages }: RunState) => messages;

/** The run's messages so far, or those that `where` lets through; a message stays the same object until it changes. */
export function useMessages(run: RunView, where?: (message: Message) => boolean): readonly Message[] {
  needs(run, "messages");
  return useSelection(run.store, where ? ({ messages }) => messages.filter(where) : messagesOf);
}

/** The state of the root graph; undefined before it is known. */
export function useValues<S>(run: RunView<S>): S | undefined;
/** What `select` makes of the state; undefined before it is known. */
export function useValues<S, T>(run: RunView<S>, select: (values: S) => T): T | undefined;
/** The implementation of the signatures above. */
export function useValues<S, T>(run: RunView<S>, select?: (values: S) => T): S | T | undefined {
  needs(run, "values");
  return useSelection(run.store, ({ values }) => (select && values !== undefined ? select(values) : values));
}

/** The latest event of a mode, such as `custom`: progress, for example. */
export function useLatest<S, M extends AnyEvent["mode"]>(
  run: RunView<S>,
  mode: M,
): Extract<AnyEvent<S>, { mode: M }> | undefined {
  needs(run, mode);
  return useSelection(
    run.store,
    ({ latest }) => latest[mode] as Extract<AnyEvent<S>, { mode: M }> | undefined,
  );
}

/** Call `onEvent` with each event of a thread that comes while the component is mounted, once and in order. */
export function useEvents<S>(thread: ThreadView<S>, onEvent: (event: FollowEvent<S>) => void): void;
/**
 * Call `onEvent` with each event that comes while the component is mounted, once and in order. A component that also
 * asks for the run, and is the first to do so, gets all events from the start.
 */
export function useEvents<S>(run: RunView<S>, onEvent: (event: Event<S>) => void): void;
/** The implementation of the signatures above. */
export function useEvents(run: RunView, onEvent: (event: never) => void): void {
  const latest = useRef(onEvent);
  const { store } = run;
  useEffect(() => {
    latest.current = onEvent;
  });
  useEffect(() => listen(store.listeners, (event) => latest.current(event)), [store]);
}

/** Modes that come only to those who ask for them; others are rarer. */
const ASKED = "values updates custom messages";

/** What a view does not receive never comes; a thread has its messages from its states, too. */
function needs(run: RunView, mode: string): void {
  const modes = run.run?.view.spec.filter.modes;
  if (modes && ASKED.includes(mode) && !("start" in run) && !modes.includes(mode as Mode))
    throw new TypeError(`view the run with mode ${mode}`);
}

// ── all runs ───────────────────────────────────────────────────────────────────────────────────

/** All runs that match, live. */
export function useWatch(client: MaybeClient, filter?: WatchFilter): WatchState;
/** What `select` makes of all runs that match, such as a count. */
export function useWatch<T>(
  client: MaybeClient,
  filter: WatchFilter | undefined,
  select: (watch: WatchState) => T,
): T;
/** The implementation of the signatures above. */
export function useWatch<T>(
  client: MaybeClient,
  filter?: WatchFilter,
  select: (watch: WatchState) => T | WatchState = whole,
): T | WatchState {
  return useSelection(watchStoreOf(client, filter), select);
}

const whole = (watch: WatchState) => watch;

/** A question, and the run that asks it: `client.respond(run, { [id]: answer })`. */
export interface AskedBy extends Interrupt {
  readonly run: string;
  readonly graph: string;
  readonly thread: string | undefined;
  /** Whether `value` is the whole question; if not it was too large for a row: attach to the run to see it. */
  readonly isWhole: boolean;
}

/** The questions of a run that wait for an answer. */
export function useInterrupts(run: RunView): readonly Interrupt[];
/** The questions of all runs that match. */
export function useInterrupts(
  client: MaybeClient,
  filter?: Omit<WatchFilter, "status" | "progress">,
): readonly AskedBy[];
/** The implementation of the signatures above. */
export function useInterrupts(
  of: RunView | MaybeClient,
  filter?: Omit<WatchFilter, "status" | "progress">,
): readonly (Interrupt | AskedBy)[] {
  const store = of && "store" in of ? of.store : watchStoreOf(of, { ...filter, status: ["interrupted"] });
  return useSelection<RunState | WatchState, readonly Interrupt[]>(store, interruptsIn);
}

function interruptsIn(state: RunState | WatchState): readonly Interrupt[] {
  return "rows" in state ? askedBy(state) : state.view.interrupts;
}

function askedBy({ rows }: WatchState): readonly AskedBy[] {
  return rows.flatMap(({ run, graph, thread, interrupts = [], questions = [] }) =>
    interrupts.map((id) => {
      const asked = questions.find((each) => each.id === id);
      const { value, namespace = [], responseSchema } = asked ?? {};
      const isWhole = !!asked && cutBytes(value) === undefined;
      return { id, value, namespace, responseSchema, run, graph, thread, isWhole };
    }),
  );
}

// ── the connection ─────────────────────────────────────────────────────────────────────────────

/** What is rendered where there is no client, as on a server. */
const NOT_YET: Connection = { state: "connecting", reason: "no client" };

/** The state of the connection, with its reason: `connecting`, `connected`, `waiting` or `closed`. */
export function useConnection(client: MaybeClient): Connection {
  const subscribe = useCallback((listener: () => void) => client?.onState(listener) ?? (() => {}), [client]);
  return useSyncExternalStore(
    subscribe,
    () => client?.connection ?? NOT_YET,
    () => NOT_YET,
  );
}
