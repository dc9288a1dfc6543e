/**
 * Values between JavaScript and the wire: what JSON cannot express is an object with one `$` key, a tag.
 *
 * | JavaScript | JSON |
 * |---|---|
 * | Uint8Array | `{"$bytes": base64}` |
 * | Set | `{"$set": [..]}` |
 * | Map | `{"$map": [[key, value], ..]}` |
 * | bigint | `{"$int": "123"}` |
 * | NaN, infinities | `{"$float": "nan"}` |
 * | an object with a `$` key | `{"$obj": {..}}` |
 * | Date, and what has a `toJSON` | what `toJSON` returns |
 *
 * What stands for a value that could not be sent, `$cut`, `$repr` and `$error`, stays as it is; so does a tag of a
 * later version.
 */

import { isObject, type JsonObject } from "./json.js";

const FLOATS: JsonObject = {
  nan: Number.NaN,
  inf: Number.POSITIVE_INFINITY,
  "-inf": Number.NEGATIVE_INFINITY,
};

/** Return the value behind the wire's tags. What has no tag inside is returned as it is, not copied. */
export function restore(value: unknown): unknown {
  if (Array.isArray(value)) {
    const out = value.map(restore);
    return out.some((item, index) => item !== value[index]) ? out : value;
  }
  if (!isObject(value)) return value;
  const [key = "", ...others] = Object.keys(value);
  return key[0] !== "$" ? fields(value) : others.length ? value : untag(key, value);
}

function fields(value: JsonObject): JsonObject {
  let isTagged = false;
  const out = Object.entries(value).map(([key, item]) => {
    const restored = restore(item);
    isTagged ||= restored !== item;
    return [key, restored];
  });
  return isTagged ? Object.fromEntries(out) : value;
}

function untag(tag: string, tagged: JsonObject): unknown {
  const value = tagged[tag];
  if (tag === "$obj" && isObject(value)) return fields(value);
  if (tag === "$set" && Array.isArray(value)) return new Set(restore(value) as unknown[]);
  if (tag === "$map" && Array.isArray(value) && value.every(Array.isArray)) {
    const pairs = restore(value) as [unknown, unknown][];
    const map = new Map(pairs);
    return map.size < pairs.length ? pairs : map; // a key occurs twice
  }
  if (typeof value !== "string") return tagged;
  if (tag === "$int" && /^-?\d{1,4000}$/.test(value)) return BigInt(value);
  if (tag === "$float") return FLOATS[value] ?? tagged;
  if (tag !== "$bytes") return tagged;
  try {
    return Uint8Array.from(atob(value), (character) => character.charCodeAt(0));
  } catch {
    return tagged;
  }
}

/**
 * Return a frame as text, with tags for what JSON cannot express.
 *
 * Of what JSON cannot express and has no tag, such as functions, it does what `JSON.stringify` does.
 */
export function encode(frame: object): string {
  const tags = new Set<unknown>();
  const tag = (name: string, value: unknown) => {
    const tagged = { [name]: value };
    tags.add(tagged);
    return tagged;
  };
  return JSON.stringify(frame, function (this: JsonObject, key, value) {
    const own = this[key]; // what it was before `toJSON`
    if (own instanceof Uint8Array)
      return tag("$bytes", btoa(Array.from(own, (byte) => String.fromCharCode(byte)).join("")));
    if (typeof value === "bigint") return tag("$int", String(value));
    if (typeof value === "number" && !Number.isFinite(value))
      return tag(
        "$float",
        String(value)
          .toLowerCase()
          .slice(0, value < 0 ? 4 : 3),
      );
    if (value instanceof Set) return tag("$set", [...value]);
    if (value instanceof Map) return tag("$map", [...value]);
    if (tags.has(value) || !isObject(value) || !Object.keys(value).some((name) => name[0] === "$"))
      return value;
    const copy = { ...value };
    tags.add(copy);
    return tag("$obj", copy);
  });
}
