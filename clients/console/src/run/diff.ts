/**
 * What changed between two states, key by key.
 *
 * It goes down into objects, and says of a list which entries were added at its end. However large the states are, it
 * looks at no more than a fixed number of values, and says so if that was not enough.
 */

/** One difference. `path` leads to it; `old` is undefined for what was added, `now` for what was removed. */
export interface Change {
  readonly kind: "added" | "changed" | "removed";
  readonly path: readonly string[];
  readonly old: unknown;
  readonly now: unknown;
}

/** All differences; with `isCut` there may be more than those. */
export interface Difference {
  readonly changes: readonly Change[];
  readonly isCut: boolean;
}

const DEEPEST = 6;

/** Return what changed from `old` to `now`. */
export function differenceOf(old: unknown, now: unknown, most = 200, budget = 50_000): Difference {
  const walk = { left: budget };
  const changes: Change[] = [];
  compare(old, now, [], changes, most, walk);
  return { changes: changes.slice(0, most), isCut: changes.length > most || walk.left <= 0 };
}

function compare(
  old: unknown,
  now: unknown,
  path: readonly string[],
  changes: Change[],
  most: number,
  walk: { left: number },
): void {
  if (changes.length > most || isSame(old, now, walk)) return;
  const canGoDown = path.length < DEEPEST && walk.left > 0;
  if (canGoDown && isPlain(old) && isPlain(now)) {
    for (const key of Object.keys(old))
      if (!Object.hasOwn(now, key)) add("removed", key, old[key], undefined);
      else compare(old[key], now[key], [...path, key], changes, most, walk);
    for (const key of Object.keys(now)) if (!Object.hasOwn(old, key)) add("added", key, undefined, now[key]);
  } else if (canGoDown && Array.isArray(old) && Array.isArray(now) && isGrown(old, now, walk)) {
    for (let index = old.length; index < now.length && changes.length <= most; index += 1)
      add("added", String(index), undefined, now[index]);
  } else changes.push({ kind: "changed", path, old, now });

  function add(kind: Change["kind"], key: string, before: unknown, after: unknown): void {
    if (changes.length <= most) changes.push({ kind, path: [...path, key], old: before, now: after });
  }
}

/** Tell whether a list is another one with more entries. */
function isGrown(old: readonly unknown[], now: readonly unknown[], walk: { left: number }): boolean {
  return now.length > old.length && old.every((item, index) => isSame(item, now[index], walk));
}

/** Tell whether two values are equal. When there is nothing left to walk through, only the same object is. */
export function isSame(left: unknown, right: unknown, walk: { left: number } = { left: 50_000 }): boolean {
  const pairs: [unknown, unknown][] = [[left, right]];
  for (let pair = pairs.pop(); pair; pair = pairs.pop()) {
    const [one, other] = pair;
    if (Object.is(one, other)) continue;
    walk.left -= 1;
    if (walk.left <= 0) return false;
    if (typeof one !== "object" || typeof other !== "object" || !one || !other) return false;
    if (one.constructor !== other.constructor) return false;
    if (one instanceof Uint8Array && other instanceof Uint8Array) {
      if (one.length !== other.length || one.some((byte, index) => byte !== other[index])) return false;
    } else if (one instanceof Set || one instanceof Map) {
      if (one.size !== (other as Set<unknown>).size) return false;
      pairs.push([[...one], [...(other as Set<unknown>)]]);
    } else if (Array.isArray(one) && Array.isArray(other)) {
      if (one.length !== other.length) return false;
      // From the end: states mostly grow there, and differ there.
      for (let index = 0; index < one.length; index += 1) pairs.push([one[index], other[index]]);
    } else {
      const [mine, others] = [one as Plain, other as Plain];
      const keys = Object.keys(mine);
      if (keys.length !== Object.keys(others).length) return false;
      for (const key of keys) {
        if (!Object.hasOwn(others, key)) return false;
        pairs.push([mine[key], others[key]]);
      }
    }
  }
  return true;
}

type Plain = { readonly [key: string]: unknown };

function isPlain(value: unknown): value is Plain {
  return typeof value === "object" && value !== null && value.constructor === Object;
}
