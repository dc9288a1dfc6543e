/** What the address says of the Runs page: which runs are listed, in which order, and which are open at the side. */

import type { Status } from "graphwire";
import { hrefOf } from "../address";

/** In the order in which they are shown: what needs a person first. */
export const STATUSES: readonly Status[] = [
  "interrupted",
  "running",
  "queued",
  "failed",
  "completed",
  "cancelled",
];

/** The statuses of runs that have not ended. */
export const ACTIVE: readonly Status[] = ["queued", "running", "interrupted"];

export const isActive = ({ status }: { readonly status: Status }) => ACTIVE.includes(status);

export const SORTS = { newest: "Newest first", oldest: "Oldest first", longest: "Longest first" } as const;
export type Sort = keyof typeof SORTS;

export interface Query {
  /** None is all. */
  readonly status: readonly Status[];
  readonly graph: string | undefined;
  readonly thread: string | undefined;
  /** Words of an id, a title, or metadata. */
  readonly text: string;
  readonly sort: Sort;
  /** The ids of the runs at the side. */
  readonly open: readonly string[];
}

/** Return what a query string asks for. What this version does not know is left out. */
export function queryOf(fields: URLSearchParams): Query {
  const list = (name: string) => [...new Set((fields.get(name) ?? "").split(",").filter(Boolean))];
  const asked = list("status");
  const sort = fields.get("sort") ?? "";
  return {
    status: STATUSES.filter((status) => asked.includes(status)),
    graph: fields.get("graph") || undefined,
    thread: fields.get("thread") || undefined,
    text: fields.get("q") ?? "",
    sort: Object.hasOwn(SORTS, sort) ? (sort as Sort) : "newest",
    open: list("open"),
  };
}

/** Return the address of the Runs page with this query. */
export function hrefOfRuns({ status = [], graph, thread, text, sort, open = [] }: Partial<Query>): string {
  return hrefOf(["runs"], {
    status: status.join(","),
    graph,
    thread,
    q: text,
    sort: sort === "newest" ? undefined : sort,
    open: open.join(","),
  });
}

/** Whether the query leaves any runs out. */
export const isNarrow = ({ status, graph, thread, text }: Query) =>
  status.length > 0 || !!graph || !!thread || !!text.trim();

/** Return the list with `item` added at its end, or taken out. */
export function toggled<T>(list: readonly T[], item: T): readonly T[] {
  return list.includes(item) ? list.filter((each) => each !== item) : [...list, item];
}
