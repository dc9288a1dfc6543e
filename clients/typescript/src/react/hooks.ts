/** The hooks. They hold nothing themselves: each selects from a store, and renders again when its selection changes. */

import { useEffect, useRef, useSyncExternalStore } from "react";
import type { Client } from "../client.js";
import { cutBytes, type Event, type Interrupt } from "../events.js";
import type { Message } from "../messages.js";
import type { Connection } from "../reconnector.js";
import type { Run } from "../run.js";
import type { GraphTypes, Mode } from "../streams.js";
import {
  type AnyClient,
  type RunStart,
  type RunState,
  type RunView,
  type RunViewOptions,
  runStoreOf,
} from "./run_store.js";
import { isSame, type Source } from "./store.js";
import { connectionStoreOf, type WatchFilter, type WatchState, watchStoreOf } from "./watch_store.js";

/** A client, or nothing: on a server there is none. */
type MaybeClient<C = AnyClient> = C | null | undefined;

/** Select from a store. What is the same as before, one level deep, stays the same object. */
function useSelection<T, U>(store: Source<T>, select: (state: T) => U): U {
  const memo = useRef<{ state: T; select: (state: T) => U; value: U } | undefined>(undefined);
  const pick = (state: T): U => {
    const last = memo.current;
    if (last && last.state === state && last.select === select) return last.value;
    const now = select(state);
    const value = last && isSame(last.value, now) ? last.value : now;
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
  start: (RunStart & { graph: N; input?: G[N]["input"] }) | null | undefined,
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

const viewOf = ({ view }: RunState) => view;
const messagesOf = ({ messages }: RunState) => messages;

/** The run's messages so far, or those that `where` lets through; a message stays the same object until it changes. */
export function useMessages(run: RunView, where?: (message: Message) => boolean): readonly Message[] {
  needs(run, "messages", "useMessages");
  return useSelection(run.store, where ? ({ messages }) => messages.filter(where) : messagesOf);
}

/** The state of the root graph; undefined before it is known. */
export function useValues<S>(run: RunView<S>): S | undefined;
/** What `select` makes of the state; undefined before it is known. */
export function useValues<S, T>(run: RunView<S>, select: (values: S) => T): T | undefined;
/** The implementation of the signatures above. */
export function useValues<S, T>(run: RunView<S>, select?: (values: S) => T): S | T | undefined {
  needs(run, "values", "useValues");
  return useSelection(run.store, ({ values }) => (select && values !== undefined ? select(values) : values));
}

/** The latest event of a mode, such as `custom`: progress, for example. */
export function useLatest<S, M extends Event["mode"]>(
  run: RunView<S>,
  mode: M,
): Extract<Event<S>, { mode: M }> | undefined {
  if (!/^(gap|snapshot|unknown)$/.test(mode)) needs(run, mode as Mode, "useLatest");
  return useSelection(run.store, ({ latest }) => latest[mode] as Extract<Event<S>, { mode: M }> | undefined);
}

/**
 * Call `onEvent` with each event that comes while the component is mounted, once and in order. A component that also
 * asks for the run, and is the first to do so, gets all events from the start.
 */
export function useEvents<S>(run: RunView<S>, onEvent: (event: Event<S>) => void): void {
  const latest = useRef(onEvent);
  const { store } = run;
  useEffect(() => {
    latest.current = onEvent;
  });
  useEffect(() => store.listen((event) => latest.current(event)), [store]);
}

function needs(run: RunView, mode: Mode, hook: string): void {
  const { modes } = run.run?.view.spec.filter ?? { modes: [mode] };
  if (!modes.includes(mode))
    throw new TypeError(
      `${hook} needs a run with mode "${mode}", not only ${modes}: ask for it in its options`,
    );
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
      const { value, namespace = [], responseSchema } = questions.find((each) => each.id === id) ?? {};
      const isWhole = questions.some((each) => each.id === id) && cutBytes(value) === undefined;
      return { id, value, namespace, responseSchema, run, graph, thread, isWhole };
    }),
  );
}

// ── the connection ─────────────────────────────────────────────────────────────────────────────

/** The state of the connection, with its reason: `connecting`, `connected`, `waiting` or `closed`. */
export function useConnection(client: MaybeClient): Connection {
  return useSelection(connectionStoreOf(client), itself);
}

const itself = (connection: Connection) => connection;
