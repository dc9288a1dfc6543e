/**
 * Which nodes work, and since when: spans, made of a run's events in their order.
 *
 * Mode `tasks` says it exactly, and so does `debug`. Without them it is inferred: a node begins when the step before it
 * has ended, shows itself with its first token or with an event of its subgraph, and ends with its update. What is
 * inferred is marked so, and what cannot be inferred, such as a node that fails in silence, is not there.
 *
 * `spans.ts` has the shapes and names.
 */

import type { Event } from "graphwire";
import {
  errorText,
  isObject,
  type NodeState,
  namesOf,
  pathOf,
  type Span,
  type SpanState,
  taskOf,
} from "./spans";

/** More spans than this are not kept; the oldest that have ended go first. */
const MOST = 5000;

/** The spans of a run. `apply` each event once, in order. */
export class Activity {
  /** In the order in which they began to be known. */
  spans: Span[] = [];
  readonly nodes = new Map<string, NodeState>();
  /** How many spans were let go. */
  dropped = 0;
  /** Rises when a span comes or goes, which alone changes the rows of a waterfall. */
  structure = 0;
  readonly #source: "tasks" | "debug" | "none";
  readonly #open = new Map<string, Set<Span>>();
  /** The open spans right below each span: with a thousand tasks at once, nothing may look at all of them. */
  readonly #below = new Map<Span, Set<Span>>();
  readonly #byTask = new Map<string, Span>();
  /** The last event that ended a step, by namespace. */
  readonly #boundary = new Map<string, number>();
  readonly #hasValues: boolean;
  #attempt = 1;
  #key = 0;

  constructor(modes: readonly string[]) {
    this.#source = modes.includes("tasks") ? "tasks" : modes.includes("debug") ? "debug" : "none";
    this.#hasValues = modes.includes("values");
  }

  /** Whether spans begin and end when the run says so, rather than as far as can be inferred. */
  get isExact(): boolean {
    return this.#source !== "none";
  }

  apply(event: Event): void {
    const { seq, namespace } = event;
    switch (event.mode) {
      case "tasks":
        if (this.#source === "tasks") this.#task(seq, namespace, event.data);
        return;
      case "debug":
        if (isObject(event.data)) this.#debug(seq, namespace, event.data);
        return;
      case "checkpoints":
        if (!this.isExact) this.#next(seq, namespace, event.data);
        return;
      case "updates":
        if (!this.isExact) this.#update(seq, namespace, event.data);
        return;
      case "values":
        if (!this.isExact) this.#boundary.set(keyOf(namespace), seq);
        return;
      case "messages": {
        const node = event.node ?? stringOf(event.message.metadata.langgraph_node);
        if (node === undefined) return;
        if (event.discard) this.#spanOf(namespace, node)?.retries.push(seq);
        else if (!this.isExact && !event.isWhole) this.#seen(seq, namespace, node);
        return;
      }
      case "custom":
        if (!this.isExact) this.#parent(seq, event.taskNamespace ?? namespace);
        return;
      case "interrupt":
        if (!this.isExact) for (const { namespace } of event.interrupts) this.#parent(seq, namespace);
        return;
      case "lifecycle":
        this.#lifecycle(seq, event.status, event.attempt);
        return;
      case "snapshot":
        // What happened between is not known: a span whose end was missed is not shown as if it went on.
        for (const span of this.#allOpen()) this.#end(span, seq, "unknown");
        this.#lifecycle(seq, event.status, this.#attempt);
        return;
      default:
        return;
    }
  }

  // ── what events say ──────────────────────────────────────────────────────────────────────────

  #task(seq: number, namespace: readonly string[], data: unknown): void {
    if (!isObject(data) || typeof data.name !== "string") return;
    const task = stringOf(data.id);
    const known = task === undefined ? this.#spanOf(namespace, data.name) : this.#byTask.get(task);
    if (!("result" in data || "error" in data)) {
      if (known?.to === undefined && known) {
        if (known.isResumed) known.isResumed = false;
        else known.retries.push(seq);
        return;
      }
      this.#begin(seq, namespace, data.name, task, false).inputSeq = seq;
      return;
    }
    const span = known ?? this.#begin(seq, namespace, data.name, task, true);
    const error = errorText(data.error);
    const isAsking = Array.isArray(data.interrupts) && data.interrupts.length > 0;
    span.resultSeq = seq;
    span.error = error;
    if (isAsking) this.#change(span, "waiting");
    else this.#end(span, seq, error === undefined ? "done" : "failed");
  }

  #debug(seq: number, namespace: readonly string[], data: { readonly [key: string]: unknown }): void {
    const isTask = data.type === "task" || data.type === "task_result";
    if (this.#source === "debug" && isTask) this.#task(seq, namespace, data.payload);
  }

  /** A checkpoint says which nodes run next. */
  #next(seq: number, namespace: readonly string[], data: unknown): void {
    this.#boundary.set(keyOf(namespace), seq);
    if (!isObject(data) || !Array.isArray(data.tasks)) return;
    for (const task of data.tasks)
      if (isObject(task) && typeof task.name === "string" && !task.name.startsWith("__")) {
        const id = stringOf(task.id);
        if (id === undefined || !this.#byTask.has(id)) this.#begin(seq, namespace, task.name, id, true);
      }
  }

  #update(seq: number, namespace: readonly string[], data: { readonly [node: string]: unknown }): void {
    for (const node of Object.keys(data)) {
      if (node.startsWith("__")) continue;
      const open = this.#open.get(keyOf(namespace, node));
      // Of several at work, the one that has nothing at work below it.
      const span =
        first(open, (each) => !this.#hasOpenBelow(each)) ??
        first(open, () => true) ??
        this.#begin(this.#boundary.get(keyOf(namespace)) ?? seq, namespace, node, undefined, true);
      span.resultSeq = seq;
      this.#end(span, seq, "done");
    }
    if (!this.#hasValues) this.#boundary.set(keyOf(namespace), seq);
  }

  /** A node shows that it is at work. */
  #seen(seq: number, namespace: readonly string[], node: string): void {
    if (this.#open.has(keyOf(namespace, node))) return;
    this.#begin(this.#boundary.get(keyOf(namespace)) ?? seq, namespace, node, undefined, true);
  }

  #lifecycle(seq: number, status: string, attempt: number): void {
    if (attempt > this.#attempt) {
      this.#attempt = attempt;
      // The step is repeated: with tasks each says so itself.
      if (!this.isExact) for (const span of this.#allOpen()) span.retries.push(seq);
    }
    if (status === "running") {
      for (const span of this.#allOpen())
        if (span.state === "waiting") {
          span.resumes.push(seq);
          span.isResumed = true;
          this.#change(span, "running");
        }
    } else if (status === "interrupted") {
      for (const span of this.#allOpen()) this.#change(span, "waiting");
    } else if (status === "completed" || status === "cancelled") {
      for (const span of this.#allOpen()) this.#end(span, seq, status === "completed" ? "done" : "stopped");
    } else if (status === "failed") {
      const leaves = this.#allOpen().filter((span) => !this.#hasOpenBelow(span));
      const [only, ...others] = leaves;
      const culprit = others.length || this.isExact ? undefined : only;
      for (const span of this.#allOpen()) {
        const isAbove = culprit && isBelow(culprit, span);
        this.#end(span, seq, span === culprit || isAbove ? "failed" : "stopped");
      }
    }
  }

  // ── spans ────────────────────────────────────────────────────────────────────────────────────

  #begin(
    seq: number,
    namespace: readonly string[],
    node: string,
    task: string | undefined,
    isInferred: boolean,
  ): Span {
    const parent = this.#parent(seq, namespace);
    this.#key += 1;
    const span: Span = {
      key: this.#key,
      namespace,
      node,
      path: pathOf(namespace, node),
      task,
      parent,
      depth: parent ? parent.depth + 1 : 0,
      from: seq,
      to: undefined,
      state: "running",
      isInferred,
      isResumed: false,
      retries: [],
      resumes: [],
      inputSeq: undefined,
      resultSeq: undefined,
      error: undefined,
    };
    this.#setOpen(span);
    if (task !== undefined) this.#byTask.set(task, span);
    this.spans.push(span);
    this.structure += 1;
    const state = this.nodes.get(span.path) ?? newState(span.path, namesOf(namespace), node);
    this.nodes.set(span.path, { ...state, times: state.times + 1, running: state.running + 1, last: span });
    if (this.spans.length > MOST) this.#letGo();
    return span;
  }

  #change(span: Span, state: SpanState): void {
    if (span.state === state) return;
    const known = this.nodes.get(span.path);
    if (known) {
      const counts = { ...known };
      counts[span.state] -= 1;
      counts[state] += 1;
      this.nodes.set(span.path, counts);
    }
    span.state = state;
  }

  #end(span: Span, seq: number, state: SpanState): void {
    this.#change(span, state);
    span.to = seq;
    const key = keyOf(span.namespace, span.node);
    const open = this.#open.get(key);
    open?.delete(span);
    if (!open?.size) this.#open.delete(key);
    if (span.parent) this.#below.get(span.parent)?.delete(span);
    // What is below it cannot go on without it.
    const below = this.#below.get(span) ?? [];
    this.#below.delete(span);
    for (const each of below) if (each.to === undefined) this.#end(each, seq, state);
  }

  #setOpen(span: Span): void {
    const key = keyOf(span.namespace, span.node);
    const [open, below] = [this.#open.get(key), span.parent && this.#below.get(span.parent)];
    if (open) open.add(span);
    else this.#open.set(key, new Set([span]));
    if (below) below.add(span);
    else if (span.parent) this.#below.set(span.parent, new Set([span]));
  }

  /** Return the span that a namespace is inside of; it begins if nothing was known of it. Undefined for the root. */
  #parent(seq: number, namespace: readonly string[]): Span | undefined {
    const at = namespace.findLastIndex((segment) => segment.includes(":"));
    if (at < 0) return undefined;
    const [above, segment] = [namespace.slice(0, at), namespace[at] ?? ""];
    const task = taskOf(segment);
    const known = this.#byTask.get(task);
    if (known) {
      if (known.to !== undefined && known.state === "unknown") {
        // It goes on behind a gap.
        known.to = undefined;
        this.#change(known, "running");
        this.#setOpen(known);
      }
      return known;
    }
    const [node = segment] = namesOf([segment]);
    const unnamed = first(this.#open.get(keyOf(above, node)), (span) => span.task === undefined);
    if (unnamed) {
      unnamed.task = task;
      this.#byTask.set(task, unnamed);
      return unnamed;
    }
    const begun = this.isExact ? seq : (this.#boundary.get(keyOf(above)) ?? seq);
    return this.#begin(begun, above, node, task, true);
  }

  #spanOf(namespace: readonly string[], node: string): Span | undefined {
    let last: Span | undefined;
    for (const span of this.#open.get(keyOf(namespace, node)) ?? []) last = span;
    return last;
  }

  #allOpen(): Span[] {
    return [...this.#open.values()].flatMap((spans) => [...spans]);
  }

  #hasOpenBelow(span: Span): boolean {
    return (this.#below.get(span)?.size ?? 0) > 0;
  }

  #letGo(): void {
    const surplus = MOST / 10;
    const gone = new Set(this.spans.filter(({ to }) => to !== undefined).slice(0, surplus));
    // A span whose parent is gone would hang in the air.
    this.spans = this.spans.filter((span) => !gone.has(span));
    for (const span of gone) if (span.task !== undefined) this.#byTask.delete(span.task);
    for (const span of this.spans) if (span.parent && gone.has(span.parent)) span.parent = undefined;
    this.dropped += gone.size;
  }
}

function newState(path: string, names: readonly string[], node: string): NodeState {
  const counts = { running: 0, done: 0, failed: 0, waiting: 0, stopped: 0, unknown: 0 };
  return { path, names: [...names, node], node, times: 0, last: undefined, ...counts };
}

function first(spans: Iterable<Span> | undefined, is: (span: Span) => boolean): Span | undefined {
  for (const span of spans ?? []) if (is(span)) return span;
  return undefined;
}

function isBelow(span: Span, above: Span): boolean {
  for (let at = span.parent; at; at = at.parent) if (at === above) return true;
  return false;
}

function keyOf(namespace: readonly string[], node = ""): string {
  return `${namespace.join("|")}\n${node}`;
}

function stringOf(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}
