/** The threads of a graph, live: one watch, and older ones page by page. */

import { type Client, Refused, type ThreadRow, type ThreadWatchItem } from "graphwire";
import { useCallback, useEffect, useRef, useState } from "react";

/** Which threads: those whose title contains `search`, or the one with this name. */
export interface ThreadsFilter {
  readonly search?: string;
  readonly thread?: string;
}

export interface Threads {
  /** The last to change first. */
  readonly rows: readonly ThreadRow[];
  readonly isSynced: boolean;
  /** How many older ones match and are not among `rows`, as far as is known. */
  readonly cut: number;
  readonly error: Error | undefined;
}

/** Characters of a title that a server searches. */
const SEARCHED = 1024;
const PAGE = 100;
/** Until a watch is opened again that the server could not open now. */
const PAUSE_MS = 2000;

/** Return a thread's title; undefined if it has none. */
export function titleIn({ metadata }: Pick<ThreadRow, "metadata">): string | undefined {
  const title = metadata?.title;
  return typeof title === "string" && title.trim() ? title : undefined;
}

/** The threads that a watch has listed; it does no I/O. */
export class ThreadList {
  readonly #rows = new Map<string, ThreadRow>();
  #isSynced = false;
  #cut = 0;

  constructor(readonly search = "") {}

  /** Take what a watch yields. */
  take(item: ThreadWatchItem): void {
    if (item.status === "synced") {
      this.#isSynced = true;
      this.#cut = Math.max(0, item.cut);
    } else if (item.status === "gone") this.#rows.delete(item.thread);
    else if (this.#matches(item)) this.#rows.set(item.thread, item);
    else this.#rows.delete(item.thread);
  }

  /** Take a row of an older page; return whether it was new. */
  add(row: ThreadRow): boolean {
    if (this.#rows.has(row.thread)) return false;
    this.#rows.set(row.thread, row);
    this.#cut = Math.max(0, this.#cut - 1);
    return true;
  }

  /** A watch names a thread once more when its title stops matching. */
  #matches(row: ThreadRow): boolean {
    const title = (titleIn(row) ?? "").slice(0, SEARCHED).toLowerCase();
    return !this.search || title.includes(this.search.toLowerCase());
  }

  read(): Threads {
    const rows = [...this.#rows.values()].sort((a, b) =>
      a.updated_at === b.updated_at ? (a.thread < b.thread ? -1 : 1) : a.updated_at < b.updated_at ? 1 : -1,
    );
    return { rows, isSynced: this.#isSynced, cut: this.#cut, error: undefined };
  }
}

const NOTHING: Threads = { rows: [], isSynced: false, cut: 0, error: undefined };

/** Threads, and a way to add a page of older ones. */
export interface OpenThreads extends Threads {
  more(): Promise<void>;
}

/**
 * The threads of a graph that match, live; none without a filter. To open a watch is dear: the server reads all
 * checkpoints of the graph for it.
 */
export function useThreads(client: Client, graph: string, filter: ThreadsFilter | undefined): OpenThreads {
  const { search, thread } = filter ?? {};
  const isOff = !filter;
  const [threads, setThreads] = useState(NOTHING);
  const open = useRef<{ list: ThreadList; older: AsyncIterator<ThreadRow>; publish: () => void }>(undefined);

  useEffect(() => {
    setThreads(NOTHING);
    open.current = undefined;
    if (isOff) return;
    const { signal, abort } = aborter();
    let list = new ThreadList(search);
    let again: ReturnType<typeof setTimeout> | undefined;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const publish = () => {
      timer ??= setTimeout(() => {
        timer = undefined;
        if (!signal.aborted) setThreads(list.read());
      }, 30);
    };
    const where = search ? { search } : {};
    open.current = { list, older: client.threads({ graph, ...where, signal }), publish };
    const watch = async () => {
      const named = thread === undefined ? {} : { thread };
      for await (const item of client.watchThreads({ graphs: [graph], ...where, ...named, signal })) {
        list.take(item);
        publish();
      }
    };
    const begin = (pause: number) => {
      watch().catch((error) => {
        if (signal.aborted) return;
        setThreads({ ...list.read(), error });
        // A saver that is busy or away answers later, and nobody should have to reload the page for that.
        if (!(error instanceof Refused) || error.retry !== "after") return;
        again = setTimeout(() => {
          list = new ThreadList(search);
          open.current = { list, older: client.threads({ graph, ...where, signal }), publish };
          begin(Math.min(2 * pause, 30_000));
        }, error.afterMs ?? pause);
      });
    };
    begin(PAUSE_MS);
    return () => {
      clearTimeout(again);
      clearTimeout(timer);
      abort();
    };
  }, [client, graph, search, thread, isOff]);

  const more = useCallback(async () => {
    const { current } = open;
    if (!current) return;
    const { list, older, publish } = current;
    for (let left = PAGE; left > 0; ) {
      const { done, value } = await older.next();
      if (done) break;
      if (list.add(value)) left -= 1;
    }
    publish();
  }, []);
  return { ...threads, more };
}

function aborter() {
  const controller = new AbortController();
  return { signal: controller.signal, abort: () => controller.abort() };
}
