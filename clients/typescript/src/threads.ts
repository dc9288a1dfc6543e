/** Threads as objects: their metadata, and watches of them. `requests` and `watching` load this file on demand. */

import { Refused } from "./errors.js";
import type { Item } from "./event_queue.js";
import type { Status } from "./events.js";
import type { Exchange } from "./exchange.js";
import { has, type JsonObject } from "./protocol/json.js";
import { encode } from "./protocol/projection.js";
import { rowOf, type ThreadRow } from "./rows.js";
import { WatchQueue, type WatchSynced, watched } from "./watch_queue.js";

/** Which threads to watch; several fields are ANDed. */
export interface ThreadFilter {
  graphs?: string[] | undefined;
  thread?: string | undefined;
  /** Only threads whose latest run has one of these statuses. */
  status?: Status[] | undefined;
  /** Only threads whose metadata contains this. */
  metadata?: JsonObject | undefined;
  /** Only threads whose title, `metadata.title`, contains this text, whatever its case. */
  search?: string | undefined;
}

/**
 * A thread that a watch has shown is no longer there; take it off the list.
 *
 * `reason` is the server's, `deleted`, `expired` or `evicted`, or `unlisted` if the list after a reconnect does not
 * name the thread.
 */
export interface ThreadGone {
  readonly status: "gone";
  readonly graph: string;
  readonly thread: string;
  readonly reason: string;
}

/** What a watch of threads yields; `status` tells the three apart. */
export type ThreadWatchItem = ThreadRow | ThreadGone | WatchSynced;

/** `client.threadUpdate()`. */
export async function updateThread(
  exchange: Exchange,
  graph: string,
  thread: string,
  metadata: JsonObject,
): Promise<ThreadRow> {
  requireThreads(exchange);
  const reply = await exchange.ask({ type: "thread_update", graph, thread, metadata });
  if (!reply.thread) throw new Refused("unsupported", "the server returned no thread");
  return rowOf(reply.thread);
}

/** `client.watchThreads()`. */
export async function* watchThreads(
  exchange: Exchange,
  { signal, ...filter }: ThreadFilter & { signal?: AbortSignal | undefined } = {},
): AsyncGenerator<ThreadWatchItem, void, undefined> {
  const queueOf = (sub: number) => new ThreadWatchQueue(sub, filter);
  for await (const item of watched(exchange, { what: "threads", ...filter }, queueOf, signal)) {
    requireThreads(exchange); // another server would send runs
    yield item;
  }
}

/** The queue of one watch of threads. */
class ThreadWatchQueue extends WatchQueue<ThreadWatchItem> {
  readonly #filter: ThreadFilter;

  constructor(sub: number, filter: ThreadFilter) {
    super(sub);
    this.#filter = filter;
  }

  /** Add what a frame says; frames that say nothing of threads are ignored. */
  override put(item: Item): void {
    const { frame } = item;
    if (frame.type === "thread_info") this.putRow(keyOf(frame), rowOf(frame), this.#asksFor(rowOf(frame)));
    else if (frame.type === "thread_gone") this.putGone(keyOf(frame), frame.reason);
    else super.put(item);
  }

  /** Tell whether the server would list the row; one that has stopped matching is not listed again. */
  #asksFor({ status, metadata = {} }: ThreadRow): boolean {
    const { status: statuses, metadata: wanted = {}, search = "" } = this.#filter;
    const { title } = metadata;
    const hasAll = Object.entries(wanted).every(
      ([name, value]) => has(metadata, name) && encode([metadata[name]]) === encode([value]),
    );
    const isFound =
      !search || (typeof title === "string" && fold(title.slice(0, SEARCHED)).includes(fold(search)));
    return (!statuses || statuses.includes(status)) && hasAll && isFound;
  }

  protected override goneOf(key: string, reason: string): ThreadGone {
    const [graph, thread] = JSON.parse(key);
    return { status: "gone", graph, thread, reason };
  }
}

/** Characters of a title that a server searches. */
const SEARCHED = 1024;

const fold = (text: string) => text.toLowerCase();
const keyOf = ({ graph, thread }: { graph: string; thread: string }) => JSON.stringify([graph, thread]);

function requireThreads({ welcome }: Exchange): void {
  if (welcome && !welcome.features.includes("threads"))
    throw new Refused(
      "unsupported",
      "the server does not know threads as objects: it lacks the feature 'threads'",
    );
}
