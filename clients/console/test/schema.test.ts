/** What fields a schema gives, and which values it allows. */

import { expect, test } from "vitest";
import { wayOf } from "../src/parts/question";
import { fieldOf, type Schema } from "../src/parts/schema";
import { check } from "../src/parts/schema_check";
import { jsonOf, numberOf } from "../src/parts/schema_field";
import { startValue } from "../src/parts/schema_form";

/** As pydantic writes a model with a nested one, an optional one, an enum, and a default beside a `$ref`. */
const ORDER: Schema = {
  $defs: {
    Address: {
      title: "Address",
      type: "object",
      properties: {
        city: { title: "City", type: "string", minLength: 1 },
        zip: { type: "string", maxLength: 5 },
      },
      required: ["city"],
    },
    Size: { enum: ["s", "m"], title: "Size", type: "string" },
    Tree: { type: "object", properties: { left: { $ref: "#/$defs/Tree" } } },
  },
  type: "object",
  properties: {
    note: { anyOf: [{ type: "string" }, { type: "null" }], default: null, title: "Note" },
    address: { $ref: "#/$defs/Address", description: "Where to" },
    billing: { anyOf: [{ $ref: "#/$defs/Address" }, { type: "null" }] },
    size: { allOf: [{ $ref: "#/$defs/Size" }], default: "m" },
    tags: { type: "array", items: { type: "string" }, maxItems: 2 },
    count: { type: "integer", minimum: 1, maximum: 9 },
    either: { anyOf: [{ type: "string" }, { type: "integer" }] },
    state: { anyOf: [{ const: "on" }, { const: "off" }] },
    tree: { $ref: "#/$defs/Tree" },
    lost: { $ref: "#/$defs/Nowhere" },
    any: {},
    free: { type: "object", additionalProperties: { type: "integer" } },
  },
  required: ["address", "size"],
  additionalProperties: false,
};

const at = (key: string) => fieldOf((ORDER.properties as Schema)[key], ORDER);

test("an anyOf with null is the other one, which may be nothing", () => {
  expect(at("note")).toMatchObject({
    kind: "text",
    isNullable: true,
    title: "Note",
    hasDefault: true,
    default: null,
  });
  expect(at("billing")).toMatchObject({ kind: "object", isNullable: true, title: "Address" });
  expect(fieldOf({ type: ["integer", "null"] }, {})).toMatchObject({
    kind: "number",
    isInteger: true,
    isNullable: true,
  });
});

test("a $ref is what it leads to, and what stands beside it wins", () => {
  expect(at("address")).toMatchObject({ kind: "object", description: "Where to", isNullable: false });
  expect(at("size")).toMatchObject({ kind: "choice", choices: ["s", "m"], hasDefault: true, default: "m" });
});

test("an object's fields come in its order, each with whether it is needed", () => {
  const address = at("address");
  expect(address.kind === "object" && address.properties.map((each) => [each.key, each.isRequired])).toEqual([
    ["city", true],
    ["zip", false],
  ]);
});

test("what a form cannot show is JSON, with the reason", () => {
  for (const key of ["either", "lost", "any", "free"]) expect([key, at(key).kind]).toEqual([key, "json"]);
  expect(at("lost")).toMatchObject({ why: expect.stringContaining("#/$defs/Nowhere") });
  expect(at("state")).toMatchObject({ kind: "choice", choices: ["on", "off"] });
});

test("a schema that refers to itself ends as JSON instead of never", () => {
  let field = at("tree");
  let depth = 0;
  for (; field.kind === "object"; depth++) {
    const [left] = field.properties;
    field = fieldOf(left?.schema, ORDER, depth + 1);
    expect(depth).toBeLessThan(20);
  }
  expect(field).toMatchObject({ kind: "json", why: expect.stringContaining("deep") });
  expect(fieldOf({ $ref: "#" }, { $ref: "#" })).toMatchObject({
    kind: "json",
    why: expect.stringContaining("itself"),
  });
  expect(check({}, { $ref: "#" })).toEqual([]);
});

const CASES: [value: unknown, wrong: string[]][] = [
  [{ address: { city: "Rome" }, size: "s" }, []],
  [{ address: { city: "Rome" }, size: "s", note: null, billing: null, tags: ["a"], count: 9 }, []],
  [{ size: "s" }, ["address is needed"]],
  [{ address: { city: "" }, size: "s" }, ["address.city must not be empty"]],
  [
    { address: { city: "Rome", zip: "123456" }, size: "s" },
    ["address.zip has 6 characters, at most 5 are allowed"],
  ],
  [{ address: {}, size: "xl" }, ["address.city is needed", "size must be one of s, m"]],
  [{ address: { city: "Rome" }, size: "s", count: 0 }, ["count must be at least 1"]],
  [{ address: { city: "Rome" }, size: "s", count: 1.5 }, ["count must be a whole number"]],
  [{ address: { city: "Rome" }, size: "s", tags: ["a", 1] }, ["tags[1] must be a text"]],
  [{ address: { city: "Rome" }, size: "s", tags: ["a", "b", "c"] }, ["tags has more than 2"]],
  [
    { address: { city: "Rome" }, size: "s", either: true },
    ["either must be a text or must be a whole number"],
  ],
  [{ address: { city: "Rome" }, size: "s", billing: { zip: "1" } }, ["billing.city is needed"]],
  [{ address: { city: "Rome" }, size: "s", free: { a: "1" } }, ["free.a must be a whole number"]],
  [{ address: { city: "Rome" }, size: "s", other: 1 }, ["other is not expected"]],
  [[], [" must be an object"]],
];

test.each(CASES)("%j is judged: %j", (value, wrong) => {
  expect(check(value, ORDER).map(({ path, reason }) => `${path} ${reason}`)).toEqual(wrong);
});

test("a pattern is matched, unless it is broken or could take for ever", () => {
  expect(check("ab", { type: "string", pattern: "^a+$" })).toHaveLength(1);
  expect(check("aa", { type: "string", pattern: "^a+$" })).toEqual([]);
  expect(check("ab", { pattern: "(" })).toEqual([]);
  const began = performance.now();
  expect(check(`${"a".repeat(60)}!`, { pattern: "^(a+)+$" })).toEqual([]);
  expect(performance.now() - began).toBeLessThan(500);
});

test("what is typed becomes a number exactly, or stays as it is", () => {
  expect(["", " ", "7", "-1.5e3", "9007199254740993", "1,5", "0x10", "abc"].map(numberOf)).toEqual([
    undefined,
    undefined,
    7,
    -1500,
    9007199254740993n,
    "1,5",
    "0x10",
    "abc",
  ]);
  expect(["", "{", '{"a":1}', "null"].map(jsonOf)).toEqual([undefined, "{", { a: 1 }, null]);
});

test("a form starts with the defaults of what is needed, and with nothing else", () => {
  expect(startValue(ORDER)).toEqual({ size: "m" });
  expect(startValue({ type: "string", default: "x" })).toBe("x");
  expect(startValue({ type: "boolean" })).toBeUndefined();
});

test("an answer is given by buttons for few choices, by a form, or freely", () => {
  expect(wayOf(undefined)).toEqual({ kind: "free" });
  expect(wayOf({ type: "boolean" })).toEqual({ kind: "buttons", choices: [true, false] });
  expect(wayOf({ enum: ["a", "b"] })).toEqual({ kind: "buttons", choices: ["a", "b"] });
  expect(wayOf({ anyOf: [{ type: "boolean" }, { type: "null" }] })).toMatchObject({
    choices: [true, false, null],
  });
  expect(wayOf({ enum: [1, 2, 3, 4, 5, 6, 7] }).kind).toBe("form");
  expect(wayOf({ type: "object", properties: { a: {} } }).kind).toBe("form");
});
