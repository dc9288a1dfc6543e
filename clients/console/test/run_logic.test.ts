/**
 * About `src/run/diff.ts`, `src/run/clock.ts`, `src/run/axis.ts`, `src/run/size.ts`, `src/run/event_words.ts`,
 * `src/run/input.ts`, `src/run/layout.ts` and `src/starts.ts`.
 */

import type { Event, RunRow, StateSnapshot } from "graphwire";
import { afterEach, expect, test, vi } from "vitest";
import { scaleOf, ticksOf, timeText } from "../src/run/axis";
import { Clock, momentOf } from "../src/run/clock";
import { differenceOf, isSame } from "../src/run/diff";
import { kindOf, shortly, summaryOf } from "../src/run/event_words";
import { inputInCheckpoint, inputInLog, inputInState, inputOfStart, whereOf } from "../src/run/input";
import { layoutOf, pathThrough, subgraphPaths } from "../src/run/layout";
import { contains, sizeOf } from "../src/run/size";
import type { Span } from "../src/run/spans";
import { life, task, token, values } from "./run_events";

afterEach(() => vi.unstubAllGlobals());

// ── differences ────────────────────────────────────────────────────────────────────────────────

const told = (old: unknown, now: unknown) =>
  differenceOf(old, now).changes.map(({ kind, path }) => `${kind} ${path.join(".")}`);

test("a difference names the keys that were added, changed and removed, with old and new", () => {
  const old = { same: [1, { a: 2 }], gone: 1, other: "x", deep: { a: { b: 1, c: 2 } } };
  const now = { same: [1, { a: 2 }], other: "y", deep: { a: { b: 1, c: 3 } }, more: true };
  expect(told(old, now)).toEqual(["removed gone", "changed other", "changed deep.a.c", "added more"]);
  expect(differenceOf(old, now).changes[2]).toMatchObject({ old: 2, now: 3 });
  expect(differenceOf(old, old)).toEqual({ changes: [], isCut: false });
});

test("a list that grew names its new entries, any other list is changed as a whole", () => {
  expect(told({ list: [1, 2] }, { list: [1, 2, 3, 4] })).toEqual(["added list.2", "added list.3"]);
  expect(told({ list: [1, 2] }, { list: [9, 2, 3] })).toEqual(["changed list"]);
  expect(told({ list: [1, 2] }, { list: [1] })).toEqual(["changed list"]);
});

test("values that JSON has not are compared by what they hold", () => {
  expect(isSame(new Set([1, 2]), new Set([1, 2]))).toBe(true);
  expect(isSame(new Map([[1, { a: 1 }]]), new Map([[1, { a: 2 }]]))).toBe(false);
  expect(isSame(new Uint8Array([1, 2]), new Uint8Array([1, 3]))).toBe(false);
  expect(isSame(10n ** 20n, 10n ** 20n)).toBe(true);
  expect(isSame(Number.NaN, Number.NaN)).toBe(true);
  expect(isSame({ a: undefined }, {})).toBe(false);
  expect(told(JSON.parse('{"__proto__": 1}'), JSON.parse('{"__proto__": 2}'))).toEqual(["changed __proto__"]);
});

test("states of any depth and size are compared in bounded work, which is said", () => {
  let [old, now]: unknown[] = [1, 2];
  for (let depth = 0; depth < 50_000; depth += 1) [old, now] = [{ a: old }, { a: now }];
  expect(differenceOf(old, now).changes).toHaveLength(1);
  const many = (add: number) =>
    Object.fromEntries(Array.from({ length: 100_000 }, (_, key) => [key, { key: key + add }]));
  const large = differenceOf(many(0), many(1));
  expect(large.isCut).toBe(true);
  expect(large.changes).toHaveLength(200);
});

// ── times ──────────────────────────────────────────────────────────────────────────────────────

test("a moment is exact where something said it, and estimated between", () => {
  const clock = new Clock();
  expect(clock.at(5)).toBeUndefined();
  clock.note(1, 1000);
  clock.note(11, 2000);
  expect(clock.at(1)).toEqual({ ms: 1000, isExact: true });
  expect(clock.at(6)).toEqual({ ms: 1500, isExact: false });
  expect(clock.at(20)).toEqual({ ms: 2000, isExact: false });
  clock.note(6, 1900); // comes late: a row of a list, say
  expect(clock.at(6)).toEqual({ ms: 1900, isExact: true });
});

test("time never goes back with seq, though the page's clock and the server's differ", () => {
  const clock = new Clock();
  clock.note(1, 5000);
  clock.note(2, 3000);
  expect(clock.at(2)?.ms).toBe(5000);
  clock.skewMs = 60_000;
  clock.noteArrival(3, 70_000);
  expect(clock.at(3)?.ms).toBe(10_000);
});

test("the id of a checkpoint has its moment", () => {
  // Made by Python: uuid of version 6 at 2026-03-01T12:00:00Z.
  const ticks = BigInt(Date.parse("2026-03-01T12:00:00Z")) * 10_000n + 0x01b21dd213814000n;
  const hex = ticks.toString(16).padStart(15, "0");
  const id = `${hex.slice(0, 8)}-${hex.slice(8, 12)}-6${hex.slice(12)}-8000-0123456789ab`;
  expect(momentOf(id)).toBe(Date.parse("2026-03-01T12:00:00Z"));
  expect(momentOf("c6")).toBeUndefined();
});

test("a bar is where its events were, and goes on to the present while its task runs", () => {
  const clock = new Clock();
  clock.note(1, 0);
  clock.note(5, 500);
  clock.note(9, 1000);
  const span = (from: number, to?: number) => ({ from, to, isInferred: false }) as Span;
  const scale = scaleOf([span(1)], clock, 9, 2000);
  expect(scale.barOf(span(5, 9))).toEqual({ left: 25, width: 25, text: "500 ms", isExact: true });
  expect(scale.barOf(span(5))).toMatchObject({ left: 25, width: 75, text: "1.5 s" });
  expect(scale.barOf(span(3, 9)).text).toBe("~750 ms");
  const ordered = scaleOf([span(1)], new Clock(), 11, undefined);
  expect(ordered.isTime).toBe(false);
  expect(ordered.barOf(span(6, 11))).toMatchObject({ left: 50, width: 50, text: "" });
});

test("an axis has a few round marks, however long it is", () => {
  for (const length of [3, 900, 12_345, 400_000, 90_000_000, 9e9]) {
    const ticks = ticksOf(length);
    expect(ticks.length).toBeGreaterThan(1);
    expect(ticks.length).toBeLessThanOrEqual(20);
  }
  expect(ticksOf(10_000)).toEqual([0, 2000, 4000, 6000, 8000]);
  expect([timeText(999), timeText(1500), timeText(65_000), timeText(3_700_000)]).toEqual([
    "999 ms",
    "1.5 s",
    "1 min 5 s",
    "1 h 1 min",
  ]);
});

// ── sizes, words ───────────────────────────────────────────────────────────────────────────────

test("a size is about that of the JSON, and a search finds keys and values at any depth", () => {
  const value = {
    name: "Ünal",
    list: [1, 2, { deep: "needle" }],
    bytes: new Uint8Array(9),
    map: new Map([["k", "v"]]),
  };
  expect(sizeOf({ a: "b".repeat(1000) }).bytes).toBeGreaterThan(1000);
  expect(contains(value, "needle")).toBe(true);
  expect(contains(value, "deep")).toBe(true);
  expect(contains(value, "ünal")).toBe(true);
  expect(contains(value, "other")).toBe(false);
  let deep: unknown = "bottom";
  for (let depth = 0; depth < 10_000; depth += 1) deep = [deep];
  expect(contains(deep, "bottom")).toBe(true);
  expect(sizeOf(Array.from({ length: 1_000_000 }, () => 1)).isExact).toBe(false);
});

test("a large value is told in a few words without a look at all of it", () => {
  const list = Array.from({ length: 1_000_000 }, (_, index) => index);
  expect(shortly({ list }).length).toBeLessThan(400);
  expect(shortly({ a: 1, b: ["x"] })).toBe("{a: 1, b: [x]}");
  let deep: unknown = 1;
  for (let depth = 0; depth < 100_000; depth += 1) deep = [deep];
  expect(shortly(deep).length).toBeLessThan(800);
});

test("what is unusual among events is marked", () => {
  expect(kindOf(token(1, "n", [], { discard: true }))).toBe("discard");
  expect(kindOf(life(1, "failed"))).toBe("failed");
  expect(kindOf({ ...values(1, { $cut: {} }), cutBytes: 9 })).toBe("cut");
  expect(summaryOf(life(3, "cancelled", { reason: "superseded" }))).toBe("cancelled, because: superseded");
});

// ── inputs ─────────────────────────────────────────────────────────────────────────────────────

const ROW = { run: "r", graph: "g", thread: "t", checkpoint: "c1" } as RunRow;

function checkpoint(parent: string | undefined, metadata: unknown, tasks: unknown[], of = {}): StateSnapshot {
  const parentConfig = parent === undefined ? undefined : { configurable: { checkpoint_id: parent } };
  return { values: of, metadata, tasks, parentConfig } as never as StateSnapshot;
}

test("the input of a run is in the checkpoint of its thread that follows the one at which it began", () => {
  const input = { source: "input", step: 3 };
  const start = [{ name: "__start__", result: { topic: "cats" } }];
  expect(inputInCheckpoint(checkpoint("c1", input, start), ROW)?.value).toEqual({ topic: "cats" });
  expect(inputInCheckpoint(checkpoint("c0", input, start), ROW)).toBeUndefined();
  expect(inputInCheckpoint(checkpoint("c1", { source: "loop" }, start), ROW)).toBeUndefined();
  expect(
    inputInCheckpoint(checkpoint(undefined, input, start), { ...ROW, checkpoint: "" })?.value,
  ).toBeDefined();
  const { checkpoint: _, ...unknown } = ROW;
  expect(inputInCheckpoint(checkpoint(undefined, input, start), unknown as RunRow)).toBeUndefined();
});

test("an input of which something was cut is not offered", () => {
  const start = [{ name: "__start__", result: { topic: { $cut: { reason: "size", bytes: 9 } } } }];
  expect(inputInCheckpoint(checkpoint("c1", { source: "input" }, start), ROW)).toBeUndefined();
});

test("a log that records checkpoints has the input in the first of them", () => {
  const event = (seq: number, source: string) =>
    ({
      ...values(seq, { metadata: { source }, values: { __start__: { n: seq } }, tasks: [] }),
      mode: "checkpoints",
    }) as never as Event;
  expect(inputInLog([life(1, "running"), event(2, "input")])?.value).toEqual({ n: 2 });
  expect(inputInLog([event(2, "loop"), event(3, "input")])).toBeUndefined();
});

test("the first state is the input only if nothing was before it, nothing of it is hidden, and nodes are told of", () => {
  const graph = { input_schema: { properties: { n: {}, m: {} } }, output_keys: ["n", "m", "sum"] } as never;
  const { thread: _, checkpoint: __, ...alone } = ROW;
  const events = [life(1, "queued"), life(2, "running"), values(3, { n: 1, sum: 0 }), values(4, { n: 2 })];
  const input = (of = events, row = alone as RunRow, served = graph, modes = ["values", "tasks"]) =>
    inputInState(of, row, served, modes)?.value;
  expect(input()).toEqual({ n: 1 });
  expect(input(events, { ...ROW, checkpoint: "" })).toEqual({ n: 1 });
  expect(input(events, ROW)).toBeUndefined(); // its thread held something
  expect(input(events, { ...alone, thread: "t" } as RunRow)).toBeUndefined(); // who knows
  expect(input(events.slice(1))).toBeUndefined(); // the beginning is gone
  expect(input([life(1, "running"), task(2, "t", "add"), values(3, { n: 1 })])).toBeUndefined(); // a node's
  expect(input([life(1, "running"), values(2, { n: 1 }, ["sub:1"])])).toBeUndefined();
  expect(input(events, undefined, undefined, ["values"])).toBeUndefined(); // a node may be unseen
  expect(input(events, undefined, { ...(graph as object), output_keys: ["n"] } as never)).toBeUndefined();
  expect(input(events, undefined, { ...(graph as object), output_keys: "n" } as never)).toBeUndefined();
  expect(
    input([life(1, "running"), values(2, { n: { $cut: { reason: "size", bytes: 9 } } })]),
  ).toBeUndefined();
});

test("a start of another graph under the same id is not this run's", () => {
  expect(inputOfStart({ graph: "g", input: 1 }, "g")?.value).toBe(1);
  expect(inputOfStart({ graph: "h", input: 1 }, "g")).toBeUndefined();
});

test("a run that began its thread is started again without one, any other where it began", () => {
  expect(whereOf(ROW)).toEqual({ thread: "t", checkpoint: "c1" });
  expect(whereOf({ ...ROW, checkpoint: "" })).toEqual({ thread: undefined, checkpoint: undefined });
});

function storage(room = 5_000_000) {
  const kept = new Map<string, string>();
  return {
    getItem: (key: string) => kept.get(key) ?? null,
    setItem(key: string, text: string) {
      if (text.length > room) throw new Error("full");
      kept.set(key, text);
    },
  };
}

test("inputs outlive a reload, and those that JSON cannot hold stay in memory", async () => {
  vi.stubGlobal("sessionStorage", storage());
  vi.resetModules();
  const before = await import("../src/starts");
  before.remember("r1", "g", { topic: "cats" });
  before.remember("r2", "g", { ids: new Set([1]) });
  expect(before.startOf("r2")?.input).toEqual({ ids: new Set([1]) });
  vi.resetModules();
  const after = await import("../src/starts");
  expect(after.startOf("r1")).toEqual({ graph: "g", input: { topic: "cats" } });
  expect(after.startOf("r2")).toBeUndefined();
  expect(after.startOf("r3")).toBeUndefined();
});

test("a full storage keeps the latest inputs, and costs nothing else", async () => {
  vi.stubGlobal("sessionStorage", storage(2000));
  vi.resetModules();
  const { remember, startOf } = await import("../src/starts");
  for (let index = 0; index < 30; index += 1) remember(`r${index}`, "g", { text: "x".repeat(200) });
  expect(startOf("r29")).toBeDefined();
  vi.resetModules();
  const after = await import("../src/starts");
  expect(after.startOf("r29")).toBeDefined();
  expect(after.startOf("r0")).toBeUndefined();
});

// ── the drawn graph ────────────────────────────────────────────────────────────────────────────

const INNER = {
  node: "researcher",
  nodes: ["read", "answer"],
  edges: [
    { source: "__start__", target: "read" },
    { source: "read", target: "answer" },
    { source: "answer", target: "__end__" },
  ],
};
const GRAPH = {
  nodes: ["plan", "researcher", "summarize"],
  edges: [
    { source: "__start__", target: "plan" },
    { source: "plan", target: "researcher", conditional: true },
    { source: "researcher", target: "summarize" },
    { source: "summarize", target: "__end__" },
  ],
  subgraphs: [INNER],
};

test("a closed subgraph is one node, an open one holds its nodes", () => {
  const closed = layoutOf(GRAPH, () => false, "LR");
  expect(closed.nodes.map(({ id, kind }) => `${id} ${kind}`)).toEqual([
    "__start__ start",
    "plan plain",
    "researcher closed",
    "summarize plain",
    "__end__ end",
  ]);
  expect(closed.edges.map(({ isConditional }) => isConditional)).toEqual([false, true, false, false]);
  for (const direction of ["LR", "TB"] as const) {
    const open = layoutOf(GRAPH, () => true, direction);
    const outer = open.nodes.find(({ id }) => id === "researcher");
    const inner = open.nodes.filter(({ parent }) => parent === "researcher");
    expect(inner.map(({ label }) => label)).toEqual(["__start__", "read", "answer", "__end__"]);
    for (const { x, y, width, height } of inner) {
      expect(x).toBeGreaterThanOrEqual(0);
      expect(y).toBeGreaterThanOrEqual(0);
      expect(x + width).toBeLessThanOrEqual(outer?.width ?? 0);
      expect(y + height).toBeLessThanOrEqual(outer?.height ?? 0);
    }
  }
});

test("edges of an open subgraph are drawn where its nodes are", () => {
  const { nodes, edges } = layoutOf(GRAPH, () => true, "LR");
  const outer = nodes.find(({ id }) => id === "researcher");
  const edge = edges.find(({ source }) => source === "researcher/read");
  const [begin] = edge?.points ?? [];
  if (!outer || !begin) throw new Error("not there");
  expect(begin.x).toBeGreaterThan(outer.x);
  expect(begin.x).toBeLessThan(outer.x + outer.width);
  expect(begin.y).toBeGreaterThan(outer.y);
  expect(begin.y).toBeLessThan(outer.y + outer.height);
});

test("subgraphs in subgraphs, loops, and graphs without nodes can be drawn", () => {
  const twice = { ...GRAPH, subgraphs: [{ ...INNER, subgraphs: [{ ...INNER, node: "read" }] }] };
  expect(subgraphPaths(twice)).toEqual(["researcher", "researcher/read"]);
  const ids = layoutOf(twice, () => true, "TB").nodes.map(({ id }) => id);
  expect(ids).toContain("researcher/read/answer");
  expect(new Set(ids).size).toBe(ids.length);
  const loop = {
    nodes: ["a"],
    edges: [
      { source: "a", target: "a" },
      { source: "a", target: "a", conditional: true },
    ],
  };
  expect(layoutOf(loop, () => false, "LR").edges).toHaveLength(2);
  expect(layoutOf({ nodes: [], edges: [] }, () => false, "LR")).toEqual({
    nodes: [],
    edges: [],
    width: 0,
    height: 0,
  });
  const cut = { ...GRAPH, subgraphs: [{ ...INNER, nodes: [], edges: [], cut: true }] };
  expect(layoutOf(cut, () => true, "LR").nodes.map(({ kind }) => kind)).toContain("cut");
});

test("a line goes from its first point to its last", () => {
  const points = [
    { x: 0, y: 0 },
    { x: 10, y: 10 },
    { x: 20, y: 0 },
    { x: 30, y: 5 },
  ];
  expect(pathThrough(points)).toMatch(/^M0,0 .*30,5$/);
  expect(pathThrough(points.slice(0, 2))).toBe("M0,0 L10,10");
  expect(pathThrough([])).toBe("");
});
