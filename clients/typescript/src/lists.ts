/** Lists of graphs, runs and threads, page by page. `requests` loads this file on demand. */

import type { Exchange } from "./exchange.js";
import type * as frames from "./protocol/frames.js";
import type { Listing, RunFilter } from "./requests.js";
import { rowOf } from "./rows.js";

const PAGE = 100;

/** What there are lists of. */
export type Listed = "graphs" | "runs" | "threads";

/** Yield the rows of a list; each page is asked for when the one before has been taken. */
export async function* rowsOf<R>(
  exchange: Exchange,
  what: Listed,
  { limit: left = Number.POSITIVE_INFINITY, signal, ...filter }: RunFilter & Listing = {},
): AsyncGenerator<R, void, undefined> {
  let cursor: string | undefined;
  while (left > 0) {
    const asked = { type: "list", what, ...filter, cursor, limit: Math.min(left, PAGE) } as const;
    const page = await exchange.ask(asked, signal);
    for (const row of (page[what] ?? []) as frames.RunRow[]) if (left-- > 0) yield rowOf(row) as R;
    cursor = page.cursor;
    if (cursor === undefined) return;
  }
}
