/**
 * How the difference between two states is applied: `values: patch`.
 *
 * Operations are RFC 6902's `add`, `remove` and `replace`, and `append`, which adds the items of `value` to the
 * end of a list, or `value` to the end of a string. States are JSON as it is sent, with its tags.
 */

import { has, isObject } from "./json.js";
import { OutOfStep } from "./state.js";

/** Return `state` with the operations applied; it is not changed itself. Throws `OutOfStep`. */
export function apply(state: unknown, operations: unknown): unknown {
  if (!Array.isArray(operations)) throw new OutOfStep("a patch is a list");
  for (const operation of operations) {
    const { op, path, value } = isObject(operation) ? operation : ({} as { [key: string]: unknown });
    const misfit = () => new OutOfStep(`no ${op} at ${path}`);
    const needsValue = op === "add" || op === "replace" || op === "append";
    if (typeof path !== "string" || !(needsValue ? value !== undefined : op === "remove")) throw misfit();
    if (path && path[0] !== "/") throw misfit();
    const tokens = path.split("/").slice(1);
    state = changed(
      state,
      tokens.map((token) => token.replaceAll("~1", "/").replaceAll("~0", "~")),
      op,
      value,
      misfit,
    );
  }
  return state;
}

/** Return a changed copy of `state` that shares everything off the path with it. */
function changed(
  state: unknown,
  [token, ...rest]: string[],
  op: unknown,
  value: unknown,
  misfit: () => Error,
): unknown {
  if (token === undefined) {
    if (op === "add" || op === "replace") return value;
    if (op === "append" && typeof state === "string" && typeof value === "string") return state + value;
    if (op === "append" && Array.isArray(state) && Array.isArray(value)) return [...state, ...value];
    throw misfit();
  }
  const isAdded = op === "add" && !rest.length;
  const isRemoved = op === "remove" && !rest.length;
  const below = (old: unknown) => (isAdded ? value : changed(old, rest, op, value, misfit));
  if (Array.isArray(state)) {
    const index = token === "-" ? state.length : /^\d+$/.test(token) ? Number(token) : -1;
    if (index < 0 || index > state.length - (isAdded ? 0 : 1)) throw misfit();
    const copy = [...state];
    copy.splice(index, isAdded ? 0 : 1, ...(isRemoved ? [] : [below(copy[index])]));
    return copy;
  }
  if (!isObject(state) || !(isAdded || has(state, token))) throw misfit();
  const { [token]: old, ...others } = state;
  return isRemoved ? others : { ...state, [token]: below(old) };
}
