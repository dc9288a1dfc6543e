import { expect, test } from "vitest";
import { EventReader } from "../src/event_reader.js";
import type { Event, Snapshot } from "../src/protocol/frames.js";

function reader(): {
  read: (data: unknown, more?: object) => ReturnType<EventReader<unknown>["read"]>;
  view: EventReader<unknown>;
} {
  const view = new EventReader<unknown>("r");
  let seq = 0;
  const read = (data: unknown, more = {}) => {
    seq += 1;
    return view.read({ type: "event", sub: 1, n: seq, seq, mode: "messages", data, ...more } as Event);
  };
  return { read, view };
}

const texts = (view: EventReader<unknown>) => view.messages.list.map(({ text }) => text);

test("pieces of the same call are one message, of equal ids and other calls they are two", () => {
  const { read, view } = reader();
  read(
    { id: "m", call: "1", delta: { content: "So" } },
    { meta: { langgraph_node: "write" }, node: "write" },
  );
  read({ id: "m", call: "2", delta: { content: "x" } });
  read({ id: "m", call: "1", delta: { content: "ft" } });
  expect(texts(view)).toEqual(["Soft", "x"]);
  expect(view.messages.list[0]).toMatchObject({ id: "m", call: "1", metadata: { langgraph_node: "write" } });
});

test("the list and each message stay the same objects until they change", () => {
  const { read, view } = reader();
  read({ id: "a", delta: { content: "a" } });
  read({ id: "b", delta: { content: "b" } });
  const { list } = view.messages;
  expect(view.messages.list).toBe(list);
  read({ id: "b", delta: { content: "!" } });
  expect(view.messages.list).not.toBe(list);
  expect(view.messages.list[0]).toBe(list[0]);
  expect(texts(view)).toEqual(["a", "b!"]);
});

test("a whole message replaces its pieces, and names its id", () => {
  const { read, view } = reader();
  read({ id: "lc_1", call: "c", delta: { content: "par" } });
  const event = read({ id: "m", call: "c", message: { type: "ai", content: "whole" } });
  expect(event).toMatchObject({ isWhole: true, message: { isComplete: true, type: "ai" } });
  expect(view.messages.list.map(({ id, text }) => [id, text])).toEqual([["m", "whole"]]);
});

test("tool calls are assembled, and have arguments once these are whole", () => {
  const { read, view } = reader();
  const piece = (args: string, more = {}) =>
    read({ id: "m", delta: { tool_call_chunks: [{ index: 0, args, ...more }] } });
  piece('{"city": ', { name: "weather", id: "t" });
  expect(view.messages.list[0]?.toolCalls).toEqual([
    { id: "t", name: "weather", args: undefined, argsText: '{"city": ' },
  ]);
  piece('"Rome"}');
  expect(view.messages.list[0]?.toolCalls[0]?.args).toEqual({ city: "Rome" });
  read({
    id: "n",
    message: { type: "ai", content: "", tool_calls: [{ id: "u", name: "f", args: { x: 1 } }] },
  });
  expect(view.messages.list[1]?.toolCalls).toEqual([
    { id: "u", name: "f", args: { x: 1 }, argsText: '{"x":1}' },
  ]);
});

test("the last piece makes a message complete", () => {
  const { read, view } = reader();
  read({ id: "m", delta: { content: "x" } });
  expect(view.messages.list[0]?.isComplete).toBe(false);
  read({ id: "m", delta: { chunk_position: "last" } });
  expect(view.messages.list[0]?.isComplete).toBe(true);
});

test("a discarded call leaves the view, by its own event or by a new attempt", () => {
  const { read, view } = reader();
  for (const call of ["a", "b", "c"]) read({ id: call, delta: { content: call } });
  read({ id: "a", delta: {}, discard: true });
  expect(texts(view)).toEqual(["b", "c"]);
  const again = { status: "running", attempt: 2, at: "", discard: ["b"], void_after: 3 };
  expect(read(again, { mode: "lifecycle" })).toMatchObject({ discard: ["b"], voidAfter: 3 });
  expect(texts(view)).toEqual(["c"]);
  read({ id: "b", delta: { content: "again" } });
  expect(texts(view)).toEqual(["c", "again"]);
});

test("a snapshot replaces all messages, and later pieces continue them", () => {
  const { read, view } = reader();
  read({ id: "old", delta: { content: "old" } });
  view.read({ type: "gap", sub: 1, after_seq: 1, upto_seq: 9, reason: "evicted", lost: [] } as never);
  const messages = [
    { id: "m", message: { content: "Sof" }, meta: { langgraph_node: "write" }, ns: [], node: "write" },
    { id: "big", message: { type: "ai", $cut: { reason: "size", bytes: 99 } }, meta: {}, ns: [] },
  ];
  const event = view.read({
    type: "snapshot",
    sub: 1,
    seq: 9,
    status: "running",
    values: { a: 1 },
    messages,
    interrupts: [],
  } as unknown as Snapshot);
  expect(event).toMatchObject({ mode: "snapshot", heals: { afterSeq: 1, uptoSeq: 9 }, values: { a: 1 } });
  read({ id: "m", delta: { content: "t" } });
  expect(read({ id: "big", delta: { content: "no" } })).toMatchObject({ cutBytes: 99 });
  expect(texts(view)).toEqual(["Soft", ""]);
  expect(view.messages.list[1]).toMatchObject({ cutBytes: 99 });
});

test("content blocks give their text", () => {
  const { read, view } = reader();
  read({
    id: "m",
    delta: {
      content: ["a", { type: "text", text: "b" }, { type: "image" }, { type: "thinking", text: "no" }],
    },
  });
  expect(texts(view)).toEqual(["ab"]);
});

test("values are restored where they are read", () => {
  const { read, view } = reader();
  read({ id: "m", delta: { content: "x", extra: { n: { $int: "123456789012345678901" } } } });
  expect(view.messages.list[0]?.fields.extra).toEqual({ n: 123456789012345678901n });
});

test("data that this version does not know is shown as it is", () => {
  const { read, view } = reader();
  for (const data of [1, {}, { id: "m", delta: 5 }, { id: "m" }])
    expect(read(data)).toMatchObject({ mode: "unknown", name: "messages", data });
  expect(read({ status: "paused" }, { mode: "lifecycle" })).toMatchObject({
    mode: "unknown",
    name: "lifecycle",
  });
  expect(read({ interrupts: 5 }, { mode: "interrupt" })).toMatchObject({ mode: "unknown" });
  expect(read({}, { mode: "tomorrow" })).toMatchObject({ mode: "unknown", name: "tomorrow" });
  expect(view.messages.list).toEqual([]);
});

test("the state of the root is kept, that of a subgraph and one that was cut are not", () => {
  const { read, view } = reader();
  read({ a: 1 }, { mode: "values" });
  read({ a: 2 }, { mode: "values", ns: ["sub"] });
  expect(read({ $cut: { reason: "size", bytes: 5 } }, { mode: "values" })).toMatchObject({ cutBytes: 5 });
  expect(view.values).toEqual({ a: 1 });
});
