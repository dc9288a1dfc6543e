/** Hooks for React 18 and 19: `graphwire/react`. */

export {
  type AskedBy,
  useConnection,
  useEvents,
  useInterrupts,
  useLatest,
  useMessages,
  useRun,
  useThread,
  useValues,
  useWatch,
} from "./hooks.js";
export type { RunStart, RunView, RunViewOptions, ThreadView, ThreadViewOptions } from "./view.js";
export type { WatchFilter, WatchState } from "./watch_store.js";
