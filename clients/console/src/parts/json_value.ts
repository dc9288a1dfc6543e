/** What a value is, as a tree shows it: its kind, a line that sums it up, and its entries. */

/** One entry: its key as text, and its value. */
export type Entry = readonly [key: string, value: unknown];

/** A value, described. `entries` is a function, so that what nobody opens costs nothing. */
export interface Described {
  readonly kind:
    | "string"
    | "number"
    | "boolean"
    | "null"
    | "missing"
    | "bytes"
    | "cut"
    | "stand-in"
    | "list"
    | "object"
    | "set"
    | "map";
  /** The value itself if it is simple; else what it is and how much is in it. */
  readonly summary: string;
  readonly count: number;
  readonly entries: () => readonly Entry[];
}

const none = (): readonly Entry[] => [];
const leaf = (kind: Described["kind"], summary: string): Described => ({
  kind,
  summary,
  count: 0,
  entries: none,
});
const some = (count: number, what: string, several = `${what}s`) =>
  `${count.toLocaleString("en")} ${count === 1 ? what : several}`;
const SHOWN_BYTES = 16;

/** Describe a value that came from a server, or that a person wrote. */
export function describe(value: unknown): Described {
  if (value === null) return leaf("null", "null");
  if (value === undefined) return leaf("missing", "not there");
  if (typeof value === "string") return leaf("string", value);
  if (typeof value === "boolean") return leaf("boolean", String(value));
  if (typeof value === "number") return leaf("number", Object.is(value, -0) ? "-0" : String(value));
  if (typeof value === "bigint") return leaf("number", String(value));
  if (typeof value !== "object") return leaf("stand-in", typeof value);
  if (value instanceof Uint8Array) return leaf("bytes", bytesText(value));
  if (value instanceof Date)
    return leaf("string", Number.isNaN(value.getTime()) ? "no date" : value.toISOString());
  if (Array.isArray(value))
    return group("list", some(value.length, "item"), value.length, () =>
      value.map((item, index) => [String(index), item]),
    );
  if (value instanceof Set)
    return group("set", `set of ${some(value.size, "item")}`, value.size, () =>
      [...value].map((item, index) => [String(index), item]),
    );
  if (value instanceof Map)
    return group("map", `map of ${some(value.size, "entry", "entries")}`, value.size, () =>
      [...value].map(([key, item]) => [keyText(key), item]),
    );
  return standIn(value as { [key: string]: unknown }) ?? object(value as { [key: string]: unknown });
}

function object(value: { [key: string]: unknown }): Described {
  const count = Object.keys(value).length;
  return group("object", some(count, "key"), count, () => Object.entries(value));
}

function group(
  kind: Described["kind"],
  summary: string,
  count: number,
  entries: () => readonly Entry[],
): Described {
  return { kind, summary, count, entries };
}

/** What stands for a value that could not be sent; undefined if the object is one of the graph's own. */
function standIn(value: { [key: string]: unknown }): Described | undefined {
  const { $cut: cut, $repr: text, $error: error, $type: type } = value;
  if (isObject(cut) && Object.keys(value).length === 1) return leaf("cut", cutText(cut));
  if (typeof text === "string")
    return leaf("stand-in", `${text}${typeof type === "string" ? ` (${type})` : ""}`);
  if (isObject(error) && Object.keys(value).length === 1)
    return leaf(
      "stand-in",
      `an error: ${[error.type, error.message, error.error_id].filter(Boolean).join(", ")}`,
    );
  return undefined;
}

function cutText({ reason, bytes }: { [key: string]: unknown }): string {
  if (reason === "size")
    return `cut: ${sizeText(Number(bytes))}, more than the server sends at once (max_event_bytes)`;
  if (reason === "depth") return "cut: nested deeper than the server sends";
  if (reason === "cycle") return "cut: it contains itself";
  return `cut: ${String(reason)}`;
}

/** Return a size in the unit that suits it: `812 B`, `4.1 KiB`, `3.0 MiB`. */
export function sizeText(bytes: number): string {
  if (!Number.isFinite(bytes)) return "of unknown size";
  if (bytes < 1024) return `${bytes} B`;
  const units = ["KiB", "MiB", "GiB", "TiB"];
  let size = bytes / 1024;
  while (size >= 1023.95 && units.length > 1) {
    size /= 1024;
    units.shift();
  }
  return `${size.toFixed(size < 100 ? 1 : 0).replace(/\.0$/, "")} ${units[0]}`;
}

function bytesText(bytes: Uint8Array): string {
  const shown = Array.from(bytes.subarray(0, SHOWN_BYTES), (byte) => byte.toString(16).padStart(2, "0")).join(
    " ",
  );
  return `${sizeText(bytes.length)}${shown && `: ${shown}`}${bytes.length > SHOWN_BYTES ? " …" : ""}`;
}

function keyText(key: unknown): string {
  const { kind, summary } = describe(key);
  return kind === "string" ? summary : `(${summary})`;
}

function isObject(value: unknown): value is { [key: string]: unknown } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Whether JSON can say all of a value; if not, `jsonText` says something near it. */
export function isPlain(value: unknown): boolean {
  let isAll = true;
  jsonText(value, () => {
    isAll = false;
  });
  return isAll;
}

/** Return a value as indented JSON. What JSON cannot say becomes a list, an object or a text; `onOther` hears of it. */
export function jsonText(value: unknown, onOther: () => void = () => {}): string {
  const text = JSON.stringify(
    value,
    (_, item: unknown) => {
      if (typeof item === "bigint") return other(String(item));
      if (typeof item === "number" && !Number.isFinite(item)) return other(String(item));
      if (item instanceof Set) return other([...item]);
      if (item instanceof Map)
        return other(Object.fromEntries([...item].map(([key, each]) => [keyText(key), each])));
      if (item instanceof Uint8Array) return other(`<${bytesText(item)}>`);
      return item;
    },
    2,
  );
  function other<T>(instead: T): T {
    onOther();
    return instead;
  }
  return text ?? "";
}
