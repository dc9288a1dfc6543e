/** About `src/run/quoting.ts` and `src/run/commands.ts`: what is copied is read as it was meant, by those who read it. */

import { execFileSync } from "node:child_process";
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import { attaching, type Subject, starting } from "../src/run/commands";
import { CannotWrite, pythonValue, shellJson, shellWord, typescriptValue } from "../src/run/quoting";

const PYTHON = process.env.GRAPHWIRE_PYTHON ?? "python3";

const HOSTILE = [
  "plain",
  "",
  "it's",
  "'; rm -rf ~ #",
  // biome-ignore lint/suspicious/noTemplateCurlyInString: a shell would act on it
  "$(touch /tmp/x) `id` $HOME ${IFS}",
  'a"b\\c\\',
  "line\nbreak\r\ttab",
  "!history !! -x",
  "--option",
  "~ * ? [a] {1,2}",
  "\u001b[31mred\u001b[0m\u0007\u007f\u009b",
  "\u202egnp.exe\u202c\u2066\u200b\u200d\ufeff\u2028\u2029",
  "ünïcödé 漢字 👩‍👩‍👧 \u{e0041}\u{1f3f4}",
  "\\x41\\u0041\\N{DASH}",
  "</script><img src=x onerror=alert(1)>",
  // biome-ignore lint/suspicious/noTemplateCurlyInString: a template would act on it
  "${a} {b} %s %(c)s {{d}}",
  "'''\"\"\"",
];

const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u;

test.each(HOSTILE)("a shell reads %j as one word", (text) => {
  const word = shellWord(text);
  const said = execFileSync("bash", ["--norc", "-c", `printf %s ${word}`], { encoding: "utf8" });
  expect(said).toBe(text);
  expect(word).not.toMatch(UNSEEN);
});

test("what no argument can hold is said", () => {
  expect(() => shellWord("a\0b")).toThrow(CannotWrite);
  expect(shellJson({ a: "b\0c" })).toBe(`'{"a": "b\\u0000c"}'`);
});

const VALUE = {
  texts: HOSTILE,
  nested: { "a b": [1, -2.5, 1e300, true, false, null, { deep: [] }], "\"key'": {} },
  __proto__x: 1,
};
// A plain literal would set the prototype.
Object.defineProperty(VALUE, "__proto__", { value: { evil: 1 }, enumerable: true });

test("a shell and JSON read a value as it was", () => {
  const said = execFileSync("bash", ["--norc", "-c", `printf %s ${shellJson(VALUE)}`], { encoding: "utf8" });
  expect(JSON.stringify(JSON.parse(said))).toBe(JSON.stringify(VALUE));
});

test("Python reads a value as it was, and a NUL and half a character, too", () => {
  const value = { ...VALUE, nul: "a\0b", half: "\ud800" };
  const program = `import json, sys; print(json.dumps(${pythonValue(value)}))`;
  expect(program).not.toMatch(UNSEEN);
  expect(JSON.parse(execFileSync(PYTHON, ["-c", program], { encoding: "utf8" }))).toEqual(
    JSON.parse(JSON.stringify(value)),
  );
});

test("TypeScript reads a value as it was, a key __proto__ included", () => {
  const text = typescriptValue({ ...VALUE, nul: "a\0b", half: "\ud800", ["__proto__"]: { evil: 1 } });
  expect(text).not.toMatch(UNSEEN);
  const read = runInNewContext(`(${text})`);
  expect(Object.getPrototypeOf(read).evil).toBeUndefined();
  expect(read.texts.join("\n")).toBe(HOSTILE.join("\n"));
  expect(read.nul).toBe("a\0b");
});

test("what JSON cannot hold is written for Python and TypeScript, and refused for the command line", () => {
  const value = {
    int: 10n ** 20n,
    nan: Number.NaN,
    inf: -Infinity,
    bytes: new Uint8Array([0, 255]),
    set: new Set(["a"]),
    map: new Map([[1, "x"]]),
  };
  const python = execFileSync(PYTHON, ["-c", `print(repr(${pythonValue(value)}))`], { encoding: "utf8" });
  expect(python.trim()).toBe(
    "{'int': 100000000000000000000, 'nan': nan, 'inf': -inf, 'bytes': b'\\x00\\xff', 'set': {'a'}, 'map': {1: 'x'}}",
  );
  const read = runInNewContext(`(${typescriptValue(value)})`);
  expect([read.int, read.inf, [...read.bytes], [...read.set], [...read.map]]).toEqual([
    10n ** 20n,
    -Infinity,
    [0, 255],
    ["a"],
    [[1, "x"]],
  ]);
  expect(() => shellJson({ set: new Set() })).toThrow("sets");
  expect(() => shellJson({ bytes: new Uint8Array() })).toThrow("bytes");
  expect(shellJson([10n ** 20n])).toBe("'[100000000000000000000]'");
  expect(() => pythonValue(new Set([["list"]]))).toThrow(CannotWrite);
  expect(pythonValue(new Set())).toBe("set()");
});

// ── whole commands ─────────────────────────────────────────────────────────────────────────────

const SUBJECT: Subject = {
  url: "ws://127.0.0.1:8765/ws",
  hasToken: false,
  run: "run-1",
  graph: "research",
  modes: ["updates", "messages", "lifecycle", "interrupt"],
  subgraphs: true,
};
const NOWHERE = { thread: undefined, checkpoint: undefined };

test("a command attaches to the run, and another one starts it again", () => {
  expect(attaching(SUBJECT, "shell")).toEqual({
    text: "graphwire attach -m updates -m messages -N '**' --url ws://127.0.0.1:8765/ws run-1",
  });
  expect(starting(SUBJECT, { input: { topic: "it's" }, thread: "t", checkpoint: "c" }, "shell")).toEqual({
    text: `graphwire run -m updates -m messages -N '**' --thread t --checkpoint c --url ws://127.0.0.1:8765/ws research '{"topic": "it'\\''s"}'`,
  });
});

test("ids that look like options are no options", () => {
  const odd = { ...SUBJECT, run: "--help", graph: "-g" };
  expect(attaching(odd, "shell")).toMatchObject({ text: expect.stringMatching(/ -- --help$/) });
  expect(starting(odd, { input: -1, thread: "-t", checkpoint: undefined }, "shell")).toMatchObject({
    text: expect.stringMatching(/ --thread=-t .* -- -g -1$/),
  });
});

test("programs in Python can be compiled, with hostile names and with a token", () => {
  for (const name of HOSTILE) {
    const subject = { ...SUBJECT, run: name, graph: name, hasToken: true };
    for (const written of [
      attaching(subject, "python"),
      starting(subject, { input: VALUE, ...NOWHERE, thread: name }, "python"),
    ]) {
      const text = "text" in written ? written.text : "";
      execFileSync(PYTHON, ["-c", "import sys; compile(sys.stdin.read(), 'x', 'exec')"], { input: text });
      expect(text).toContain('token=os.environ["GRAPHWIRE_TOKEN"]');
    }
  }
});

test("what cannot be written is said, with what can", () => {
  const written = starting(SUBJECT, { input: { ids: new Set([1]) }, ...NOWHERE }, "shell");
  expect(written).toMatchObject({ problem: expect.stringContaining("copy it for Python or TypeScript") });
  expect(starting({ ...SUBJECT, graph: undefined }, { input: {}, ...NOWHERE }, "python")).toHaveProperty(
    "problem",
  );
});

test("of a run that records nothing no modes are named, so that the client's own choice is taken", () => {
  const subject = {
    url: "ws://h/ws",
    hasToken: false,
    run: "r",
    graph: "g",
    modes: ["lifecycle"],
    subgraphs: false,
  };
  for (const language of ["shell", "python", "typescript"] as const)
    for (const written of [
      attaching(subject, language),
      starting(subject, { input: {}, thread: undefined, checkpoint: undefined }, language),
    ])
      expect("text" in written ? written.text : written.problem).not.toMatch(/modes|-m /);
});
