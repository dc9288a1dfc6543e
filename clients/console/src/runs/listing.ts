/** Which rows are shown, in which order, and how many there are of each status. */

import type { RunRow, Status } from "graphwire";
import { type Query, type Sort, STATUSES } from "./query";

/** The title of a thread, if it has one. */
export type TitleOf = (row: RunRow) => string | undefined;

export type Counts = { readonly [S in Status]: number };

export interface Listing {
  readonly rows: readonly RunRow[];
  /** Of the runs that match all but the statuses. */
  readonly counts: Counts;
}

/** Return the rows that match the query, sorted, what waits for an answer first. */
export function listed(rows: readonly RunRow[], query: Query, titleOf: TitleOf): Listing {
  const counts = Object.fromEntries(STATUSES.map((status) => [status, 0])) as { [S in Status]: number };
  const shown: RunRow[] = [];
  const words = wordsOf(query.text);
  for (const row of rows) {
    if (query.graph !== undefined && row.graph !== query.graph) continue;
    if (query.thread !== undefined && row.thread !== query.thread) continue;
    if (words.length && !hasAll(textOf(row, titleOf(row)), words)) continue;
    counts[row.status] += 1;
    if (!query.status.length || query.status.includes(row.status)) shown.push(row);
  }
  return { rows: shown.sort(orderOf(query.sort)), counts };
}

function orderOf(sort: Sort): (a: RunRow, b: RunRow) => number {
  const now = Date.now();
  const compare = {
    newest: (a: RunRow, b: RunRow) => compared(b.created_at, a.created_at),
    oldest: (a: RunRow, b: RunRow) => compared(a.created_at, b.created_at),
    longest: (a: RunRow, b: RunRow) => tookMs(b, now) - tookMs(a, now),
  }[sort];
  return (a, b) => Number(needsYou(b)) - Number(needsYou(a)) || compare(a, b) || compared(a.run, b.run);
}

const compared = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);

/** Whether the run waits for a person. */
export const needsYou = ({ status }: RunRow) => status === "interrupted";

/** When the run began: once it runs, else when it was asked for. */
export const beginOf = ({ started_at, created_at }: RunRow) => started_at ?? created_at;

function tookMs(row: RunRow, now: number): number {
  return (row.ended_at ? Date.parse(row.ended_at) : now) - Date.parse(beginOf(row));
}

// ── search ─────────────────────────────────────────────────────────────────────────────────────

const wordsOf = (text: string) => text.toLowerCase().split(/\s+/).filter(Boolean);
const hasAll = (text: string, words: readonly string[]) => words.every((word) => text.includes(word));

/** What a row has for search, by row: 300 rows are searched at each key. */
const texts = new WeakMap<RunRow, { title: string | undefined; text: string }>();

function textOf(row: RunRow, title: string | undefined): string {
  const known = texts.get(row);
  if (known && known.title === title) return known.text;
  const { run, thread = "", graph, metadata } = row;
  const text = [run, title ?? "", thread, graph, JSON.stringify(metadata)].join("\n").toLowerCase();
  texts.set(row, { title, text });
  return text;
}

/** Return what the run is called: the title of its thread, or its own; undefined if it has none. */
export function nameOf(row: RunRow, title: string | undefined): string | undefined {
  const own = row.metadata.title;
  return title || (typeof own === "string" && own) || undefined;
}
