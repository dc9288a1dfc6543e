/** How large values are and what texts they hold, found without writing them out and without an end in sight. */

/** The size of a value as JSON, in bytes; `isExact` is false if it is larger than what was looked at. */
export interface Size {
  readonly bytes: number;
  readonly isExact: boolean;
}

/** Return the size of `value` as JSON. After `most` values inside it the rest is not looked at. */
export function sizeOf(value: unknown, most = 2000): Size {
  let bytes = 0;
  const isExact = walk(value, most, (text, isKey) => {
    bytes += text.length + (isKey ? 4 : 1);
    return false;
  });
  return { bytes, isExact };
}

/** Tell whether a key or a value inside `value` has `text`, which is in lower case. */
export function contains(value: unknown, text: string, most = 20_000): boolean {
  let isFound = false;
  walk(value, most, (item) => {
    isFound = item.toLowerCase().includes(text);
    return isFound;
  });
  return isFound;
}

/** Call `see` with all texts in a value, until it returns true; return whether no more than `most` values came. */
function walk(value: unknown, most: number, see: (text: string, isKey: boolean) => boolean): boolean {
  const left: unknown[] = [value];
  for (let count = 0; left.length; count += 1) {
    if (count >= most) return false;
    const item = left.pop();
    if (typeof item === "string") {
      if (see(item, false)) return true;
    } else if (item instanceof Uint8Array) {
      if (see(`${item.length} bytes`, false)) return true;
    } else if (Array.isArray(item) || item instanceof Set) {
      if (see("[", false)) return true;
      for (const each of item) if (left.push(each) > most * 2) return false;
    } else if (item instanceof Map) {
      for (const pair of item) if (left.push(...pair) > most * 2) return false;
    } else if (typeof item === "object" && item !== null) {
      if (see("{", false)) return true;
      for (const [key, each] of Object.entries(item)) {
        if (see(key, true)) return true;
        if (left.push(each) > most * 2) return false;
      }
    } else if (see(String(item), false)) return true;
  }
  return true;
}

/** Return a number of bytes as a person reads it. */
export function bytesText(bytes: number, isExact = true): string {
  const about = isExact ? "" : "> ";
  if (bytes < 1000) return `${about}${bytes} B`;
  const [unit, divisor] = bytes < 1_000_000 ? ["kB", 1000] : ["MB", 1_000_000];
  const amount = bytes / divisor;
  return `${about}${amount < 10 ? amount.toFixed(1) : Math.round(amount)} ${unit}`;
}
