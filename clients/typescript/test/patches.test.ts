import fc from "fast-check";
import { expect, test } from "vitest";
import { apply } from "../src/protocol/patches.js";
import { OutOfStep } from "../src/protocol/state.js";

test.each([
  [{ a: 1 }, { op: "add", path: "/b", value: 2 }, { a: 1, b: 2 }],
  [{ a: 1 }, { op: "replace", path: "", value: [] }, []],
  [{ a: { b: [1, 2] } }, { op: "remove", path: "/a/b/0" }, { a: { b: [2] } }],
  [{ a: [1, 3] }, { op: "add", path: "/a/1", value: 2 }, { a: [1, 2, 3] }],
  [{ a: [1] }, { op: "append", path: "/a", value: [2, 3] }, { a: [1, 2, 3] }],
  [{ a: "x" }, { op: "append", path: "/a", value: "y" }, { a: "xy" }],
  [{ "a/b": { "~": 1 } }, { op: "replace", path: "/a~1b/~0", value: 2 }, { "a/b": { "~": 2 } }],
  [{ "": 1 }, { op: "remove", path: "/" }, {}],
])("%j with %j is %j", (state, operation, result) => {
  expect(apply(state, [operation])).toEqual(result);
});

test.each([
  [{ a: 1 }, { op: "replace", path: "/b", value: 1 }],
  [{ a: 1 }, { op: "remove", path: "/toString" }],
  [{ a: 1 }, { op: "add", path: "/a/b", value: 1 }],
  [{ a: [] }, { op: "remove", path: "/a/0" }],
  [{ a: [] }, { op: "add", path: "/a/1", value: 1 }],
  [{ a: [] }, { op: "add", path: "/a/-1", value: 1 }],
  [{ a: [] }, { op: "append", path: "/a", value: "x" }],
  [{ a: 1 }, { op: "test", path: "/a", value: 1 }],
  [{ a: 1 }, { op: "add", path: "/b" }],
  [{ a: 1 }, { op: "remove", path: "" }],
  [{ a: 1 }, { op: "remove", path: "a" }],
  [{ a: 1 }, null],
])("%j with %j is a fault", (state, operation) => {
  expect(() => apply(state, [operation])).toThrow(OutOfStep);
});

test("what lies off the path stays the same object", () => {
  const state = { a: { x: 1 }, b: [{ y: 1 }, { z: 1 }] };
  const next = apply(state, [{ op: "replace", path: "/b/1/z", value: 2 }]) as typeof state;
  expect(next.a).toBe(state.a);
  expect(next.b[0]).toBe(state.b[0]);
  expect(state.b[1]).toEqual({ z: 1 });
});

test("no patch changes the state that it is applied to, or fails in another way than with OutOfStep", () => {
  const key = fc.constantFrom("a", "b", "0", "1", "-", "~1", "__proto__");
  const path = fc.array(key, { maxLength: 3 }).map((keys) => keys.map((each) => `/${each}`).join(""));
  const op = fc.constantFrom("add", "remove", "replace", "append", "move");
  const operation = fc.record({ op, path, value: fc.jsonValue() }, { requiredKeys: ["op", "path"] });
  fc.assert(
    fc.property(fc.jsonValue(), fc.array(operation), (state, operations) => {
      const before = JSON.stringify(state);
      try {
        apply(state, operations);
      } catch (error) {
        expect(error).toBeInstanceOf(OutOfStep);
      }
      expect(JSON.stringify(state)).toBe(before);
    }),
  );
  expect(Object.prototype).not.toHaveProperty("a");
});
