import fc from "fast-check";
import { expect, test } from "vitest";
import { encode, restore } from "../src/protocol/projection.js";

const sent = (value: unknown) => JSON.parse(encode({ value })).value;

const { value } = fc.letrec((tie) => ({
  key: fc.oneof(
    fc.string(),
    fc.string().map((text) => `$${text}`),
  ),
  leaf: fc.oneof(
    fc.string(),
    fc.boolean(),
    fc.constant(null),
    fc.double().map((n) => n + 0),
    fc.bigInt(),
    fc.uint8Array(),
  ),
  list: fc.array(tie("value"), { maxLength: 4 }),
  object: fc.dictionary(tie("key") as fc.Arbitrary<string>, tie("value"), { maxKeys: 4 }),
  set: fc.array(tie("leaf"), { maxLength: 3 }).map((items) => new Set(items)),
  map: fc.array(fc.tuple(fc.string(), tie("value")), { maxLength: 3 }).map((pairs) => new Map(pairs)),
  value: fc.oneof({ depthSize: "small" }, tie("leaf"), tie("list"), tie("object"), tie("set"), tie("map")),
}));

test("what is sent comes back as it was", () => {
  fc.assert(
    fc.property(value as fc.Arbitrary<unknown>, (each) => {
      expect(plain(restore(sent(each)))).toEqual(plain(each));
    }),
  );
});

// Minus zero is zero on the wire; objects of fast-check have no prototype.
function plain(each: unknown): unknown {
  if (each === 0) return 0;
  if (each instanceof Map) return new Map([...each].map((pair) => pair.map(plain) as [unknown, unknown]));
  if (each instanceof Set) return new Set([...each].map(plain));
  if (Array.isArray(each)) return each.map(plain);
  if (each instanceof Uint8Array || each === null || typeof each !== "object") return each;
  return Object.fromEntries(Object.entries(each).map(([key, item]) => [key, plain(item)]));
}

test.each([
  [new Date("2026-03-01T12:00:00Z"), "2026-03-01T12:00:00.000Z"],
  [globalThis.Buffer?.from("hi") ?? new TextEncoder().encode("hi"), { $bytes: "aGk=" }],
  [Number.POSITIVE_INFINITY, { $float: "inf" }],
  [Number.NEGATIVE_INFINITY, { $float: "-inf" }],
  [Number.NaN, { $float: "nan" }],
  [{ $int: "5" }, { $obj: { $int: "5" } }],
  [{ a: undefined, b: [undefined] }, { b: [null] }],
])("value %# is sent with its tag", (each, wire) => {
  expect(sent(each)).toEqual(wire);
});

test("an object that is used twice is wrapped twice", () => {
  const shared = { $x: 1 };
  expect(sent([shared, shared])).toEqual([{ $obj: { $x: 1 } }, { $obj: { $x: 1 } }]);
});

test("what holds no tag is returned itself", () => {
  const state = { a: [1, { b: "x" }], c: null };
  expect(restore(state)).toBe(state);
  const tagged = { a: [1, { b: "x" }], n: { $int: "12345678901234567890" } };
  const restored = restore(tagged) as typeof tagged;
  expect(restored.a).toBe(tagged.a);
  expect(restored.n).toBe(12345678901234567890n);
});

test("stand-ins and tags of tomorrow stay as they are", () => {
  for (const each of [
    { $cut: { reason: "size", bytes: 9 } },
    { $repr: "x", $type: "y" },
    { $new: 1 },
    { $int: "x" },
    { $bytes: "%" },
  ])
    expect(restore(each)).toEqual(each);
  expect(
    restore({
      $map: [
        ["a", 1],
        ["a", 2],
      ],
    }),
  ).toEqual([
    ["a", 1],
    ["a", 2],
  ]);
});
