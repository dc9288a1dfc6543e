/**
 * What following a thread yields beside the events of its runs; `mode` tells all of them apart.
 *
 * `follow` yields them, and `follow_view` puts a thread's messages together from them.
 */

import type { Event, Status } from "./events.js";
import type { Message } from "./messages.js";

/**
 * All messages of the thread as its state has them. They replace everything that was shown; with `input`, what the run
 * has streamed stays behind them.
 *
 * `because` says which state it is:
 *
 * - `state`: the thread's, where following begins, or begins anew;
 * - `start`: the one that `run` began from, an earlier one if the run branches there;
 * - `input`: the same with what `run` was given, as far as is known yet;
 * - `values`: the one after a step of `run`;
 * - `pause`, `end`: the thread's now that `run` waits for answers, or has ended.
 *
 * `cutBytes` is the size of a state that is larger than the server's `max_event_bytes` and was not sent; then there
 * are no `messages`.
 */
export interface FollowMessages {
  readonly mode: "thread";
  readonly messages: readonly Message[];
  readonly because: "state" | "start" | "input" | "values" | "pause" | "end";
  readonly run: string | undefined;
  readonly cutBytes: number | undefined;
}

/**
 * A run of the thread has begun; its events follow, from its first.
 *
 * `number` counts the thread's runs from 1, until the server forgets them all. `checkpoint` is where the run began, `""`
 * in an empty thread, undefined if it ended before its graph began. `missing` names what was asked for and the run does
 * not record: modes, and `subgraphs`.
 */
export interface FollowRun {
  readonly mode: "run";
  readonly run: string;
  readonly number: number;
  readonly status: Status;
  readonly checkpoint: string | undefined;
  readonly missing: readonly string[];
}

/**
 * Following begins anew from the thread's state, which comes next.
 *
 * With `reason` `lost`, the server no longer knows `run`, whose events were being read: what was shown of it since the
 * last `FollowMessages` is void. With `missed`, runs of the thread may have begun and ended that cannot be shown any
 * more, as the server has forgotten them.
 */
export interface FollowDiscard {
  readonly mode: "discard";
  readonly reason: "lost" | "missed";
  readonly run: string | undefined;
}

/** Everything that following a thread yields. */
export type FollowEvent<S = unknown> = FollowMessages | FollowRun | FollowDiscard | Event<S>;
