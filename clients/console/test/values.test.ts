/** How values, sizes, times and errors are said. */

import { ConnectionClosed, Refused, RunFailed } from "graphwire";
import { expect, test } from "vitest";
import { durationText } from "../src/parts/duration";
import { describe as described, isPlain, jsonText, sizeText } from "../src/parts/json_value";
import { wordsOf } from "../src/parts/problem_words";
import { askedOf } from "../src/parts/question_words";

const said = (value: unknown) => {
  const { kind, summary, count } = described(value);
  return [kind, summary, count];
};

test("each kind of value says what it is", () => {
  expect(said(null)).toEqual(["null", "null", 0]);
  expect(said(undefined)).toEqual(["missing", "not there", 0]);
  expect(said(2n ** 64n)).toEqual(["number", "18446744073709551616", 0]);
  expect(said(Number.NaN)).toEqual(["number", "NaN", 0]);
  expect(said(new Uint8Array([1, 255]))).toEqual(["bytes", "2 B: 01 ff", 0]);
  expect(said(new Set([1]))).toEqual(["set", "set of 1 item", 1]);
  expect(said(new Map([[{ a: 1 }, 2]]))).toEqual(["map", "map of 1 entry", 1]);
  expect(said([1, 2])).toEqual(["list", "2 items", 2]);
  expect(said({})).toEqual(["object", "0 keys", 0]);
  expect(described(new Map([[1, "x"]])).entries()).toEqual([["(1)", "x"]]);
});

test("what stands for a value that was not sent says so, and only that does", () => {
  expect(said({ $cut: { reason: "size", bytes: 5_000_000 } })).toEqual([
    "cut",
    "cut: 4.8 MiB, more than the server sends at once (max_event_bytes)",
    0,
  ]);
  expect(said({ $cut: { reason: "depth" } })[1]).toBe("cut: nested deeper than the server sends");
  expect(said({ $repr: "<f>", $type: "F" })).toEqual(["stand-in", "<f> (F)", 0]);
  expect(said({ $error: { type: "KeyError", error_id: "e1" } })[1]).toBe("an error: KeyError, e1");
  expect(said({ $cut: "mine", other: 1 })[0]).toBe("object");
});

test("a state of any depth costs what is looked at", () => {
  let deep: unknown = "end";
  for (let depth = 0; depth < 100_000; depth++) deep = { deep };
  expect(said(deep)).toEqual(["object", "1 key", 1]);
});

test("sizes and times are short", () => {
  expect([0, 812, 1024, 4198, 1023.99 * 1024, 3 * 2 ** 20, Number.NaN].map(sizeText)).toEqual([
    "0 B",
    "812 B",
    "1 KiB",
    "4.1 KiB",
    "1 MiB",
    "3 MiB",
    "of unknown size",
  ]);
  expect([-5, 449, 12_300, 185_000, 7_440_000, 443_000_000].map((ms) => durationText(ms))).toEqual([
    "0.0 s",
    "0.4 s",
    "12 s",
    "3:05",
    "2 h 04",
    "5 d 3 h",
  ]);
  expect(durationText(449, true)).toBe("0 s");
});

test("what JSON cannot say becomes something near it, and is noticed", () => {
  expect(JSON.parse(jsonText({ s: new Set([1]), m: new Map([["k", 2n]]), n: Number.NaN }))).toEqual({
    s: [1],
    m: { k: "2" },
    n: "NaN",
  });
  expect([isPlain({ a: [1, "x", null] }), isPlain({ a: new Set() }), isPlain([1n])]).toEqual([
    true,
    false,
    false,
  ]);
  expect(jsonText(undefined)).toBe("");
});

test("an error says what happened, where, and what to do", () => {
  const errors = [{ path: "responses[0].value.city", reason: "expected string" }];
  const refused = new Refused("invalid_argument", "the answer does not fit", "never", undefined, { errors });
  expect(wordsOf(refused)).toEqual({
    what: "The server does not accept what was sent. the answer does not fit.",
    todo: expect.stringContaining("Correct"),
    where: [{ path: "city", reason: "expected string" }],
  });
  const failed = { code: "graph_error", message: "no tea (really)", errorId: "e7", type: "ValueError" };
  expect(wordsOf(new RunFailed("run-1", failed))).toEqual({
    what: "ValueError: no tea (really).",
    todo: "The server’s log has the traceback: look for e7.",
    where: [],
  });
  expect(wordsOf(new RunFailed("run-1", { ...failed, code: "lost" })).todo).toContain("Run it again");
  expect(wordsOf(new Refused("new_code", "so it is")).what).toBe("so it is.");
  expect(wordsOf(new Refused("internal", "it broke", "never", undefined, { error_id: "e7" })).what).toContain(
    "e7",
  );
  expect(
    wordsOf(new Refused("invalid_argument", "x", "never", undefined, { errors: [null, 3, { path: 1 }] }))
      .where,
  ).toEqual([]);
  expect(wordsOf(new ConnectionClosed(4403, "no")).what).toContain("closed: no.");
  expect(wordsOf(new Error("")).what).toBe("Error.");
  expect(wordsOf(new RunFailed("run-1", { ...failed, code: "recursion_limit" })).todo).toContain(
    "raise recursion_limit",
  );
});

test("a question is its sentence, and what stands beside it", () => {
  expect(askedOf("Go?")).toMatchObject({ asked: "Go?", rest: [] });
  expect(askedOf({ to: "all", question: "Send?" })).toMatchObject({ asked: "Send?", rest: [["to", "all"]] });
  expect(askedOf({ question: 3 })).toMatchObject({ asked: undefined, rest: [["question", 3]] });
  expect(askedOf([1])).toMatchObject({ asked: undefined, whole: [1] });
  expect(askedOf({ $cut: { reason: "size" } })).toMatchObject({ whole: { $cut: { reason: "size" } } });
});
