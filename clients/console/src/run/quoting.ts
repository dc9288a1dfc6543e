/**
 * Texts and values as a shell, Python and TypeScript read them.
 *
 * What is copied is pasted into terminals and editors, so that nothing in it may act there: each control character, bidi
 * control and invisible character is written as an escape.
 */

/** Controls, what turns the direction of text, what is invisible, and halves of characters. */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}\u00a0]|[\ufe00-\ufe0f]|[\u{e0100}-\u{e01ef}]/u;
const ALL_UNSEEN = new RegExp(UNSEEN, "gu");

/** A value that cannot be written where it was to be. */
export class CannotWrite extends Error {}

// ── a shell ────────────────────────────────────────────────────────────────────────────────────

/** Return a text as one word of bash and zsh. Throws `CannotWrite` for what no argument can hold. */
export function shellWord(text: string): string {
  if (text.includes("\0"))
    throw new CannotWrite("a text with a NUL character cannot be an argument of a command");
  if (/^[\w@%+:,./-]+$/.test(text)) return text;
  if (!UNSEEN.test(text)) return `'${text.replaceAll("'", "'\\''")}'`;
  const escaped = text.replaceAll("\\", "\\\\").replaceAll("'", "\\'").replace(ALL_UNSEEN, shellEscape);
  return `$'${escaped}'`;
}

/** Bytes, since older shells know no other escape of what is beyond ASCII. */
function shellEscape(character: string): string {
  if (character === "\n") return "\\n";
  return Array.from(new TextEncoder().encode(character), (byte) => `\\x${hex(byte, 2)}`).join("");
}

/** Return a value as JSON in one shell word. Throws `CannotWrite` for what the command line cannot read. */
export function shellJson(value: unknown): string {
  return shellWord(written(value, JSON_STYLE));
}

// ── values ─────────────────────────────────────────────────────────────────────────────────────

interface Style {
  readonly text: (text: string) => string;
  readonly constants: { readonly true: string; readonly false: string; readonly null: string };
  readonly float: (value: number) => string;
  readonly bigint: (value: bigint) => string;
  readonly bytes: (value: Uint8Array) => string;
  readonly set: (items: string[], value: ReadonlySet<unknown>) => string;
  readonly map: (pairs: [string, string][], value: ReadonlyMap<unknown, unknown>) => string;
  readonly key: (key: string) => string;
}

/** Return a value as Python. Throws `CannotWrite` for what Python cannot hold, such as a set of lists. */
export function pythonValue(value: unknown): string {
  return written(value, PYTHON_STYLE);
}

/** Return a value as TypeScript. */
export function typescriptValue(value: unknown): string {
  return written(value, TYPESCRIPT_STYLE);
}

const DEEPEST = 200;

function written(value: unknown, style: Style, depth = 0): string {
  if (depth > DEEPEST) throw new CannotWrite("the value is nested too deeply");
  const below = (item: unknown) => written(item, style, depth + 1);
  if (value === undefined || value === null) return style.constants.null;
  if (typeof value === "boolean") return style.constants[value ? "true" : "false"];
  if (typeof value === "string") return style.text(value);
  if (typeof value === "number") return Number.isFinite(value) ? numberText(value) : style.float(value);
  if (typeof value === "bigint") return style.bigint(value);
  if (value instanceof Uint8Array) return style.bytes(value);
  if (value instanceof Set) return style.set([...value].map(below), value);
  if (value instanceof Map)
    return style.map(
      [...value].map(([key, item]) => [below(key), below(item)]),
      value,
    );
  if (Array.isArray(value)) return `[${value.map(below).join(", ")}]`;
  const fields = Object.entries(value).filter(([, item]) => item !== undefined);
  return `{${fields.map(([key, item]) => `${style.key(key)}: ${below(item)}`).join(", ")}}`;
}

function numberText(value: number): string {
  return Object.is(value, -0) ? "-0.0" : String(value);
}

/** Return a text in double quotes; the escapes of JSON are those of Python and JavaScript, too. */
function quoted(text: string, astral: (code: number) => string): string {
  return JSON.stringify(text).replace(ALL_UNSEEN, (character) => {
    const code = character.codePointAt(0) ?? 0;
    return code > 0xffff ? astral(code) : `\\u${hex(code, 4)}`;
  });
}

/** Two escapes of four digits, as JSON and JavaScript have them. */
function pairOf(code: number): string {
  return [...String.fromCodePoint(code)]
    .flatMap(halves)
    .map((unit) => `\\u${hex(unit, 4)}`)
    .join("");
}

function halves(character: string): number[] {
  return Array.from({ length: character.length }, (_, index) => character.charCodeAt(index));
}

const jsonText = (text: string) => quoted(text, pairOf);
const pythonText = (text: string) => quoted(text, (code) => `\\U${hex(code, 8)}`);

function hex(code: number, digits: number): string {
  return code.toString(16).padStart(digits, "0");
}

const notOnTheCommandLine = (what: string) => (): never => {
  throw new CannotWrite(
    `the command line reads JSON, which has no ${what}: copy it for Python or TypeScript`,
  );
};

const JSON_STYLE: Style = {
  text: jsonText,
  constants: { true: "true", false: "false", null: "null" },
  float: floatName("NaN", "Infinity"), // which Python's JSON reads
  bigint: String,
  bytes: notOnTheCommandLine("bytes"),
  set: notOnTheCommandLine("sets"),
  map: notOnTheCommandLine("keys other than texts"),
  key: jsonText,
};

const PYTHON_STYLE: Style = {
  text: pythonText,
  constants: { true: "True", false: "False", null: "None" },
  float: floatName('float("nan")', 'float("inf")'),
  bigint: String,
  bytes: (value) => `bytes.fromhex("${Array.from(value, (byte) => hex(byte, 2)).join("")}")`,
  set(items, value) {
    checkHashable(value);
    return items.length ? `{${items.join(", ")}}` : "set()";
  },
  map(pairs, value) {
    checkHashable(value.keys());
    return `{${pairs.map(([key, item]) => `${key}: ${item}`).join(", ")}}`;
  },
  key: pythonText,
};

const TYPESCRIPT_STYLE: Style = {
  text: jsonText,
  constants: { true: "true", false: "false", null: "null" },
  float: floatName("Number.NaN", "Number.POSITIVE_INFINITY"),
  bigint: (value) => `${value}n`,
  bytes: (value) => `new Uint8Array([${[...value].join(", ")}])`,
  set: (items) => `new Set([${items.join(", ")}])`,
  map: (pairs) => `new Map([${pairs.map(([key, item]) => `[${key}, ${item}]`).join(", ")}])`,
  // A plain key `__proto__` would set the prototype.
  key: (key) => (key === "__proto__" ? '["__proto__"]' : jsonText(key)),
};

function floatName(nan: string, infinity: string): (value: number) => string {
  return (value) => (Number.isNaN(value) ? nan : value > 0 ? infinity : `-${infinity}`);
}

function checkHashable(items: Iterable<unknown>): void {
  for (const item of items)
    if (typeof item === "object" && item !== null && !(item instanceof Uint8Array))
      throw new CannotWrite("Python has no sets of lists or objects, and no such keys");
}

/** Return a text as Python writes it. */
export const pythonWord = pythonText;

/** Return a text as TypeScript writes it. */
export const typescriptWord = jsonText;
