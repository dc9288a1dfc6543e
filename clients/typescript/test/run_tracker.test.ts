import { expect, test } from "vitest";
import type { Item } from "../src/event_queue.js";
import { RunTracker } from "../src/run_tracker.js";

const item = (seq: number, mode: string, data: unknown, epoch = "e") =>
  ({ epoch, frame: { type: "event", sub: 1, n: seq, seq, mode, data } }) as Item;
const life = (seq: number, status: string, more = {}) =>
  item(seq, "lifecycle", { status, attempt: 1, at: "", ...more });
const asks = (seq: number, id: string) =>
  item(seq, "interrupt", { interrupts: [{ id, value: "?", ns: [] }] });

function tracker(...items: Item[]): RunTracker {
  const out = new RunTracker();
  for (const each of items) out.update(each);
  return out;
}

test("of several subscriptions, the one that is ahead decides", () => {
  const run = tracker(life(5, "running"), life(2, "queued"));
  expect(run).toMatchObject({ status: "running", head: 5 });
});

test("a log that was made anew is known anew", () => {
  const run = tracker(life(9, "completed"));
  run.update(item(1, "lifecycle", { status: "running", attempt: 1, at: "" }, "f"));
  expect(run).toMatchObject({ status: "running", head: 1 });
});

test("an end has its reason", () => {
  const error = { code: "graph_error", message: "broken" };
  expect(tracker(life(1, "failed", { error })).failure).toMatchObject(error);
  expect(tracker(life(1, "cancelled", { reason: "enough" })).reason).toBe("enough");
  const run = tracker(life(1, "running"));
  run.update({ epoch: "e", frame: { type: "closed", sub: 1, reason: "end", status: "completed" } as never });
  expect(run.status).toBe("completed");
});

test("a snapshot says all that there is to know", () => {
  const interrupts = [{ id: "i", value: 1, ns: [] }];
  const frame = { type: "snapshot", sub: 1, seq: 7, status: "interrupted", messages: [], interrupts };
  expect(tracker({ epoch: "e", frame: frame as never })).toMatchObject({
    status: "interrupted",
    pause: 7,
    head: 7,
  });
});

test("an answered pause is over, whether the reply comes before its events or behind those that follow", () => {
  const known = tracker(asks(1, "i"), life(2, "interrupted"));
  known.answer(["i"], known.pause, known.resumed);
  expect(known).toMatchObject({ status: "running", answered: 2, interrupts: [] });

  const early = tracker(life(1, "running"));
  early.answer(["i"], undefined, early.resumed);
  early.update(asks(2, "i"));
  early.update(life(3, "interrupted"));
  expect(early).toMatchObject({ status: "running", answered: 3 });

  const late = tracker(
    asks(1, "i"),
    life(2, "interrupted"),
    life(3, "running"),
    asks(4, "j"),
    life(5, "interrupted"),
  );
  late.answer(["i"], 2, 0);
  expect(late).toMatchObject({ status: "interrupted", answered: 2, interrupts: [{ id: "j" }] });
});

test("a breakpoint asks nothing, and is answered once", () => {
  const run = tracker(life(1, "running"));
  run.answer([], undefined, run.resumed);
  run.update(life(2, "interrupted"));
  expect(run).toMatchObject({ status: "running", answered: 2 });
  run.update(life(3, "running"));
  run.update(life(4, "interrupted"));
  expect(run).toMatchObject({ status: "interrupted", answered: 2, pause: 4 });
});

test("data of tomorrow changes nothing", () => {
  const run = tracker(
    life(1, "running"),
    life(2, "paused"),
    item(3, "interrupt", { interrupts: 5 }),
    item(4, "custom", 1),
  );
  expect(run).toMatchObject({ status: "running", interrupts: [], head: 4 });
});
