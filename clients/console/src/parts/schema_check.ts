/**
 * Whether a value fits a schema, as far as a form can say: it helps while a person types, and the server decides.
 *
 * A keyword that is not known here refuses nothing. No work grows beyond `MAX_STEPS`.
 */

import { isSchema, resolve, type Schema } from "./schema";

/** What is wrong, and where: `path` is like `mails[0].to`, "" for the whole value. */
export interface Wrong {
  readonly path: string;
  readonly reason: string;
}

const MAX_STEPS = 20_000;
const NAMES: { readonly [type: string]: string } = {
  string: "a text",
  number: "a number",
  integer: "a whole number",
  boolean: "yes or no",
  array: "a list",
  object: "an object",
  null: "nothing (null)",
};

/** Return what is wrong with a value; `[]` if nothing is. */
export function check(
  value: unknown,
  schema: unknown,
  root: Schema = isSchema(schema) ? schema : {},
): readonly Wrong[] {
  const budget = { left: MAX_STEPS };
  return checkAt("", value, schema, root, budget);
}

function checkAt(
  path: string,
  value: unknown,
  given: unknown,
  root: Schema,
  budget: { left: number },
): readonly Wrong[] {
  if (given === false) return [{ path, reason: "must be left out" }];
  if (budget.left-- <= 0) return [];
  const schema = resolve(given, root);
  if (typeof schema === "string") return [];
  const wrong = (reason: string): readonly Wrong[] => [{ path, reason }];
  for (const branches of [schema.anyOf, schema.oneOf]) {
    if (!Array.isArray(branches)) continue;
    const found = branches.map((branch) => checkAt(path, value, branch, root, budget));
    if (found.some((each) => !each.length)) continue;
    const deep = found.filter((each) => each.some((one) => one.path !== path));
    if (deep.length === 1) return deep[0] ?? [];
    return wrong([...new Set(found.map((each) => each[0]?.reason ?? ""))].filter(Boolean).join(" or "));
  }
  const all = Array.isArray(schema.allOf)
    ? schema.allOf.flatMap((each) => checkAt(path, value, each, root, budget))
    : [];
  if (all.length) return all;
  if ("const" in schema && !isSame(value, schema.const)) return wrong(`must be ${short(schema.const)}`);
  if (Array.isArray(schema.enum) && !schema.enum.some((each) => isSame(each, value)))
    return wrong(`must be one of ${schema.enum.slice(0, 8).map(short).join(", ")}`);
  const types = ([] as unknown[]).concat(schema.type ?? []);
  if (types.length && !types.some((type) => isOf(value, type)))
    return wrong(`must be ${types.map((type) => NAMES[String(type)] ?? String(type)).join(" or ")}`);
  if (typeof value === "string") return first(wrong, textFaults(value, schema));
  if (typeof value === "number" || typeof value === "bigint")
    return first(wrong, numberFaults(value, schema));
  const list = Array.isArray(value) ? value : value instanceof Set ? [...value] : undefined;
  if (list) return listFaults(path, list, schema, root, budget);
  return isRecord(value) ? objectFaults(path, value, schema, root, budget) : [];
}

function first(
  wrong: (reason: string) => readonly Wrong[],
  reasons: readonly (string | false)[],
): readonly Wrong[] {
  const reason = reasons.find((each) => each !== false);
  return reason ? wrong(reason) : [];
}

function textFaults(value: string, { minLength, maxLength, pattern }: Schema): readonly (string | false)[] {
  const length = typeof minLength === "number" || typeof maxLength === "number" ? [...value].length : 0;
  return [
    typeof minLength === "number" &&
      length < minLength &&
      (minLength === 1 ? "must not be empty" : `needs at least ${minLength} characters`),
    typeof maxLength === "number" &&
      length > maxLength &&
      `has ${length} characters, at most ${maxLength} are allowed`,
    typeof pattern === "string" && !fits(pattern, value) && `must have the form ${pattern}`,
  ];
}

function numberFaults(value: number | bigint, schema: Schema): readonly (string | false)[] {
  const { minimum, maximum, exclusiveMinimum, exclusiveMaximum, multipleOf } = schema;
  return [
    typeof minimum === "number" && value < minimum && `must be at least ${minimum}`,
    typeof maximum === "number" && value > maximum && `must be at most ${maximum}`,
    typeof exclusiveMinimum === "number" &&
      value <= exclusiveMinimum &&
      `must be more than ${exclusiveMinimum}`,
    typeof exclusiveMaximum === "number" &&
      value >= exclusiveMaximum &&
      `must be less than ${exclusiveMaximum}`,
    typeof multipleOf === "number" &&
      Number.isInteger(multipleOf) &&
      typeof value === "number" &&
      value % multipleOf !== 0 &&
      `must be a multiple of ${multipleOf}`,
  ];
}

function listFaults(
  path: string,
  list: readonly unknown[],
  schema: Schema,
  root: Schema,
  budget: { left: number },
) {
  const { minItems, maxItems, items } = schema;
  if (typeof minItems === "number" && list.length < minItems)
    return [{ path, reason: `needs at least ${minItems}` }];
  if (typeof maxItems === "number" && list.length > maxItems)
    return [{ path, reason: `has more than ${maxItems}` }];
  if (!isSchema(items)) return [];
  return list.flatMap((item, index) => checkAt(`${path}[${index}]`, item, items, root, budget));
}

function objectFaults(
  path: string,
  value: Schema,
  schema: Schema,
  root: Schema,
  budget: { left: number },
): readonly Wrong[] {
  const properties = isSchema(schema.properties) ? schema.properties : {};
  const at = (key: string) => (path ? `${path}.${key}` : key);
  const required = Array.isArray(schema.required) ? (schema.required as unknown[]) : [];
  const missing = required.filter(
    (key): key is string => typeof key === "string" && value[key] === undefined,
  );
  return [
    ...missing.map((key) => ({ path: at(key), reason: "is needed" })),
    ...Object.entries(value).flatMap(([key, item]) => {
      if (item === undefined) return [];
      if (Object.hasOwn(properties, key)) return checkAt(at(key), item, properties[key], root, budget);
      if (schema.additionalProperties === false) return [{ path: at(key), reason: "is not expected" }];
      return isSchema(schema.additionalProperties)
        ? checkAt(at(key), item, schema.additionalProperties, root, budget)
        : [];
    }),
  ];
}

function isOf(value: unknown, type: unknown): boolean {
  switch (type) {
    case "null":
      return value === null;
    case "array":
      return Array.isArray(value) || value instanceof Set;
    case "object":
      return isRecord(value) || value instanceof Map;
    case "integer":
      return typeof value === "bigint" || Number.isInteger(value);
    case "number":
      return typeof value === "number" || typeof value === "bigint";
    default:
      return typeof type !== "string" || !(type in NAMES) || typeof value === type;
  }
}

function isRecord(value: unknown): value is Schema {
  return (
    isSchema(value) && !(value instanceof Map) && !(value instanceof Set) && !(value instanceof Uint8Array)
  );
}

const MAX_MATCHED = 2000;

/** Whether a text has the form of a pattern; one that is broken, or would be slow, is left to the server. */
function fits(pattern: string, value: string): boolean {
  // Nested repetitions can take for ever, and nothing stops them.
  if (value.length > MAX_MATCHED || /[*+}]\)?[*+{]/.test(pattern) || pattern.length > 200) return true;
  try {
    return new RegExp(pattern, "u").test(value);
  } catch {
    return true;
  }
}

const short = (value: unknown) => {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
};

const isSame = (left: unknown, right: unknown) =>
  Object.is(left, right) || (typeof left === "object" && JSON.stringify(left) === JSON.stringify(right));
