/** Everything that the package exports. */

export type { Backoff } from "./backoff.js";
export { Client, type ConnectOptions, connect, type SubscriptionInfo, VERSION } from "./client.js";
export {
  ConnectionClosed,
  GraphwireError,
  Refused,
  RunCancelled,
  RunEnded,
  RunFailed,
  RunInterrupted,
  RunLost,
  Unauthenticated,
} from "./errors.js";
export type * from "./events.js";
export type { FollowOptions, ThreadFollower } from "./follow.js";
export type { FollowDiscard, FollowEvent, FollowMessages, FollowRun } from "./follow_events.js";
export { type About, Message, type ToolCall } from "./messages.js";
export type * as frames from "./protocol/frames.js";
export type { Connection, Token } from "./reconnector.js";
export type { Listing, RunFilter } from "./requests.js";
export type { RunRow, ThreadRow } from "./rows.js";
export { Run } from "./run.js";
export type { HistoryOptions, StateOptions, StateSnapshot, StateTask } from "./state.js";
export { DEFAULT_MODES, type GraphTypes, type Mode, type RunOptions, type ViewOptions } from "./streams.js";
export type { ThreadFilter, ThreadGone, ThreadWatchItem } from "./threads.js";
export type { RunGone, WatchItem, WatchSynced } from "./watch_queue.js";
export type { WatchOptions } from "./watching.js";
