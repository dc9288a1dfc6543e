import type { ThreadRow } from "graphwire";
import { useSyncExternalStore } from "react";
import { client } from "./client";

/** The threads of this user, the last to change first: one watch, as long as the page lives. */
export interface Threads {
  readonly rows: readonly ThreadRow[];
  /** Whether all threads are there; false at the start. */
  readonly isSynced: boolean;
  readonly error?: Error;
}

let threads: Threads = { rows: [], isSynced: false };
const listeners = new Set<() => void>();

function publish(next: Threads): void {
  threads = next;
  for (const listener of listeners) listener();
}

async function watch(): Promise<void> {
  const rows = new Map<string, ThreadRow>();
  let isSynced = false;
  for await (const item of client.watchThreads({ graphs: ["chat"] })) {
    if (item.status === "synced") isSynced = true;
    else if (item.status === "gone") rows.delete(item.thread);
    else rows.set(item.thread, item);
    if (!isSynced) continue;
    const newestFirst = [...rows.values()].sort((a, b) => (a.updated_at < b.updated_at ? 1 : -1));
    publish({ rows: newestFirst, isSynced });
  }
}

watch().catch((error: Error) => publish({ ...threads, error }));

export function useThreads(): Threads {
  return useSyncExternalStore(subscribe, () => threads);
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** What a thread is called: its first message, which is kept with the thread. */
export const titleOf = (row: ThreadRow | undefined) => String(row?.metadata?.title ?? "New chat");

/** Give a thread its title, unless it has one. */
export async function entitle(thread: string, text: string): Promise<void> {
  const row = await client.thread("chat", thread);
  if (row?.metadata?.title === undefined)
    await client.threadUpdate("chat", thread, { title: text.slice(0, 80) });
}
