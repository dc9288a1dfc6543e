/** About `src/run/activity.ts` and `src/run/spans.ts`: which nodes are lit, and the spans of a waterfall. */

import type { Event } from "graphwire";
import { expect, test } from "vitest";
import { Activity } from "../src/run/activity";
import { namesOf, pathOf, rowsOf, shownState, writersOf } from "../src/run/spans";
import { asks, custom, life, result, snapshot, task, token, update, values } from "./run_events";

const TASKS = ["tasks", "messages"];
const INFERRED = ["updates", "messages", "custom"];

function after(modes: readonly string[], events: Event[]): Activity {
  const activity = new Activity(modes);
  for (const event of events) activity.apply(event);
  return activity;
}

/** The nodes and their states: `plan:done researcher:running*3`. */
function lit(activity: Activity): string {
  return [...activity.nodes.values()]
    .map(
      (node) =>
        `${decodeURIComponent(node.path)}:${shownState(node)}${node.times > 1 ? `*${node.times}` : ""}`,
    )
    .join(" ");
}

const bars = (activity: Activity) =>
  rowsOf(activity.spans).map(
    (span) => `${"> ".repeat(span.depth)}${span.node} ${span.from}-${span.to ?? ""} ${span.state}`,
  );

test("tasks light a node when it begins and when it ends", () => {
  expect(lit(after(TASKS, [task(1, "a", "plan")]))).toBe("plan:running");
  expect(lit(after(TASKS, [task(1, "a", "plan"), result(2, "a", "plan")]))).toBe("plan:done");
  const failed = after(TASKS, [
    task(1, "a", "plan"),
    result(2, "a", "plan", [], { error: { $error: { type: "ValueError", message: "no", error_id: "e1" } } }),
  ]);
  expect(lit(failed)).toBe("plan:failed");
  expect(failed.spans[0]?.error).toBe("ValueError: no (error_id e1)");
});

test("tasks of a subgraph are rows below the task that runs it, also when three run at once", () => {
  const events = [
    task(1, "a", "plan"),
    result(2, "a", "plan"),
    task(3, "r1", "researcher"),
    task(4, "r2", "researcher"),
    task(5, "x1", "read", ["researcher:r1"]),
    task(6, "x2", "read", ["researcher:r2"]),
    result(7, "x2", "read", ["researcher:r2"]),
    result(8, "r2", "researcher"),
  ];
  const activity = after(TASKS, events);
  expect(bars(activity)).toEqual([
    "plan 1-2 done",
    "researcher 3- running",
    "> read 5- running",
    "researcher 4-8 done",
    "> read 6-7 done",
  ]);
  expect(lit(activity)).toBe("plan:done researcher:running*2 researcher/read:running*2");
  expect(activity.nodes.get("researcher")?.running).toBe(1);
});

test("a question makes its task and those above it wait, and an answer lets the same task go on", () => {
  const asked = [
    life(1, "running"),
    task(2, "p", "outer"),
    task(3, "a", "ask", ["outer:p"]),
    result(4, "a", "ask", ["outer:p"], { interrupts: [{ id: "i", value: "?" }] }),
    asks(5),
    life(6, "interrupted"),
  ];
  expect(lit(after(TASKS, asked))).toBe("outer:waiting outer/ask:waiting");
  const answered = [...asked, life(7, "running"), task(8, "p", "outer"), task(9, "a", "ask", ["outer:p"])];
  const activity = after(TASKS, answered);
  expect(lit(activity)).toBe("outer:running outer/ask:running");
  expect(activity.spans.map(({ resumes, retries }) => [resumes, retries])).toEqual([
    [[7], []],
    [[7], []],
  ]);
  const done = after(TASKS, [...answered, result(10, "a", "ask", ["outer:p"]), result(11, "p", "outer")]);
  expect(lit(done)).toBe("outer:done outer/ask:done");
});

test("a task that begins again while it runs is a retry, as is a call that is taken back", () => {
  const events = [life(1, "running"), task(2, "a", "plan"), token(3, "plan", [], { discard: true })];
  expect(after(TASKS, events).spans[0]?.retries).toEqual([3]);
  const taken = [...events, life(4, "running", { attempt: 2 }), task(5, "a", "plan")];
  const activity = after(TASKS, taken);
  expect(activity.spans.map(({ retries }) => retries)).toEqual([[3, 5]]);
  expect(lit(activity)).toBe("plan:running");
});

test("the end of a run ends what is at work", () => {
  const begun = [life(1, "running"), task(2, "a", "plan")];
  expect(lit(after(TASKS, [...begun, life(3, "cancelled")]))).toBe("plan:stopped");
  expect(lit(after(TASKS, [...begun, life(3, "completed")]))).toBe("plan:done");
  expect(lit(after(TASKS, [...begun, life(3, "failed")]))).toBe("plan:stopped");
});

test("without tasks a node begins where the step before it ended, and ends with its update", () => {
  const activity = after(INFERRED, [
    life(1, "running"),
    token(2, "plan"),
    update(5, "plan"),
    token(9, "summarize"),
    update(12, "summarize"),
    update(14, "silent"),
  ]);
  expect(bars(activity)).toEqual(["plan 2-5 done", "summarize 5-12 done", "silent 12-14 done"]);
  expect(activity.spans.every(({ isInferred }) => isInferred)).toBe(true);
});

test("without tasks events of a subgraph show that its node is at work", () => {
  const inside = ["researcher:r1"];
  const activity = after(INFERRED, [
    life(1, "running"),
    update(2, "plan"),
    custom(3, {}, inside),
    custom(4, {}, ["researcher:r2"]),
  ]);
  expect(lit(activity)).toBe("plan:done researcher:running*2");
  activity.apply(token(5, "answer", inside));
  expect(lit(activity)).toBe("plan:done researcher:running*2 researcher/answer:running");
  activity.apply(update(6, "answer", inside));
  activity.apply(update(7, "researcher"));
  expect(activity.nodes.get("researcher")).toMatchObject({ times: 2, running: 1, done: 1 });
});

test("without tasks an update ends the task below which nothing is at work", () => {
  const activity = after(INFERRED, [
    token(1, "answer", ["researcher:r1"]),
    token(2, "answer", ["researcher:r2"]),
    update(3, "answer", ["researcher:r2"]),
    update(4, "researcher"),
  ]);
  expect(bars(activity)).toEqual([
    "researcher 1- running",
    "> answer 1- running",
    "researcher 2-4 done",
    "> answer 2-3 done",
  ]);
});

test("a whole message, which comes with its update, does not light a node again", () => {
  expect(lit(after(INFERRED, [update(1, "plan"), token(2, "plan", [], { isWhole: true })]))).toBe(
    "plan:done",
  );
});

test("without tasks the one node at work when a run fails is the one that failed; of several none is blamed", () => {
  expect(lit(after(INFERRED, [token(1, "answer", ["outer:p"]), life(2, "failed")]))).toBe(
    "outer:failed outer/answer:failed",
  );
  expect(lit(after(INFERRED, [token(1, "a"), token(2, "b"), life(3, "failed")]))).toBe("a:stopped b:stopped");
});

test("without tasks a question is known by its namespace", () => {
  const activity = after(INFERRED, [
    life(1, "running"),
    update(2, "plan"),
    asks(3, ["send:s1"]),
    life(4, "interrupted"),
  ]);
  expect(lit(activity)).toBe("plan:done send:waiting");
  activity.apply(life(5, "running"));
  expect(lit(activity)).toBe("plan:done send:running");
});

test("behind a gap an end that was missed is not known, unless it comes after all", () => {
  const begun = [life(1, "running"), task(2, "a", "plan"), snapshot(50)];
  expect(lit(after(TASKS, begun))).toBe("plan:unknown");
  expect(lit(after(TASKS, [...begun, result(51, "a", "plan")]))).toBe("plan:done");
  const inside = after(TASKS, [...begun, task(51, "x", "read", ["plan:a"])]);
  expect(lit(inside)).toBe("plan:running plan/read:running");
});

test("debug tells the same as tasks, and does not count twice beside them", () => {
  const debug = (seq: number, type: string, payload: unknown): Event => ({
    ...(task(seq, "a", "plan") as object as Event & { mode: "debug" }),
    mode: "debug",
    data: { type, timestamp: "2026-01-01T00:00:00Z", step: 1, payload },
  });
  const begins = { id: "a", name: "plan", input: {}, triggers: [] };
  expect(lit(after(["debug"], [debug(1, "task", begins)]))).toBe("plan:running");
  const both = after(["debug", "tasks"], [task(1, "a", "plan"), debug(2, "task", begins)]);
  expect(both.spans.map(({ retries }) => retries)).toEqual([[]]);
});

test("however many tasks there are, a bounded number of spans is kept, and the counts go on", () => {
  const activity = new Activity(TASKS);
  for (let index = 0; index < 6000; index += 1) {
    activity.apply(task(index * 2 + 1, `t${index}`, "loop"));
    activity.apply(result(index * 2 + 2, `t${index}`, "loop"));
  }
  expect(activity.spans.length).toBeLessThanOrEqual(5000);
  expect(activity.spans.length + activity.dropped).toBe(6000);
  expect(activity.nodes.get("loop")?.times).toBe(6000);
});

test("a node is named by the nodes that lead to it, whatever characters their names have", () => {
  expect(namesOf(["a:1", "1", "b:2:3"])).toEqual(["a", "b"]);
  expect(pathOf(["a/b:1"], "c")).not.toBe(pathOf(["a:1"], "b/c"));
  const activity = after(
    ["values", "updates"],
    [values(3, {}), update(5, "__metadata__"), update(6, "plan")],
  );
  expect(bars(activity)).toEqual(["plan 3-6 done"]);
});

test("a state was written by the nodes that ended since the one before it, in its graph alone", () => {
  const { spans } = after(TASKS, [
    task(2, "a", "plan"),
    result(3, "a", "plan"),
    task(5, "b", "look"),
    task(6, "c", "look"),
    task(7, "d", "inner", ["look:b"]),
    result(8, "d", "inner", ["look:b"]),
    result(9, "b", "look"),
    result(10, "c", "look"),
  ]);
  const writers = (seq: number, before: number | undefined, namespace: readonly string[] = []) =>
    writersOf({ seq, before, namespace }, spans);
  expect(writers(1, undefined)).toEqual([]);
  expect(writers(4, 1)).toEqual(["plan"]);
  expect(writers(11, 4)).toEqual(["look"]);
  expect(writers(8, undefined, ["look:b"])).toEqual(["inner"]);
});

test("four thousand tasks at once begin and end without a look of each at all others", () => {
  const numbers = Array.from({ length: 4000 }, (_, index) => index + 1);
  for (const modes of [["tasks"], ["updates", "messages"]]) {
    const isExact = modes.includes("tasks");
    const events = [
      ...numbers.map((at) => (isExact ? task(at, `t${at}`, `n${at}`) : token(at, `n${at}`))),
      ...numbers.map((at) => (isExact ? result(at + 4000, `t${at}`, `n${at}`) : update(at + 4000, `n${at}`))),
    ];
    const activity = new Activity(modes);
    const before = process.cpuUsage().user;
    for (const event of events) activity.apply(event);
    expect(activity.spans.every(({ state }) => state === "done")).toBe(true);
    // Some 80 ms of work; sixteen million looks take several seconds.
    expect((process.cpuUsage().user - before) / 1000).toBeLessThan(1000);
  }
});
