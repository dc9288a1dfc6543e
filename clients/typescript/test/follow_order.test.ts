import { beforeEach, expect, test } from "vitest";
import { MOST_ROWS, RunOrder } from "../src/follow_order.js";
import type { RunRow } from "../src/protocol/frames.js";

function row(number: number | undefined, status: RunRow["status"] = "running", epoch = "e"): RunRow {
  return {
    run: `${epoch}${number}`,
    graph: "g",
    metadata: {},
    status,
    attempt: 1,
    epoch: "x",
    head: 1,
    created_at: "",
    modes: [],
    ...(number === undefined ? {} : { thread_seq: number, thread_epoch: epoch }),
  };
}

const label = (epoch: string, number: number) => ({ epoch, number });

function following(order: RunOrder): string | undefined {
  const found = order.following();
  return typeof found === "object" ? found.run : found;
}

/** An order behind run 2 of the numbering e. */
let order: RunOrder;

beforeEach(() => {
  order = new RunOrder();
  order.add(row(2, "completed"));
  order.begin(label("e", 2), order.hasEnded(label("e", 2), order.now), order.now);
});

test("runs come one after the other by their numbers", () => {
  expect(following(order)).toBeUndefined();
  for (const number of [4, 3]) order.add(row(number)); // newest first, as after a reconnect
  expect(following(order)).toBe("e3");
  order.done();
  expect(following(order)).toBe("e4");
  order.done();
  expect(following(order)).toBeUndefined();
  expect(order.isShown(label("e", 4))).toBe(true);
  expect(order.isShown(label("e", 3))).toBe(false);
  expect(order.isShown(undefined)).toBe(false);
});

test("a hole is missed", () => {
  order.add(row(4));
  expect(following(order)).toBe("missed");
});

test("another numbering is missed, even if the next run is there", () => {
  order.add(row(3));
  order.add(row(1, "running", "f"));
  expect(following(order)).toBe("missed");
});

test("without a numbering the first run of any is expected", () => {
  const first = new RunOrder();
  first.begin(undefined, false, 0);
  expect(first.isShown(undefined)).toBe(true);
  expect(first.isShown(label("f", 1))).toBe(false);
  first.add(row(1, "running", "f"));
  expect(following(first)).toBe("f1");
  expect(first.epoch).toBe("f");
  const late = new RunOrder();
  late.begin(undefined, false, 0);
  late.add(row(2, "running", "f"));
  expect(following(late)).toBe("missed");
});

test("rows of runs that never began, or were shown, say nothing", () => {
  order.add(row(undefined, "queued"));
  order.add(row(undefined, "cancelled"));
  order.add(row(1, "completed"));
  order.add(row(2, "completed"));
  expect(order.now).toBe(1);
  expect(following(order)).toBeUndefined();
});

test("a state shows a run whole only if its end was known before it was asked for", () => {
  const one = new RunOrder();
  one.add(row(1));
  const before = one.now;
  one.add(row(1, "completed"));
  expect(one.hasEnded(label("e", 1), before)).toBe(false);
  expect(one.hasEnded(label("e", 1), one.now)).toBe(true);
  one.begin(label("e", 1), false, before);
  expect(following(one)).toBe("e1");
});

test("what a complete list does not name is forgotten, unless it was cut", () => {
  order.add(row(3));
  order.beginList();
  order.add(row(4));
  order.endList(true);
  expect(following(order)).toBe("e3");
  order.endList();
  expect(following(order)).toBe("missed");
  order.forget("e4");
  expect(following(order)).toBeUndefined();
});

test("rows of other numberings are over if they came before the state was asked for", () => {
  order.add(row(5, "running", "old"));
  const before = order.now;
  order.add(row(1, "running", "new"));
  order.begin(label("e", 2), true, before);
  expect(order.find(label("old", 5))).toBeUndefined();
  expect(following(order)).toBe("missed");
  order.begin(label("new", 1), false, order.now);
  expect(following(order)).toBe("new1");
});

test("too many rows drop the oldest, and that is a hole", () => {
  for (let number = 3; number < 3 + MOST_ROWS; number += 1) order.add(row(number));
  expect(following(order)).toBe("e3");
  order.add(row(3 + MOST_ROWS));
  expect(following(order)).toBe("missed");
});
