/**
 * How the deltas of one message add up: LangChain's meaning of `chunk + chunk`, on plain JSON objects.
 *
 * The gateway adds up in the same way, so a merged message in a snapshot equals what a client has that saw every
 * delta. LangChain raises when it adds two values of different types; here the later one wins.
 */

import { has, isObject, type JsonObject } from "./json.js";

/** Fields of a message that are replaced by the later value. */
const REPLACED = /^(type|name|role|tool_call_id|status|chunk_position)$/;
/** Keys inside a message's fields that every delta repeats: equal texts are not joined. */
const SAME = /^(id|output_version|model_provider)$/;
/** Keys whose numbers are no counts: the later value stands, they are not summed. */
const LATEST = /^(index|created|timestamp)$/;

/**
 * Return `message` with `delta` added; both are flat objects, and neither is changed. The id of a delta is the chunk's
 * own, and no part of the sum.
 *
 * A message that was cut for its size stays as it is: what comes later is not all of it.
 */
export function addDelta(message: JsonObject, delta: JsonObject): JsonObject {
  if (has(message, "$cut")) return message;
  const out = new Map(Object.entries(message));
  for (const [name, value] of Object.entries(delta)) {
    if (value === null || name === "id") continue;
    const old = out.get(name) ?? null;
    out.set(name, old === null || REPLACED.test(name) ? value : addField(name, old, value));
  }
  return Object.fromEntries(out);
}

const areIntegers = (left: unknown, right: unknown) => Number.isInteger(left) && Number.isInteger(right);

function addField(name: string, old: unknown, value: unknown): unknown {
  if (name === "content") return addContent(old, value);
  if (name === "usage_metadata") return addUsage(old, value);
  return add(name, old, value);
}

function addContent(left: unknown, right: unknown): unknown {
  if (typeof left === "string") {
    if (typeof right === "string") return left + right;
    return Array.isArray(right) ? [left, ...right] : right;
  }
  if (!Array.isArray(left)) return right;
  if (Array.isArray(right)) return addLists(left, right);
  if (typeof right !== "string") return right;
  if (!right) return left;
  const last = left.at(-1);
  return typeof last === "string" ? [...left.slice(0, -1), last + right] : [...left, right];
}

function addUsage(left: unknown, right: unknown): unknown {
  if (isObject(left) && isObject(right)) {
    const out = new Map(Object.entries(left));
    for (const [key, value] of Object.entries(right))
      out.set(key, out.has(key) ? addUsage(out.get(key), value) : value);
    return Object.fromEntries(out);
  }
  return areIntegers(left, right) ? (left as number) + (right as number) : right;
}

function add(name: string, left: unknown, right: unknown): unknown {
  if (isObject(left) && isObject(right)) return addObjects(left, right);
  if (Array.isArray(left) && Array.isArray(right)) return addLists(left, right);
  if (typeof left === "string" && typeof right === "string") {
    const stays = (SAME.test(name) && left === right) || (name === "index" && left.startsWith("lc_"));
    return stays ? left : left + right;
  }
  const areCounts = areIntegers(left, right) && !LATEST.test(name) && left !== right;
  return areCounts ? (left as number) + (right as number) : right;
}

function addObjects(left: JsonObject, right: JsonObject): JsonObject {
  const out = new Map(Object.entries(left));
  for (const [name, value] of Object.entries(right)) {
    const old = out.get(name) ?? null;
    if (value !== null || !out.has(name)) out.set(name, old === null ? value : add(name, old, value));
  }
  return Object.fromEntries(out);
}

function addLists(left: unknown[], right: unknown[]): unknown[] {
  const out = [...left];
  for (const item of right) {
    const index = continued(item, out);
    if (index < 0) out.push(item);
    else {
      const { type: _, ...rest } = item as JsonObject; // every delta of a block repeats its type
      out[index] = addObjects(out[index] as JsonObject, rest);
    }
  }
  return out;
}

/** Return the position in `items` of the block that `item` continues: same index, no other id. */
function continued(item: unknown, items: unknown[]): number {
  if (!isObject(item)) return -1;
  const { index, id } = item;
  if (!Number.isInteger(index) && !(typeof index === "string" && index.startsWith("lc_"))) return -1;
  return items.findIndex(
    (other) => isObject(other) && other.index === index && (!other.id || !id || other.id === id),
  );
}
