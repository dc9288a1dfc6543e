/** What becomes of each event of a run, message and question as the AI SDK's chunks, without a server. */

import { readUIMessageStream, type UIMessage, type UIMessageChunk, uiMessageChunkSchema } from "ai";
import { describe, expect, test } from "vitest";
import { Chunks } from "../../src/ai/chunks.js";
import { conversationOf, humanOf } from "../../src/ai/conversation.js";
import { answersIn } from "../../src/ai/questions.js";
import { EventReader } from "../../src/event_reader.js";
import type { Event, Interrupt } from "../../src/index.js";
import type * as frames from "../../src/protocol/frames.js";

/** Reads frames as a run does, and makes chunks of their events. */
class Shown {
  readonly chunks: UIMessageChunk[] = [];
  readonly #reader = new EventReader<unknown>("r");
  readonly #maker = new Chunks("r", () => this.#reader.messages.list);
  #seq = 0;

  constructor() {
    this.chunks.push(...this.#maker.begin(false));
  }

  frame(frame: object): this {
    this.#seq += 1;
    const event = this.#reader.read({ seq: this.#seq, ...frame } as frames.Event);
    this.chunks.push(...this.#maker.of(event as Event));
    return this;
  }

  event(mode: string, data: unknown, more: object = {}): this {
    return this.frame({ type: "event", mode, data, ...more });
  }

  /** A piece of a message; `step` is the superstep. */
  say(call: string, delta: object, { step = 1, ns = [] as string[] } = {}): this {
    return this.event("messages", { id: call, delta }, { ns, node: "n", meta: { langgraph_step: step } });
  }

  whole(message: { id: string; type: string; content: unknown; [field: string]: unknown }, step = 1): this {
    return this.event("messages", { id: message.id, message }, { node: "n", meta: { langgraph_step: step } });
  }

  discard(call: string): this {
    return this.event("messages", { id: call, delta: {}, discard: true });
  }

  life(status: string, more: object = {}): this {
    return this.event("lifecycle", { status, attempt: 1, at: "2026-01-01T00:00:00Z", ...more });
  }

  /** Return the parts as the AI SDK puts them together, each chunk valid by its schema. */
  async parts(
    status: "completed" | "interrupted" | "cancelled" | "failed" = "completed",
  ): Promise<UIMessage["parts"]> {
    this.chunks.push(...this.#maker.end(status, undefined));
    const { validate } = uiMessageChunkSchema();
    for (const chunk of this.chunks) expect(await validate?.(chunk)).toMatchObject({ success: true });
    return partsOf(this.chunks);
  }
}

async function partsOf(chunks: readonly UIMessageChunk[]): Promise<UIMessage["parts"]> {
  const stream = new ReadableStream<UIMessageChunk>({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(structuredClone(chunk));
      controller.close();
    },
  });
  let last: UIMessage | undefined;
  for await (const message of readUIMessageStream({ stream, terminateOnError: true })) last = message;
  return (last?.parts ?? []).filter(({ type }) => type !== "step-start");
}

const text = (value: string) => ({ type: "text", text: value, state: "done" });
const end = { chunk_position: "last" };

describe("messages", () => {
  test("of two nodes that speak at the same time are two parts of one step", async () => {
    const shown = new Shown().say("a", { content: "1" }).say("b", { content: "x" });
    shown.say("a", { content: "2", ...end }).say("b", { content: "y", ...end });
    expect(await shown.parts()).toMatchObject([text("12"), text("xy")]);
    expect(shown.chunks.filter(({ type }) => type === "start-step")).toHaveLength(1);
  });

  test("of a later superstep begin a step, unless something is still being written", async () => {
    const shown = new Shown().say("a", { content: "1", ...end }).say("b", { content: "2" }, { step: 2 });
    shown
      .say("c", { content: "3" }, { step: 3, ns: ["sub"] })
      .say("b", { content: "4", ...end }, { step: 2 });
    shown.say("d", { content: "5", ...end }, { step: 4 });
    expect(await shown.parts()).toMatchObject([text("1"), text("24"), text("3"), text("5")]);
    expect(shown.chunks.filter(({ type }) => type === "start-step")).toHaveLength(2);
  });

  test("that never say their last word are ended by the next superstep, or with the run", async () => {
    const shown = new Shown().say("a", { content: "1" }).say("b", { content: "2" }, { step: 2 });
    expect(await shown.parts()).toMatchObject([text("1"), text("2")]);
    expect(shown.chunks.filter(({ type }) => type === "start-step")).toHaveLength(2);
  });

  test("hold reasoning, texts, files, sources, and blocks of no known type", async () => {
    const image = { type: "image", base64: "QQ==", mime_type: "image/png" };
    const content = [
      { type: "thinking", thinking: "hm" },
      { type: "text", text: "a", annotations: [{ type: "citation", url: "https://x.example", title: "X" }] },
      { type: "text", text: "b", citations: [{ page: 3 }] },
      image,
      { type: "server_tool_call", name: "search" },
      { type: "tool_use", id: "t", name: "f" },
    ];
    const shown = new Shown().whole({
      id: "m",
      type: "ai",
      content,
      tool_calls: [{ id: "t", name: "f", args: {} }],
    });
    expect(await shown.parts()).toMatchObject([
      { type: "reasoning", text: "hm" },
      text("ab"),
      { type: "source-url", url: "https://x.example", title: "X" },
      { type: "data-citation", data: { page: 3 } },
      { type: "file", url: "data:image/png;base64,QQ==", mediaType: "image/png" },
      { type: "data-content", data: { type: "server_tool_call", name: "search" } },
      { type: "tool-f", state: "input-available", input: {} },
    ]);
    expect(shown.chunks.slice(2, 8).map(({ type }) => type)).toEqual([
      "reasoning-start",
      "reasoning-delta",
      "reasoning-end",
      "text-start",
      "text-delta",
      "text-end",
    ]);
  });

  test("that come whole after their pieces replace what they differ in", async () => {
    const shown = new Shown()
      .say("a", { content: "raw" })
      .event("custom", { n: 1 })
      .say("b", { content: "B" });
    shown.whole({ id: "a", type: "ai", content: "cooked" }).say("b", { content: "!", ...end });
    expect(await shown.parts()).toMatchObject([text("cooked"), { type: "data-custom" }, text("B!")]);
  });

  test("that are taken back go, with their calls, and the rest of the step stays", async () => {
    const shown = new Shown().discard("never shown");
    expect(shown.chunks).toHaveLength(1);
    shown.say("a", { content: "keep" });
    const call = { id: "t", name: "f", args: '{"x": 1}', index: 0 };
    shown.say("b", { content: "gone", tool_call_chunks: [call], ...end });
    shown.event("custom", { type: "data-x", data: 1 }).discard("b");
    shown.say("b2", { tool_call_chunks: [{ ...call, args: '{"x": 2}' }], ...end }).say("a", { content: "!" });
    expect(await shown.parts()).toMatchObject([
      text("keep!"),
      { type: "data-x", data: 1 },
      { type: "tool-f", toolCallId: "t", input: { x: 2 } },
    ]);
  });

  test("that are taken back after their step are named", async () => {
    const shown = new Shown()
      .say("a", { content: "old", ...end })
      .say("b", { content: "new", ...end }, { step: 2 });
    shown.life("running", { attempt: 2, discard: ["a"] }).say("a", { content: "again", ...end }, { step: 2 });
    expect(await shown.parts()).toMatchObject([
      text("old"),
      text("new"),
      { type: "data-revised", data: { message: "a", now: null } },
      text("again"),
    ]);
  });

  test("of others than models are data, and those that are too large say so", async () => {
    const shown = new Shown().whole({ id: "h", type: "human", content: "hi" });
    shown.event("messages", { id: "big", $cut: { reason: "size", bytes: 9 } }, { node: "n" });
    shown.event("custom", { $cut: { reason: "size", bytes: 8 } });
    expect(await shown.parts()).toMatchObject([
      { type: "data-message", id: "h", data: { content: "hi" } },
      { type: "data-cut", id: "big", data: { bytes: 9 } },
      { type: "data-cut", data: { bytes: 8 } },
    ]);
  });
});

describe("calls of tools", () => {
  test("that are no JSON, or that the model's provider refused, are errors", async () => {
    const shown = new Shown().say("a", {
      tool_call_chunks: [{ id: "t", name: "f", args: "{x", index: 0 }],
      ...end,
    });
    const invalid = [{ id: "u", name: "g", args: "?", error: "no" }];
    shown.whole({ id: "b", type: "ai", content: "", tool_calls: [], invalid_tool_calls: invalid });
    expect(await shown.parts()).toMatchObject([
      { type: "tool-f", state: "output-error", errorText: "the arguments are no JSON object" },
      { type: "tool-g", state: "output-error", errorText: "no" },
    ]);
  });

  test("are shown with their output also if the model's message was not", async () => {
    const more = { tool_call_id: "t", name: "f", artifact: { rows: 2 } };
    const shown = new Shown().whole({ id: "o", type: "tool", content: "plain", ...more });
    expect(await shown.parts()).toMatchObject([
      { type: "tool-f", state: "output-available", output: "plain", toolMetadata: { artifact: { rows: 2 } } },
    ]);
  });
});

describe("events of other sorts", () => {
  test("are data: states, what is new to this version, and what a gap lost", async () => {
    const shown = new Shown().event("updates", { n: 1 }, { ns: ["sub"] }).event("values", { a: 1 });
    shown.event("values", { a: 2 }).event("telepathy", 7);
    shown.frame({ type: "gap", after_seq: 4, upto_seq: 9, reason: "evicted", lost: ["custom"] });
    expect(await shown.parts()).toMatchObject([
      { type: "data-updates", data: { namespace: ["sub"], data: { n: 1 } } },
      { type: "data-values", data: { namespace: [], data: { a: 2 } } },
      { type: "data-unknown", data: { name: "telepathy", data: 7 } },
      { type: "data-gap", data: { afterSeq: 4, uptoSeq: 9, lost: ["custom"] } },
    ]);
  });

  test("a snapshot goes on where a message was left", async () => {
    const shown = new Shown().say("a", { content: "Once upon" });
    shown.frame({ type: "gap", after_seq: 1, upto_seq: 9, reason: "evicted", lost: [] });
    const message = { type: "AIMessageChunk", content: "Once upon a time" };
    const snapshot = { type: "snapshot", status: "running", values: null, interrupts: [] };
    shown.frame({ ...snapshot, seq: 9, messages: [{ id: "a", message }] }).say("a", { content: "." });
    expect(await shown.parts()).toMatchObject([text("Once upon a time.")]);
  });

  test.each([
    ["completed", ["finish-step", { finishReason: "stop" }]],
    ["interrupted", ["finish-step", { finishReason: "tool-calls" }]],
    ["cancelled", ["finish-step", "abort", { finishReason: "interrupted" }]],
    ["failed", ["finish-step"]],
  ] as const)("the end: %s", async (status, expected) => {
    const shown = new Shown().say("a", { content: "x", ...end });
    const count = shown.chunks.length;
    await shown.parts(status);
    const types = expected.map((each) =>
      typeof each === "string" ? { type: each } : { type: "finish", ...each },
    );
    expect(shown.chunks.slice(count)).toEqual(types);
  });
});

describe("questions", () => {
  const calls = [
    { id: "t1", name: "erase", args: { what: "a" } },
    { id: "t2", name: "erase", args: { what: "b" } },
    { id: "t3", name: "look", args: {} },
  ];
  const request = {
    action_requests: [
      { name: "erase", args: { what: "b" }, description: "sure?" },
      { name: "erase", args: { what: "a" } },
    ],
  };
  const ask = (id: string, value: unknown) => ({ interrupts: [{ id, value, ns: [] }] });
  const question = (value: unknown): Interrupt => ({
    id: "q",
    value,
    namespace: [],
    responseSchema: undefined,
  });
  const asking = () => new Shown().whole({ id: "m", type: "ai", content: "", tool_calls: calls });
  const messageOf = (parts: UIMessage["parts"]): UIMessage => ({ id: "r", role: "assistant", parts });

  test("of LangChain's middleware are approvals of the calls that they name, answered in their order", async () => {
    const parts = await asking().event("interrupt", ask("q", request)).parts("interrupted");
    expect(parts).toMatchObject([
      { toolCallId: "t1", state: "approval-requested", approval: { id: "q:1" } },
      { toolCallId: "t2", state: "approval-requested", approval: { id: "q:0", requestReason: "sure?" } },
      { toolCallId: "t3", state: "input-available" },
    ]);
    const said = parts.map((part) => {
      const { approval } = part as { approval?: { id: string } };
      const isFirst = approval?.id === "q:0";
      return approval ? { ...part, approval: { ...approval, approved: isFirst, reason: "why not" } } : part;
    }) as UIMessage["parts"];
    expect(answersIn(messageOf(said), [question(request)])).toEqual({
      q: { decisions: [{ type: "approve" }, { type: "reject", message: "why not" }] },
    });
    expect(answersIn(messageOf([said[0], parts[1]] as never), [question(request)])).toEqual({});
    const toAnswer = (_: Interrupt, approvals: readonly { approved: boolean }[]) =>
      approvals.map((one) => one.approved);
    expect(answersIn(messageOf(said), [question(request)], toAnswer)).toEqual({ q: [true, false] });
  });

  test("of two calls that are the same are two approvals", async () => {
    const [same] = calls;
    const twice = [same, { ...same, id: "t9" }];
    const both = { action_requests: [request.action_requests[1], request.action_requests[1]] };
    const shown = new Shown().whole({ id: "m", type: "ai", content: "", tool_calls: twice });
    expect(await shown.event("interrupt", ask("q", both)).parts("interrupted")).toMatchObject([
      { toolCallId: "t1", approval: { id: "q:0" } },
      { toolCallId: "t9", approval: { id: "q:1" } },
    ]);
  });

  test("about calls that the message does not show, or about one call, or about anything", async () => {
    const hidden = await new Shown().event("interrupt", ask("q", request)).parts("interrupted");
    expect(hidden).toMatchObject([{ type: "tool-interrupt", toolCallId: "q", input: request }]);
    const value = { tool_call_id: "t3", why: "?" };
    const one = await asking().event("interrupt", ask("q", value)).parts("interrupted");
    expect(one[2]).toMatchObject({ state: "approval-requested", approval: { id: "q:0", descriptor: value } });
    const said = { ...one[2], approval: { id: "q:0", approved: false, reason: "no" } } as never;
    expect(answersIn(messageOf([said]), [question(value)])).toEqual({ q: { approved: false, reason: "no" } });
    const wrong = { ...hidden[0], state: "output-error", errorText: "x" } as never;
    expect(() => answersIn(messageOf([wrong]), [question(request)])).toThrow(/give an output/);
  });

  test("that are answered further on in the log do not wait in a replay; breakpoints are data", async () => {
    const both = { interrupts: [...ask("q", request).interrupts, ...ask("p", "ok?").interrupts] };
    const shown = asking().event("interrupt", both);
    shown.life("interrupted").life("running").event("interrupt", { interrupts: [] });
    expect(await shown.parts("interrupted")).toMatchObject([
      { toolCallId: "t1", state: "input-available" },
      { toolCallId: "t2", state: "input-available" },
      { toolCallId: "t3", state: "input-available" },
      { type: "tool-interrupt", toolCallId: "p", state: "output-available", output: null },
      { type: "data-breakpoint" },
    ]);
  });
});

describe("conversations", () => {
  test("files of the user become blocks, under the message's id", () => {
    const parts: UIMessage["parts"] = [
      { type: "file", mediaType: "image/png", url: "data:image/png;base64,QQ==" },
      { type: "file", mediaType: "application/pdf", url: "https://x.example/a.pdf", filename: "a.pdf" },
      { type: "text", text: "look" },
    ];
    expect(humanOf({ id: "u", role: "user", parts })).toEqual({
      type: "human",
      id: "u",
      content: [
        { type: "image", base64: "QQ==", mime_type: "image/png" },
        {
          type: "file",
          url: "https://x.example/a.pdf",
          mime_type: "application/pdf",
          extras: { filename: "a.pdf" },
        },
        { type: "text", text: "look" },
      ],
    });
  });

  test("of a thread have one message for each turn, and nothing is left out", () => {
    const conversation = conversationOf([
      { type: "system", id: "s", content: "be brief" },
      {
        type: "human",
        id: "u",
        content: [
          { type: "text", text: "hi" },
          { type: "image", url: "https://x.example/i" },
        ],
      },
      { type: "ai", id: "a", content: "", tool_calls: [{ id: "t", name: "f", args: { x: 1 } }] },
      { type: "tool", id: "o", tool_call_id: "t", status: "error", content: "no" },
      { type: "function", id: "w", content: "odd" },
      { type: "ai", id: "b", content: "bye" },
    ]);
    expect(conversation).toMatchObject([
      { id: "s", role: "system", parts: [{ type: "text", text: "be brief" }] },
      { id: "u", role: "user", parts: [{ type: "text" }, { type: "file", mediaType: "image" }] },
      {
        id: "a",
        role: "assistant",
        parts: [
          { type: "step-start" },
          { type: "tool-f", toolCallId: "t", state: "output-error", errorText: "no", input: { x: 1 } },
          { type: "data-message", data: { content: "odd" } },
          { type: "step-start" },
          text("bye"),
        ],
      },
    ]);
  });
});
