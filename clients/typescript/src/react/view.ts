/** What components see of runs and threads: the shapes that hooks take and return. */

import type { Client } from "../client.js";
import type { Event, GapEvent, Interrupt, Status } from "../events.js";
import type { FollowOptions } from "../follow.js";
import type { FollowEvent } from "../follow_events.js";
import type { Message } from "../messages.js";
import type { Run } from "../run.js";
import type { RunOptions, ViewOptions } from "../streams.js";
import type { Source } from "./store.js";

/** What a store takes: a thread has events beside those of its runs. */
export type AnyEvent<S = unknown> = Event<S> | FollowEvent<S>;

/** A client of whatever graphs. */
export type AnyClient =
  // biome-ignore lint/suspicious/noExplicitAny: graphs that are an interface have no index signature
  Client<any>;

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
  readonly reason?: string | undefined;
  /** `RunFailed`, or why the run cannot be shown: `Refused` or `ConnectionClosed`. */
  readonly error?: Error | undefined;
  /** The questions that wait for an answer. */
  readonly interrupts: readonly Interrupt[];
  /** Whether the run is asked for and nothing is known of it yet. */
  readonly isLoading: boolean;
  /** Whether all events that there are have been shown: what comes next happens from now on. */
  readonly isCaughtUp: boolean;
  /** The latest gap that a snapshot has filled, with the modes that stay `lost`; undefined if nothing was missed. */
  readonly healed?: GapEvent | undefined;
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
  /** What hears of each event. */
  readonly listeners: Set<(event: never) => void>;
}

/** What to follow of a thread: the options of `client.follow()` that are data. */
export type ThreadViewOptions = Omit<FollowOptions, "signal" | "onHealed">;

/**
 * A thread as a component sees it: the run that executes, or the latest one that did, and all messages of the thread.
 *
 * `id`, `status`, `error` and the other fields are those of that run; they are undefined before the first.
 */
export interface ThreadView<S = unknown, I = unknown> extends RunView<S> {
  /** Start a run in this thread; it and all others of the thread are shown, whoever starts them. */
  readonly start: (
    input?: I,
    options?: Omit<RunOptions, "thread" | "signal" | "onHealed">,
  ) => Promise<Run<S>>;
}

/** All that hooks select from. */
export interface RunState<S = unknown> {
  readonly view: RunView<S>;
  readonly messages: readonly Message[];
  readonly values: S | undefined;
  /** The latest event of each mode. */
  readonly latest: { readonly [mode: string]: AnyEvent<S> | undefined };
}
