/** The chat's logic, without a server. */

import { Message, type RunRow, type StateSnapshot, type ThreadRow } from "graphwire";
import { expect, test } from "vitest";
import { agoOf } from "../src/chat/ago";
import { newsIn } from "../src/chat/announcer";
import { checkpointBefore, endsTurn, inputOf, NoCheckpoint, saidBefore } from "../src/chat/fork";
import {
  isConversation,
  isNeeded,
  othersSchema,
  recordOf,
  takesThreads,
  titleOf,
} from "../src/chat/graph_kind";
import { type Outgoing, waitingOf } from "../src/chat/sending";
import { ThreadList } from "../src/chat/threads_store";
import { progressOf, subagentsOf, TurnLog } from "../src/chat/turns";

function message(fields: { [key: string]: unknown }, namespace: string[] = []): Message {
  const about = { call: String(fields.id), metadata: {}, namespace, node: undefined, cutBytes: undefined };
  return new Message({ type: "ai", content: "", ...fields } as never, about);
}
const human = (id: string, content = id) => message({ type: "human", id, content });

// ── which graph ────────────────────────────────────────────────────────────────────────────────

const ASKS = { type: "object", properties: { topic: { type: "string" } }, required: ["topic"] };

test("a graph that takes messages is a conversation, also behind a reference", () => {
  expect(isConversation({ input_schema: { properties: { messages: {} } } })).toBe(true);
  const behind = { $ref: "#/$defs/State", $defs: { State: { properties: { messages: {}, who: {} } } } };
  expect(isConversation({ input_schema: behind })).toBe(true);
  expect(Object.keys((othersSchema({ input_schema: behind })?.properties ?? {}) as object)).toEqual(["who"]);
  expect(isConversation({ input_schema: ASKS })).toBe(false);
  expect(isConversation({})).toBe(false);
});

test("what a conversation takes beside messages is a form, and needed if it is required", () => {
  const graph = { input_schema: { properties: { messages: {}, who: {} }, required: ["messages", "who"] } };
  expect(othersSchema(graph)).toMatchObject({ properties: { who: {} }, required: ["who"] });
  expect(isNeeded(othersSchema(graph))).toBe(true);
  expect(othersSchema({ input_schema: { properties: { messages: {} } } })).toBeUndefined();
});

test("only a graph that can stream checkpoints keeps threads, and only its modes are recorded", () => {
  expect([takesThreads({ modes: ["values", "checkpoints"] }), takesThreads({ modes: ["values"] })]).toEqual([
    true,
    false,
  ]);
  expect(recordOf({ modes: ["values", "messages"] })).toEqual({
    modes: ["values", "messages"],
    subgraphs: true,
  });
});

test("a title is the first words", () => {
  expect(titleOf("  A  poem about\tcats\nand dogs")).toBe("A poem about cats");
  expect(titleOf("word ".repeat(30))).toBe(`${"word ".repeat(11)}word…`);
  expect(titleOf("x".repeat(100))).toHaveLength(61);
});

// ── what runs do ───────────────────────────────────────────────────────────────────────────────

const RUN = { mode: "run", run: "r", number: 1, status: "running", checkpoint: "", missing: [] } as const;
const custom = (data: unknown, namespace: string[] = [], node = "n", seq = 1) =>
  ({
    mode: "custom",
    run: "r",
    seq,
    namespace,
    node,
    data,
    cutBytes: undefined,
    taskNamespace: undefined,
  }) as const;
const lifecycle = (status: string, more: object = {}) =>
  ({ mode: "lifecycle", run: "r", seq: 1, namespace: [], status, discard: [], ...more }) as never;

test("of what a node writes the latest is kept, with how many there were, and ends with its run", () => {
  const log = new TurnLog();
  for (const event of [RUN, custom(1), custom(2), custom("x", ["a:1"]), lifecycle("running")])
    log.take(event);
  expect(log.turns).toMatchObject([
    {
      run: "r",
      isOver: false,
      notes: [
        { data: 2, count: 2 },
        { data: "x", count: 1 },
      ],
    },
  ]);
  log.take(lifecycle("interrupted"));
  expect(log.turns[0]?.isOver).toBe(false);
  log.take(lifecycle("failed"));
  expect(log.turns[0]?.isOver).toBe(true);
  log.take({ mode: "discard", reason: "lost", run: "r" });
  expect(log.turns).toEqual([]);
});

test("what a repeated step wrote is taken back, and what was before it stays", () => {
  const log = new TurnLog();
  for (const event of [RUN, custom(1, [], "a", 3), custom(2, [], "b", 5)]) log.take(event);
  log.take(lifecycle("running", { voidAfter: 3 }));
  expect(log.turns[0]?.notes).toMatchObject([{ node: "a", data: 1 }]);
});

test("a run whose beginning was missed is known by what it does", () => {
  const log = new TurnLog();
  log.take(custom(7, ["a:1"]));
  expect(log.turns).toMatchObject([{ run: "r", isOver: false, notes: [{ data: 7, count: 1 }] }]);
});

test("subagents are the subgraphs right below the root, with all that is below them", () => {
  const messages = [
    message({ id: "1" }),
    message({ id: "2" }, ["a:1"]),
    message({ id: "3" }, ["a:1", "b:2"]),
  ];
  const notes = [{ namespace: ["c:3"], node: "n", data: 1, cutBytes: undefined, seq: 1, count: 1 }];
  expect(
    subagentsOf(messages, notes).map(({ name, messages: m, notes: n }) => [name, m.length, n.length]),
  ).toEqual([
    ["a", 2, 0],
    ["c", 0, 1],
  ]);
});

test("progress has the usual names", () => {
  expect(progressOf({ done: 3, total: 4 })).toEqual({ done: 3, total: 4 });
  expect(progressOf({ done: 9, total: 4 })).toEqual({ done: 4, total: 4 });
  expect(progressOf({ progress: 0.5 })).toEqual({ done: 0.5, total: 1 });
  expect(progressOf({ percent: 20 })).toEqual({ done: 20, total: 100 });
  expect([
    progressOf({ done: 1 }),
    progressOf("x"),
    progressOf(null),
    progressOf({ done: 1, total: 0 }),
  ]).toEqual([undefined, undefined, undefined, undefined]);
});

// ── branching ──────────────────────────────────────────────────────────────────────────────────

function historian(states: [id: string, parent: string | undefined, said: string[]][]) {
  return {
    async *stateHistory() {
      for (const [checkpoint, parent, said] of states)
        yield {
          checkpoint,
          parentConfig: parent && { configurable: { checkpoint_id: parent } },
          values: { messages: said.map((id) => ({ id })) },
        } as unknown as StateSnapshot;
    },
  } as never;
}

test("the checkpoint before a message is the nearest one up its branch that does not hold it", async () => {
  const client = historian([
    ["c5", "c4", ["h1", "a1", "h2", "a2"]],
    ["x2", "c2", ["h1", "other"]], // of another branch
    ["c4", "c3", ["h1", "a1", "h2"]],
    ["c3", "c2", ["h1", "a1"]],
    ["c2", "c1", ["h1", "a1"]],
    ["c1", undefined, []],
  ]);
  expect(await checkpointBefore(client, "g", "t", "h2")).toBe("c3");
  expect(await checkpointBefore(client, "g", "t", "h1")).toBe("c1");
  await expect(checkpointBefore(client, "g", "t", "never")).rejects.toThrow(NoCheckpoint);
});

test("no checkpoint before a message is an error with what to do, and a row that knows it saves the reading", async () => {
  const client = historian([["c1", undefined, ["h1"]]]);
  await expect(checkpointBefore(client, "g", "t", "h1")).rejects.toThrow(/Say it anew/);
  const row = { metadata: { message: "h1" }, checkpoint: "c0" } as unknown as RunRow;
  expect(await checkpointBefore(client, "g", "t", "h1", [row])).toBe("c0");
  const first = { metadata: { message: "h1" }, checkpoint: "" } as unknown as RunRow;
  await expect(checkpointBefore(client, "g", "t", "h1", [first])).rejects.toThrow(NoCheckpoint);
});

test("an answer is regenerated from what was said before it, whole turns at a time", () => {
  const tool = message({ type: "tool", id: "t" });
  const all = [
    human("h1"),
    message({ id: "a1" }),
    tool,
    message({ id: "a2" }),
    human("h2"),
    message({ id: "a3" }),
  ];
  expect(all.map((each) => endsTurn(all, each))).toEqual([false, false, false, true, false, true]);
  expect(saidBefore(all, all[3] as Message)?.id).toBe("h1");
  expect(saidBefore(all, all[5] as Message)?.id).toBe("h2");
});

test("an edited message keeps its id and its files", () => {
  const file = { type: "image", url: "https://a.example" };
  const said = message({ type: "human", id: "h", content: [{ type: "text", text: "a" }, "b", file] });
  expect(inputOf(said, "c")).toEqual({
    type: "human",
    id: "h",
    content: [{ type: "text", text: "c" }, file],
  });
  expect(inputOf(human("h", "x"))).toEqual({ type: "human", id: "h", content: "x" });
});

// ── sending ────────────────────────────────────────────────────────────────────────────────────

const out = (run: string): Outgoing => ({ run, message: `m-${run}`, text: run, isTaken: true });
const row = (run: string, status: string, more: object = {}) =>
  ({ run, status, metadata: {}, created_at: run, ...more }) as unknown as RunRow;

test("what the thread does not show yet waits, each with why", () => {
  const sent = [out("a"), out("b"), out("c"), out("d"), out("e")];
  const rows = [
    row("f", "queued", { metadata: { title: "theirs" } }),
    row("e", "failed", { thread_seq: 3 }),
    row("d", "cancelled"),
    row("c", "queued"),
    row("b", "running", { thread_seq: 2 }),
  ];
  expect(waitingOf(sent, rows, [human("m-a")])).toEqual([
    { run: "b", text: "b", isOwn: true, state: "starting" },
    { run: "c", text: "c", isOwn: true, state: "queued" },
    { run: "d", text: "d", isOwn: true, state: "dropped" },
    { run: "f", text: "theirs", isOwn: false, state: "queued" },
  ]);
});

// ── threads ────────────────────────────────────────────────────────────────────────────────────

const thread = (name: string, updated_at: string, title?: string) =>
  ({
    graph: "g",
    thread: name,
    status: "completed",
    updated_at,
    ...(title && { metadata: { title } }),
  }) as ThreadRow;

test("threads are listed by their last change, and leave with their end", () => {
  const list = new ThreadList();
  for (const item of [thread("a", "1"), thread("b", "3"), thread("c", "2")]) list.take(item);
  list.take({ status: "synced", cut: 2 });
  list.take(thread("a", "4"));
  expect(list.read()).toMatchObject({ isSynced: true, cut: 2 });
  expect(list.read().rows.map((each) => each.thread)).toEqual(["a", "b", "c"]);
  list.take({ status: "gone", graph: "g", thread: "b", reason: "deleted" });
  expect([list.add(thread("c", "2")), list.add(thread("z", "0"))]).toEqual([false, true]);
  expect(list.read().rows.map((each) => each.thread)).toEqual(["a", "c", "z"]);
  expect(list.read().cut).toBe(1);
});

test("a thread that is renamed leaves a search that no longer finds it", () => {
  const list = new ThreadList("CAT");
  list.take(thread("a", "1", "Of cats"));
  expect(list.read().rows).toHaveLength(1);
  list.take(thread("a", "1", "Of dogs"));
  expect(list.read().rows).toHaveLength(0);
});

test("times are short", () => {
  const now = Date.parse("2026-03-01T12:00:00Z");
  const ago = (ms: number) => agoOf(now - ms, now);
  expect([ago(0), ago(-5000), ago(90_000), ago(2 * 3_600_000), ago(3 * 86_400_000)]).toEqual([
    "now",
    "now",
    "1 min",
    "2 h",
    "3 d",
  ]);
  expect(ago(40 * 86_400_000)).toBe("2026-01-20");
});

// ── what screen readers hear ───────────────────────────────────────────────────────────────────

test("a message is told once, when it is finished, and only those of the graph", () => {
  const known = new Set<string>();
  const writing = message({ type: "AIMessageChunk", id: "a", content: "hel" });
  expect(newsIn([human("h"), writing], known)).toBe("");
  const whole = message({ id: "a", content: "hello", tool_calls: [{ id: "t", name: "mail", args: {} }] });
  expect(newsIn([human("h"), whole], known)).toBe("hello, calls mail");
  expect(newsIn([human("h"), whole], known)).toBe("");
});
