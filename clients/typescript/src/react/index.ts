/** Hooks for React 18 and 19: `graphwire/react`. */

export {
  type AskedBy,
  useConnection,
  useEvents,
  useInterrupts,
  useLatest,
  useMessages,
  useRun,
  useValues,
  useWatch,
} from "./hooks.js";
export type { RunStart, RunView, RunViewOptions } from "./run_store.js";
export type { WatchFilter, WatchState } from "./watch_store.js";
