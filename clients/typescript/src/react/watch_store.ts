/** `WatchStore`: the runs that match a filter, as hooks read them. */

import type { RunRow } from "../rows.js";
import type { WatchOptions } from "../watching.js";
import { Store, storeOf } from "./store.js";
import type { AnyClient } from "./view.js";

/** Which runs to watch: the options of `client.watch()` that are data. */
export type WatchFilter = Omit<WatchOptions, "signal">;

/** The runs that match a filter. */
export interface WatchState {
  /** The newest first. A row stays the same object until the run changes. */
  readonly rows: readonly RunRow[];
  /** Whether `rows` has all that match now; false until the list is complete, after each reconnect too. */
  readonly isSynced: boolean;
  /** How many older runs match and are left out. */
  readonly cut: number;
  /** Why there is no watch. */
  readonly error: Error | undefined;
}

const NOTHING: WatchState = { rows: [], isSynced: false, cut: 0, error: undefined };

/** The store of a watch; without a client it stays empty. */
export class WatchStore extends Store<WatchState> {
  readonly #rows = new Map<string, RunRow>();
  #isSynced = false;
  #cut = 0;
  #error: Error | undefined;
  #abort: AbortController | undefined;
  #unlisten: (() => void) | undefined;

  constructor(
    readonly client?: AnyClient,
    readonly filter: WatchFilter = {},
  ) {
    super(NOTHING);
  }

  protected start(): void {
    if (!this.client) return;
    this.#unlisten = this.client.onState(({ state }) => {
      this.#isSynced &&= state === "connected";
      this.changed();
    });
    this.#abort = new AbortController();
    void this.#takeAll(this.client, this.#abort.signal);
  }

  protected stop(): void {
    this.#abort?.abort();
    this.#unlisten?.();
  }

  protected read(): WatchState {
    const rows = [...this.#rows.values()].sort((a, b) => (a.created_at < b.created_at ? 1 : -1));
    return { rows, isSynced: this.#isSynced, cut: this.#cut, error: this.#error };
  }

  async #takeAll(client: AnyClient, signal: AbortSignal): Promise<void> {
    const { status } = this.filter;
    this.#rows.clear();
    try {
      for await (const item of client.watch({ ...this.filter, signal })) {
        if (item.status === "synced") {
          this.#isSynced = true;
          this.#cut = item.cut;
        } else if (item.status === "gone" || (status && !status.includes(item.status)))
          this.#rows.delete(item.run);
        else this.#rows.set(item.run, item);
        this.changed();
      }
    } catch (error) {
      if (signal.aborted) return;
      this.#error = error as Error;
      this.changed();
    }
  }
}

const IDLE_WATCH = new WatchStore();

/** Return the store of a watch; components that ask for the same filter share one. */
export function watchStoreOf(client: AnyClient | null | undefined, filter: WatchFilter = {}): WatchStore {
  if (!client) return IDLE_WATCH;
  return storeOf(client, `watch ${JSON.stringify(filter)}`, () => new WatchStore(client, filter));
}
