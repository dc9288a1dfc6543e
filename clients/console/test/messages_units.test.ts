/** What messages are made of: blocks of Markdown, safe addresses, marks, parts, calls and their results. */

import { Message } from "graphwire";
import { expect, test } from "vitest";
import { blocksOf, openFenceOf, safeUrl } from "../src/parts/markdown_split";
import { withMarks } from "../src/parts/marks";
import { callsOf, gistOf, partsOf, Results, roleOf, shownOf, usageOf } from "../src/parts/messages_parts";

function message(fields: { [key: string]: unknown }): Message {
  const about = { call: "c", metadata: {}, namespace: [], node: undefined, cutBytes: undefined };
  return new Message({ type: "ai", id: "m", ...fields } as never, about);
}

test.each([
  ["paragraphs", "one\n\ntwo\nmore\n\nthree", ["one\n\n", "two\nmore\n\n", "three"]],
  ["blank lines within a fence", "a\n\n```js\nx\n\ny\n```\n\nb", ["a\n\n", "```js\nx\n\ny\n```\n\n", "b"]],
  ["a fence within a longer one", "````\n```\n\nx\n````\n\nb", ["````\n```\n\nx\n````\n\n", "b"]],
  ["items of one list", "1. a\n\n2. b\n\n   more\n\nafter", ["1. a\n\n2. b\n\n   more\n\n", "after"]],
  ["definitions", "see [x]\n\n[x]: https://x.example", ["see [x]\n\n[x]: https://x.example"]],
  ["nothing", "", []],
])("a text is cut into blocks: %s", (_, text, blocks) => {
  expect(blocksOf(text)).toEqual(blocks);
  expect(blocksOf(text).join("")).toBe(text);
});

test("while a text grows, the blocks before its last one stay as they are", () => {
  const text = "# Title\n\nSome *words*\nand more\n\n- a\n- b\n\n```py\nx = 1\n\ny = 2\n```\n\nThe end.";
  let before: string[] = [];
  for (let length = 1; length <= text.length; length += 1) {
    const now = blocksOf(text.slice(0, length));
    expect(now.slice(0, Math.max(0, before.length - 1))).toEqual(before.slice(0, -1));
    before = now;
  }
  expect(before.length).toBeGreaterThan(4);
});

test("an open fence is told from a closed one", () => {
  expect(openFenceOf("```js\nlet x")).toEqual({ before: "", language: "js", code: "let x" });
  expect(openFenceOf("see\n~~~\nx")).toEqual({ before: "see\n", language: "", code: "x" });
  expect(openFenceOf("```\nx\n```\n")).toBeUndefined();
  expect(openFenceOf("no `code`")).toBeUndefined();
});

test.each([
  ["https://a.example/x?y#z", true],
  ["http://a.example", true],
  ["mailto:a@b.example", true],
  ["javascript:alert(1)", false],
  ["java\nscript:alert(1)", false],
  [" \u0001javascript:alert(1)", false],
  ["data:text/html,x", false],
  ["//a.example", false],
  ["#/runs", false],
  ["vbscript:x", false],
  [undefined, false],
])("only web pages and mails are links: %j", (url, isSafe) => {
  expect(safeUrl(url) !== undefined).toBe(isSafe);
});

test("what nobody would see is marked, and what writing needs is not", () => {
  expect(withMarks("a\u202eb\u200bc\u2066d\ufeff\u0007")).toBe(
    "a⟦U+202E⟧b⟦U+200B⟧c⟦U+2066⟧d⟦U+FEFF⟧⟦U+0007⟧",
  );
  expect(withMarks("x\u{e0041}")).toBe("x⟦U+E0041⟧");
  const fine = "tab\tline\nمی\u200cخواهم 👩\u200d👩\u200d👧 क्\u200dष";
  expect(withMarks(fine)).toBe(fine);
  expect(withMarks("a\u200db")).toBe("a⟦U+200D⟧b");
});

test("a message's parts are in its order, and blocks that repeat calls of tools are left out", () => {
  const parts = partsOf(
    message({
      content: [
        { type: "thinking", thinking: "hm" },
        { type: "text", text: "a" },
        "b",
        { type: "tool_use", id: "x" },
        { type: "image_url", image_url: { url: "https://a.example/cat.png" } },
        { type: "image", base64: "AAAA".repeat(1024), mime_type: "image/png" },
        { type: "odd", x: 1 },
      ],
    }),
  );
  expect(parts).toEqual([
    { kind: "reasoning", text: "hm" },
    { kind: "text", text: "ab" },
    { kind: "file", label: "image", url: "https://a.example/cat.png" },
    { kind: "file", label: "image/png, about 3 KiB", url: undefined },
    { kind: "data", label: "odd", value: { type: "odd", x: 1 } },
  ]);
  expect(partsOf(message({ content: "x", additional_kwargs: { reasoning_content: "why" } }))).toEqual([
    { kind: "reasoning", text: "why" },
    { kind: "text", text: "x" },
  ]);
});

test("a result stands with its call, and one without a call stands for itself", () => {
  const call = message({ tool_calls: [{ id: "t1", name: "f", args: { a: 1 } }] });
  const result = message({ type: "tool", id: "r", tool_call_id: "t1", content: "done" });
  const stray = message({ type: "tool", id: "s", tool_call_id: "t9", content: "?" });
  const finder = new Results();
  const results = finder.in([call, result, stray]);
  expect(finder.in([call, result, stray, message({ id: "n" })])).toBe(results);
  expect([...results.keys()]).toEqual(["t1"]);
  expect(shownOf([call, result, stray], results)).toEqual([call, stray]);
  expect(callsOf(call, results)[0]).toMatchObject({ name: "f", args: { a: 1 }, result });
  const other = message({ type: "tool", id: "o", tool_call_id: "t1", content: "other" });
  expect(finder.in([call, other]).get("t1")).toBe(other); // another branch
  expect(finder.in([stray]).size).toBe(0);
});

test("arguments show while they are written, and those that a model got wrong say why", () => {
  const [writing] = callsOf(
    message({ type: "AIMessageChunk", tool_call_chunks: [{ id: "t", name: "f", args: '{"to": "al' }] }),
  );
  expect(writing).toMatchObject({ name: "f", args: undefined, argsText: '{"to": "al' });
  const [wrong] = callsOf(
    message({ invalid_tool_calls: [{ id: "t", name: "f", args: "{", error: "no JSON" }] }),
  );
  expect(wrong).toMatchObject({ name: "f", problem: "no JSON", argsText: "{" });
});

test("roles, usage and gists are as people read them", () => {
  expect(
    ["human", "ai", "AIMessageChunk", "tool", "system", "remove"].map((type) => roleOf({ type })),
  ).toEqual(["human", "ai", "ai", "tool", "system", "other"]);
  const used = {
    usage_metadata: { input_tokens: 3, output_tokens: 5 },
    response_metadata: { model_name: "toy" },
  };
  expect(usageOf(message(used))).toEqual({ input: 3, output: 5, model: "toy" });
  expect(usageOf(message({}))).toBeUndefined();
  expect(gistOf({ to: "ann", n: 2n, deep: [1] })).toBe("to: ann, n: 2, deep: [1]");
  expect(gistOf("x".repeat(500), 20)).toHaveLength(20);
});
