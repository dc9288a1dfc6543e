/** The threads of a graph, at the side: found by their titles, named, deleted. */

import { useVirtualizer } from "@tanstack/react-virtual";
import type { ThreadRow } from "graphwire";
import { useEffect, useRef, useState } from "react";
import { go, hrefOf } from "../address";
import { useClient } from "../client";
import { useAttempt } from "../parts/attempt";
import { Problem } from "../parts/problem";
import { DeleteThread } from "./delete_thread";
import { ThreadItem } from "./thread_item";
import { type OpenThreads, useThreads } from "./threads_store";

export interface ThreadPaneProps {
  graph: string;
  /** All threads of the graph. */
  all: OpenThreads;
  /** The thread that is shown. */
  current: string | undefined;
  /** Called when something was chosen: a drawer closes then. */
  onChosen?: (() => void) | undefined;
}

/** Show the threads of a graph. */
export function ThreadPane({ graph, all, current, onChosen }: ThreadPaneProps) {
  const client = useClient();
  const [search, setSearch] = useState("");
  const wanted = useSettled(search.trim());
  const found = useThreads(client, graph, wanted ? { search: wanted } : undefined);
  const { rows, isSynced, cut, error, more } = wanted ? found : all;
  const [deleted, setDeleted] = useState<ThreadRow>();
  const { attempt, problem, busy } = useAttempt();
  const scroller = useRef<HTMLElement>(null);
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => (matchMedia("(pointer: coarse)").matches ? 56 : 46),
    getItemKey: (index) => rows[index]?.thread ?? index,
    overscan: 10,
  });
  const items = virtual.getVirtualItems();
  const [first] = items;
  const last = items.at(-1);
  const space =
    first && last ? { paddingTop: first.start, paddingBottom: virtual.getTotalSize() - last.end } : {};
  return (
    <div className="threads">
      <div className="threads-head">
        <a className="chat-primary threads-new" href={hrefOf(["chat", graph])} onClick={onChosen}>
          New thread
        </a>
        <input
          type="search"
          aria-label="Search in titles"
          placeholder="Search in titles"
          value={search}
          onChange={(event) => setSearch(event.target.value)}
        />
      </div>
      {error && <Problem error={error} />}
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls is reached by keyboard */}
      <section className="threads-scroll" ref={scroller} tabIndex={0} aria-label="List of threads">
        <ul style={space}>
          {items.map(({ index }) => {
            const row = rows[index];
            return (
              row && (
                <li key={row.thread}>
                  <ThreadItem
                    row={row}
                    isCurrent={row.thread === current}
                    onChosen={onChosen}
                    onDelete={() => setDeleted(row)}
                  />
                </li>
              )
            );
          })}
        </ul>
        {isSynced && !rows.length && (
          <p className="chat-notice">
            {wanted ? "No title contains this." : "No threads yet. Your first message or run starts one."}
          </p>
        )}
        {!isSynced && !error && <p className="chat-notice">Loading…</p>}
        {cut > 0 && (
          <p className="chat-notice">
            {cut.toLocaleString("en")} older threads are not shown.{" "}
            <button type="button" disabled={busy} onClick={() => attempt(more())}>
              Show more
            </button>
          </p>
        )}
        {problem && <Problem error={problem} />}
        {isSynced && rows.some(({ metadata }) => !metadata?.title) && !wanted && (
          <p className="chat-notice">
            A thread without a title shows its id. Titles are lost when the server restarts: they are kept in
            its memory.
          </p>
        )}
      </section>
      {deleted && (
        <DeleteThread
          row={deleted}
          onClose={() => setDeleted(undefined)}
          onDeleted={() => {
            setDeleted(undefined);
            if (deleted.thread === current) go(hrefOf(["chat", graph]));
          }}
        />
      )}
    </div>
  );
}

/** The value as it is once it has not changed for a moment: each search is a request. */
function useSettled(value: string): string {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), 200);
    return () => clearTimeout(timer);
  }, [value]);
  return settled;
}
