/** The Runs page without a page: what is listed and counted, selected, drawn, and meant by keys. */

import type { RunRow } from "graphwire";
import { expect, test } from "vitest";
import { addressOf } from "../src/address";
import { lineOf } from "../src/parts/sparkline";
import { cutSize, gistOf, questionText } from "../src/runs/gist";
import { type KeyActions, pressed } from "../src/runs/keys";
import { listed, nameOf } from "../src/runs/listing";
import { endOf, shareOf } from "../src/runs/panel_words";
import { hrefOfRuns, queryOf } from "../src/runs/query";
import { Rates, rateText, SECONDS } from "../src/runs/rates";
import { NOTHING, stepped } from "../src/runs/selection";
import { isSameButHead, merged, Steady } from "../src/runs/steady";
import { row } from "./row";

const query = (text = "") => queryOf(new URLSearchParams(text));
const untitled = () => undefined;
const ids = (list: readonly RunRow[]) => list.map(({ run }) => run);

// ── the address ──

test("the address holds the whole query, and what it does not know is left out", () => {
  const asked = {
    status: ["interrupted", "failed"],
    graph: "a b",
    thread: "t:1",
    text: "x & y=z",
    sort: "longest",
    open: ["r-1", "r-2"],
  } as const;
  expect(queryOf(addressOf(hrefOfRuns(asked)).query)).toEqual(asked);
  expect(query("status=odd,running,running&sort=__proto__&open=,a,,a")).toEqual({
    status: ["running"],
    graph: undefined,
    thread: undefined,
    text: "",
    sort: "newest",
    open: ["a"],
  });
  expect(hrefOfRuns({})).toBe("#/runs");
});

// ── listing ──

test("what waits for an answer comes first, and then the newest", () => {
  const all = [
    row("old", "running", { created_at: "2026-03-01T12:00:00Z" }),
    row("asks", "interrupted", { created_at: "2026-03-01T11:00:00Z" }),
    row("new", "failed", { created_at: "2026-03-01T13:00:00Z" }),
  ];
  expect(ids(listed(all, query(), untitled).rows)).toEqual(["asks", "new", "old"]);
  expect(ids(listed(all, query("sort=oldest"), untitled).rows)).toEqual(["asks", "old", "new"]);
});

test("the longest first counts from the start, to the end or to now", () => {
  const all = [
    row("short", "completed", { started_at: "2026-03-01T12:00:00Z", ended_at: "2026-03-01T12:00:01Z" }),
    row("long", "completed", { started_at: "2026-03-01T12:00:00Z", ended_at: "2026-03-01T13:00:00Z" }),
    row("now", "running", { started_at: new Date(Date.now() - 60_000).toISOString() }),
  ];
  expect(ids(listed(all, query("sort=longest"), untitled).rows)).toEqual(["long", "now", "short"]);
});

test("the counts are of all that matches but the statuses", () => {
  const all = [row("a"), row("b", "failed"), row("c", "failed", { graph: "other" }), row("d", "queued")];
  const { rows, counts } = listed(all, query("status=failed&graph=chat"), untitled);
  expect(ids(rows)).toEqual(["b"]);
  expect(counts).toEqual({ interrupted: 0, running: 1, queued: 1, failed: 1, completed: 0, cancelled: 0 });
});

test("words are found in the id, the title, the thread and the metadata, whatever their case", () => {
  const all = [row("r-1", "running", { thread: "t", metadata: { user: "Ann" } }), row("r-2"), row("r-3")];
  const titles = (each: RunRow) => (each.run === "r-2" ? "Cats and dogs" : undefined);
  const found = (q: string) => ids(listed(all, query(new URLSearchParams({ q }).toString()), titles).rows);
  expect(found("R-3")).toEqual(["r-3"]);
  expect(found("dogs CATS")).toEqual(["r-2"]);
  expect(found("ann")).toEqual(["r-1"]);
  expect(found("ann cats")).toEqual([]);
  // A title that comes later is found, too.
  expect(ids(listed(all, query("q=birds"), () => "Birds").rows)).toHaveLength(3);
});

test("a run is called by its thread's title, or by its own", () => {
  const own = row("r", "running", { metadata: { title: "Mine" } });
  expect([nameOf(own, "The thread's"), nameOf(own, undefined)]).toEqual(["The thread's", "Mine"]);
  expect(nameOf(row("r", "running", { metadata: { title: 7 } }), undefined)).toBeUndefined();
});

// ── steady rows ──

test("a row stays the same object while only its head grows, and the list with it", () => {
  const steady = new Steady();
  const watch = { isSynced: true, cut: 0, error: undefined };
  const first = row("a", "running", { metadata: { x: 1 } });
  const before = steady.select({ ...watch, rows: [first] }).rows;
  const grown = { ...first, head: 99, metadata: { x: 1 } };
  expect(steady.select({ ...watch, rows: [grown] }).rows).toBe(before);
  expect(steady.latest[0]?.head).toBe(99);
  const after = steady.select({ ...watch, rows: [{ ...grown, status: "completed" as const }] }).rows;
  expect(after).not.toBe(before);
  expect(after[0]?.status).toBe("completed");
  expect(steady.select({ ...watch, rows: [] }).rows).toEqual([]);
});

test("what differs beside the head is another row", () => {
  const old = row("a", "interrupted", { interrupts: ["i"], questions: [] });
  expect(isSameButHead(old, { ...old, head: 5, interrupts: ["i"] })).toBe(true);
  expect(isSameButHead(old, { ...old, interrupts: ["j"] })).toBe(false);
  expect(isSameButHead(old, { ...old, reason: "x" })).toBe(false);
  // A run of the same id that was started anew has other metadata.
  expect(isSameButHead(old, { ...old, epoch: "e2", metadata: { y: 1 } })).toBe(false);
  const asks = (value: unknown) => ({
    ...old,
    questions: [{ id: "i", value, namespace: [], responseSchema: undefined }],
  });
  expect(isSameButHead(asks(1n), asks(1n))).toBe(true);
  expect(isSameButHead(asks(new Set([1])), asks(new Set([2])))).toBe(false);
});

test("each run is listed once, as the first list has it", () => {
  const [a, b, c] = [row("a"), row("b"), row("c")];
  expect(merged([a, b], [{ ...b, head: 9 }, c])).toEqual([a, b, c]);
  const only = [a];
  expect(merged(only, [], [])).toBe(only);
});

// ── rates ──

const sampled = (heads: readonly (readonly [head: number, atMs: number])[], epoch = () => "e") => {
  const rates = new Rates();
  for (const [head, atMs] of heads) rates.sample([{ run: "a", epoch: epoch(), head }], atMs);
  return rates;
};

test("no event is counted before it is seen to come, and none is lost after", () => {
  const rates = sampled([
    [1000, 0],
    [1050, 1000],
    [1050, 2000],
    [1150, 3000],
  ]);
  expect(rates.counts("a")).toEqual([50, 25, 50]);
  expect(rates.rate("a")).toBe(50);
  expect(rates.counts("unknown")).toEqual([]);
  expect(rates.rate("unknown")).toBeUndefined();
});

test("what is sampled twice at once is one second", () => {
  const rates = sampled([
    [0, 0],
    [5, 10],
    [50, 1000],
  ]);
  expect(rates.counts("a")).toEqual([50]);
});

test("what came while nobody looked is spread over the seconds that passed", () => {
  const rates = sampled([
    [0, 0],
    [100, 10_000],
  ]);
  expect(rates.counts("a")).toEqual(new Array(10).fill(10));
});

test("a log that begins anew is no burst, and an old one has a bounded length", () => {
  let epoch = "e";
  const rates = sampled(
    [
      [5, 0],
      [900, 1000],
    ],
    () => {
      const now = epoch;
      epoch += "x";
      return now;
    },
  );
  expect(rates.counts("a")).toEqual([]);
  const long = sampled(Array.from({ length: 200 }, (_, second) => [second * 7, second * 1000] as const));
  expect(long.counts("a")).toEqual(new Array(SECONDS).fill(7));
  long.sample([], 200_000);
  expect(long.counts("a")).toEqual([]);
});

test("rates tell their listeners, until they leave", () => {
  const rates = new Rates();
  let calls = 0;
  const leave = rates.subscribe(() => {
    calls += 1;
  });
  rates.sample([], 0);
  leave();
  rates.sample([], 1000);
  expect(calls).toBe(1);
});

test("a rate is short", () => {
  expect([undefined, 0, 0.01, 0.33, 9.96, 48.4, 1234].map(rateText)).toEqual([
    "",
    "0/s",
    "<0.1/s",
    "0.3/s",
    "10/s",
    "48/s",
    "1.2k/s",
  ]);
});

test("a line grows from the right, keeps within its box, and draws few events low", () => {
  expect(lineOf([])).toBe("");
  expect(lineOf([7])).toBe("");
  expect(lineOf([0, 100])).toBe("M77.9 18.5L80 4.9");
  expect(lineOf([0, 1])).toBe("M77.9 18.5L80 15.1");
  expect(lineOf(new Array(500).fill(3)).match(/[ML]/g)).toHaveLength(40);
});

// ── selection ──

const LIST = ["a", "b", "c", "d"];
const idsOf = (selection: typeof NOTHING) => [...selection.ids].sort().join("");

test("a range goes from the row selected last, in either direction, beside what is selected", () => {
  let now = stepped(NOTHING, { to: "toggle", id: "c" }, LIST);
  now = stepped(now, { to: "range", id: "a" }, LIST);
  expect([idsOf(now), now.current, now.anchor]).toEqual(["abc", "a", "c"]);
  now = stepped(now, { to: "range", id: "d" }, LIST);
  expect(idsOf(now)).toBe("abcd");
  now = stepped(now, { to: "toggle", id: "b" }, LIST);
  expect(idsOf(now)).toBe("acd");
});

test("a range begins where a row was selected, not where the keyboard went since", () => {
  const there = stepped(stepped(NOTHING, { to: "toggle", id: "c" }, LIST), { to: "current", id: "a" }, LIST);
  expect(idsOf(stepped(there, { to: "range", id: "d" }, LIST))).toBe("cd");
});

test("a range whose beginning is no longer listed is the one row", () => {
  const now = stepped({ ...NOTHING, anchor: "gone" }, { to: "range", id: "b" }, LIST);
  expect([idsOf(now), now.anchor]).toEqual(["b", "b"]);
});

test("the keyboard moves within the list, and selects on its way with Shift", () => {
  const down = { to: "move", by: 1 } as const;
  let now = stepped(NOTHING, down, LIST);
  expect(now.current).toBe("a");
  now = stepped(now, { ...down, isRange: true }, LIST);
  expect([now.current, idsOf(now)]).toEqual(["b", "ab"]);
  now = stepped(now, { to: "move", by: Number.POSITIVE_INFINITY }, LIST);
  expect(now.current).toBe("d");
  expect(stepped(now, down, LIST)).toBe(now);
  expect(stepped(now, { to: "move", by: Number.NEGATIVE_INFINITY }, LIST).current).toBe("a");
  expect(stepped(NOTHING, down, [])).toBe(NOTHING);
  // The row that had the keyboard is filtered away.
  expect(stepped({ ...NOTHING, current: "z" }, down, LIST).current).toBe("a");
});

test("all are those of the list, none forgets them, and runs that are gone are forgotten", () => {
  const all = stepped(NOTHING, { to: "all" }, LIST);
  expect(idsOf(all)).toBe("abcd");
  expect(idsOf(stepped(all, { to: "none" }, LIST))).toBe("");
  expect(idsOf(stepped(all, { to: "keep", known: new Set(["b"]) }, []))).toBe("b");
  expect(stepped(all, { to: "keep", known: new Set(LIST) }, [])).toBe(all);
});

// ── keys ──

function keyed(key: string, place: Parameters<typeof pressed>[1] = "page", more: object = {}) {
  const did: unknown[] = [];
  const actions: KeyActions = {
    step: (step) => did.push(step),
    act: (what) => did.push(what),
    status: (index) => did.push(index),
    search: () => did.push("search"),
  };
  const event = { key, ctrlKey: false, metaKey: false, altKey: false, shiftKey: false, ...more };
  return pressed(event, place, actions) ? did[0] : undefined;
}

test("keys move, select, open and answer, and leave to fields and buttons what is theirs", () => {
  expect(keyed("j")).toEqual({ to: "move", by: 1, isRange: false });
  expect(keyed("ArrowUp", "row", { shiftKey: true })).toEqual({ to: "move", by: -1, isRange: true });
  expect(keyed("J", "row", { shiftKey: true })).toEqual({ to: "move", by: 1, isRange: true });
  expect(keyed("a", "page", { metaKey: true })).toEqual({ to: "all" });
  expect([keyed("a"), keyed("o"), keyed("x"), keyed("Enter", "row")]).toEqual([
    "answer",
    "aside",
    "select",
    "open",
  ]);
  expect([keyed("1"), keyed("6"), keyed("7"), keyed("/")]).toEqual([0, 5, undefined, "search"]);
  expect(keyed("Escape")).toEqual({ to: "none" });
  for (const key of ["j", "x", "1", "/", "Escape"]) expect(keyed(key, "field")).toBeUndefined();
  expect(keyed("a", "field", { ctrlKey: true })).toBeUndefined();
  expect([keyed("Enter", "control"), keyed(" ", "control")]).toEqual([undefined, undefined]);
  expect([keyed("j", "page", { altKey: true }), keyed("r", "page", { ctrlKey: true })]).toEqual([
    undefined,
    undefined,
  ]);
});

// ── gists ──

const asks = (value: unknown, more: Partial<RunRow> = {}) =>
  row("r", "interrupted", {
    interrupts: ["i"],
    questions: [{ id: "i", value, namespace: [], responseSchema: undefined }],
    ...more,
  });

test("a row says in one line what it asks, or why it ended", () => {
  expect(gistOf(asks("Send\n it?"))).toBe("Send it?");
  expect(gistOf(asks({ question: "Sure?", draft: "x" }))).toBe("Sure?");
  expect(gistOf(asks({ n: 1n }))).toBe('{"n":"1"}');
  expect(gistOf(asks("a".repeat(1000)))).toHaveLength(301);
  expect(gistOf(asks("One?", { interrupts: ["i", "j", "k"] }))).toBe("One? (and 2 more)");
  expect(gistOf(asks("", { interrupts: [], questions: [] }))).toBe("paused at a breakpoint");
  expect(
    gistOf(row("r", "failed", { error: { code: "graph_error", message: "no", type: "ValueError" } })),
  ).toBe("ValueError: no");
  expect(gistOf(row("r", "cancelled", { reason: "deleted" }))).toBe("deleted");
  expect(gistOf(row("r", "running", { attempt: 2 }))).toBe("attempt 2");
});

test("a question too large for a row says so, with its size", () => {
  const value = { $cut: { reason: "size", bytes: 70_000 } };
  expect(cutSize(value)).toBe(70_000);
  expect(gistOf(asks(value))).toBe("a question of 68 KiB: open the run to read it");
  expect(gistOf(asks(value, { questions: [] }))).toBe("asks a question that is too large for this list");
  expect(cutSize({ cut: 1 })).toBeUndefined();
  expect(questionText({ id: "i", value: undefined, namespace: [], responseSchema: undefined })).toBe("");
});

test("progress is drawn where a node says how much is done", () => {
  expect(
    [{ done: 3, total: 4 }, { progress: 0.5 }, { percent: 20 }, { done: 9, total: 4 }].map(shareOf),
  ).toEqual([0.75, 0.5, 0.2, 1]);
  expect([{ done: 3 }, { done: 1, total: 0 }, { progress: 7 }, null, "half"].map(shareOf)).toEqual(
    new Array(5).fill(undefined),
  );
});

test("a panel shows the end of a text, which begins elsewhere only now and then, and never within a character", () => {
  expect([0, 1999, 2000, 2999, 3000, 10_500].map((length) => endOf("a".repeat(length)))).toEqual([
    0, 0, 1000, 1000, 2000, 9000,
  ]);
  const faces = `a${"\u{1f600}".repeat(1500)}`;
  expect(faces.slice(endOf(faces)).codePointAt(0)).toBe(0x1f600);
});
