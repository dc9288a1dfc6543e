import fc from "fast-check";
import { expect, test } from "vitest";
import { addDelta } from "../src/protocol/deltas.js";
import type { JsonObject } from "../src/protocol/json.js";

const object = fc.dictionary(fc.string(), fc.jsonValue()) as fc.Arbitrary<JsonObject>;

test("texts add up to the whole, however they are cut", () => {
  fc.assert(
    fc.property(fc.array(fc.string()), (parts) => {
      const sum = parts.reduce<JsonObject>((message, content) => addDelta(message, { content }), {});
      expect(sum.content ?? "").toBe(parts.join(""));
    }),
  );
});

test("the pieces of tool calls join those of the same index, and no others", () => {
  const piece = (index: number, args: string, more = {}) => ({
    tool_call_chunks: [{ index, args, type: "tool_call_chunk", ...more }],
  });
  const pieces = [
    piece(0, "", { id: "a", name: "f" }),
    piece(1, "[", { id: "b", name: "g" }),
    piece(0, '{"x":'),
    piece(1, "]"),
    piece(0, "1}"),
  ];
  expect(pieces.reduce<JsonObject>(addDelta, {}).tool_call_chunks).toEqual([
    { index: 0, args: '{"x":1}', id: "a", name: "f", type: "tool_call_chunk" },
    { index: 1, args: "[]", id: "b", name: "g", type: "tool_call_chunk" },
  ]);
});

test("counts are summed, statuses replaced, equal ids kept", () => {
  const message = {
    usage_metadata: { in: 1, by: { a: 2 } },
    status: "a",
    extra: { id: "x", n: 1, index: 1 },
  };
  const delta = {
    usage_metadata: { in: 2, by: { a: 3, b: 1 } },
    status: "b",
    extra: { id: "x", n: 2, index: 2 },
    id: "chunk",
  };
  expect(addDelta(message, delta)).toEqual({
    usage_metadata: { in: 3, by: { a: 5, b: 1 } },
    status: "b",
    extra: { id: "x", n: 3, index: 2 },
  });
});

test("a block continues the one of its index, which stays, be it a number or a text of LangChain's", () => {
  const block = (index: unknown, text: string) => ({ content: [{ type: "text", index, text }] });
  for (const index of [0, "lc_txt_0"])
    expect([block(index, "a"), block(index, "b")].reduce<JsonObject>(addDelta, {})).toEqual(
      block(index, "ab"),
    );
  expect([block("x", "a"), block("x", "b")].reduce<JsonObject>(addDelta, {}).content).toHaveLength(2);
});

test("nothing is added to a message that was cut", () => {
  expect(addDelta({ $cut: { reason: "size", bytes: 9 } }, { content: "x" })).toEqual({
    $cut: { reason: "size", bytes: 9 },
  });
});

test("whatever is added to whatever, both stay as they were, and null changes nothing", () => {
  fc.assert(
    fc.property(object, object, (message, delta) => {
      const before = JSON.stringify([message, delta]);
      addDelta(message, delta);
      expect(JSON.stringify([message, delta])).toBe(before);
      const nulls = Object.fromEntries(Object.keys(message).map((key) => [key, null]));
      expect(JSON.stringify(addDelta(message, nulls))).toBe(JSON.stringify(message));
    }),
  );
});

test("a key like __proto__ is a key like any other", () => {
  const sum = addDelta({}, JSON.parse('{"__proto__": {"polluted": true}, "x": {"__proto__": 1}}'));
  expect(Object.keys(sum)).toEqual(["__proto__", "x"]);
  expect((sum as { polluted?: unknown }).polluted).toBeUndefined();
});
