/** The titles of threads, through one watch of threads, outside React. */

import { type Client, Refused, type ThreadRow } from "graphwire";
import { useCallback, useSyncExternalStore } from "react";

export interface Titles {
  /** The title of a thread of a graph, if somebody gave it one. */
  readonly of: (graph: string, thread: string | undefined) => string | undefined;
}

const NONE: Titles = { of: () => undefined };
/** How long a watch stays without a reader: a page that is left and entered again finds it. */
const LINGER_MS = 1000;

class TitleWatch {
  state = NONE;
  readonly #titles = new Map<string, string>();
  readonly #listeners = new Set<() => void>();
  #abort: AbortController | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #frame: number | undefined;

  constructor(readonly client: Client) {}

  readonly subscribe = (listener: () => void): (() => void) => {
    clearTimeout(this.#timer);
    this.#listeners.add(listener);
    if (!this.#abort) void this.#take();
    return () => {
      this.#listeners.delete(listener);
      if (!this.#listeners.size) this.#timer = setTimeout(() => this.#stop(), LINGER_MS);
    };
  };

  #stop(): void {
    this.#abort?.abort();
    this.#abort = undefined;
    this.#titles.clear();
  }

  async #take(): Promise<void> {
    this.#abort = new AbortController();
    const { signal } = this.#abort;
    try {
      for await (const item of this.client.watchThreads({ signal })) {
        if (item.status === "synced") {
          this.#changed(); // what a watch before this one knew may be gone
          continue;
        }
        const title = item.status === "gone" ? undefined : titleIn(item);
        if (this.#set(keyOf(item.graph, item.thread), title)) this.#changed();
      }
    } catch (error) {
      if (signal.aborted || error instanceof Refused) return; // a server without threads as objects has no titles
      if (this.client.connection.state !== "closed") console.error("no titles of threads:", error);
    }
  }

  #set(key: string, title: string | undefined): boolean {
    if (this.#titles.get(key) === title) return false;
    if (title === undefined) this.#titles.delete(key);
    else this.#titles.set(key, title);
    return true;
  }

  /** Publish at the next frame: a list of a thousand threads is one change. */
  #changed(): void {
    this.#frame ??= requestAnimationFrame(() => {
      this.#frame = undefined;
      const titles = new Map(this.#titles);
      this.state = {
        of: (graph, thread) => (thread === undefined ? undefined : titles.get(keyOf(graph, thread))),
      };
      for (const listener of this.#listeners) listener();
    });
  }
}

const keyOf = (graph: string, thread: string) => JSON.stringify([graph, thread]);

function titleIn({ metadata }: ThreadRow): string | undefined {
  return typeof metadata?.title === "string" && metadata.title ? metadata.title : undefined;
}

const watches = new WeakMap<Client, TitleWatch>();

/** Return the one watch of a client's titles. */
export function titlesOf(client: Client): TitleWatch {
  const watch = watches.get(client) ?? new TitleWatch(client);
  watches.set(client, watch);
  return watch;
}

/** The titles of all threads, live. */
export function useTitles(client: Client): Titles {
  const watch = titlesOf(client);
  const state = useCallback(() => watch.state, [watch]);
  return useSyncExternalStore(watch.subscribe, state);
}
