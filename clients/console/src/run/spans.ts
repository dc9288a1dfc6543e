/** The shapes and names of nodes at work, and how they are put in rows. `activity.ts` makes them. */

/** `stopped`: its run ended before it did; `unknown`: its end was lost in a gap. */
export type SpanState = "running" | "done" | "failed" | "waiting" | "stopped" | "unknown";

/** One task: a node at work once. */
export interface Span {
  readonly key: number;
  /** Of the graph that the node is in. */
  readonly namespace: readonly string[];
  readonly node: string;
  /** Names the node in the drawn graph; see `pathOf`. */
  readonly path: string;
  task: string | undefined;
  /** The task whose subgraph it is in. */
  parent: Span | undefined;
  readonly depth: number;
  /** The events with which it began and ended. */
  readonly from: number;
  to: number | undefined;
  state: SpanState;
  /** Whether its beginning was not said but inferred. */
  readonly isInferred: boolean;
  /** Whether it was answered, and its beginning is said once more. */
  isResumed: boolean;
  /** The events with which it began again, behind a failure. */
  readonly retries: number[];
  /** The events with which it went on, behind an answer. */
  readonly resumes: number[];
  /** The events that have its input and its result. */
  inputSeq: number | undefined;
  resultSeq: number | undefined;
  error: string | undefined;
}

/** What a node has done so far: how many of its spans are in each state. */
export type NodeState = {
  readonly path: string;
  /** The nodes that lead to it, itself last. */
  readonly names: readonly string[];
  readonly node: string;
  readonly times: number;
  readonly last: Span | undefined;
} & { [state in SpanState]: number };

/** What is shown of a node: `idle` if it has not run, `unseen` if nothing would tell. */
export type ShownState = SpanState | "idle" | "unseen";

/** Return the state in which a node is shown; `idle` if it has not run. */
export function shownState(node: NodeState | undefined, isRecorded = true): ShownState {
  if (!node) return isRecorded ? "idle" : "unseen";
  if (node.waiting) return "waiting";
  if (node.running) return "running";
  return node.last?.state ?? "idle";
}

/** The words for the states. */
export const STATE_WORDS: { readonly [state in ShownState]: string } = {
  idle: "not run",
  unseen: "not recorded",
  running: "running",
  done: "done",
  failed: "failed",
  waiting: "waits for an answer",
  stopped: "stopped with the run",
  unknown: "end unknown",
};

/** Return the names of the nodes of a namespace. A segment without a colon counts calls, and belongs to the one before. */
export function namesOf(namespace: readonly string[]): string[] {
  return namespace
    .filter((segment) => segment.includes(":"))
    .map((segment) => segment.slice(0, segment.indexOf(":")));
}

/** Return the id of the task in a segment of a namespace. */
export function taskOf(segment: string): string {
  return segment.slice(segment.indexOf(":") + 1);
}

/** Return what names a node in the drawn graph: the same for all tasks of it. */
export function pathOf(namespace: readonly string[], node: string): string {
  return pathOfNames([...namesOf(namespace), node]);
}

/** Return the path of a node by the names that lead to it. */
export function pathOfNames(names: readonly string[]): string {
  return names.map(encodeURIComponent).join("/");
}

/** Return spans as rows of a tree: behind each span those below it, in the order in which they began. */
export function rowsOf(spans: readonly Span[]): Span[] {
  const below = new Map<Span | undefined, Span[]>();
  for (const span of spans) {
    const siblings = below.get(span.parent);
    if (siblings) siblings.push(span);
    else below.set(span.parent, [span]);
  }
  const rows: Span[] = [];
  const left = [...(below.get(undefined) ?? [])].sort(byBeginning).reverse();
  for (let span = left.pop(); span; span = left.pop()) {
    rows.push(span);
    left.push(...(below.get(span) ?? []).sort(byBeginning).reverse());
  }
  return rows;
}

function byBeginning(left: Span, right: Span): number {
  return left.from - right.from || left.key - right.key;
}

/** Return the nodes that ended between a state and the one before it, each once: they wrote what changed. */
export function writersOf(
  state: { readonly seq: number; readonly before: number | undefined; readonly namespace: readonly string[] },
  spans: readonly Span[],
): string[] {
  const { seq, before = 0 } = state;
  const place = state.namespace.join("|");
  const ended = spans.filter(
    ({ to, state, namespace }) =>
      state === "done" && to !== undefined && to > before && to <= seq && namespace.join("|") === place,
  );
  return [...new Set(ended.map(({ node }) => node))];
}

/** Return what a task failed with, as text; undefined if it did not fail. */
export function errorText(error: unknown): string | undefined {
  if (error === null || error === undefined) return undefined;
  if (!isObject(error)) return String(error);
  const { $error: inner = error } = error;
  if (!isObject(inner)) return String(inner);
  const { type, message, error_id } = inner;
  const text = [type, message].filter((each) => typeof each === "string" && each).join(": ");
  const id = typeof error_id === "string" ? ` (error_id ${error_id})` : "";
  return `${text || "an error that the server does not show"}${id}`;
}

/** Tell whether a value is an object, and neither a list nor null. */
export function isObject(value: unknown): value is { readonly [key: string]: unknown } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
