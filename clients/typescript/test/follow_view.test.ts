import fc from "fast-check";
import { expect, test } from "vitest";
import type { MessagesEvent, SnapshotEvent } from "../src/events.js";
import type { FollowEvent, FollowMessages } from "../src/follow_events.js";
import { StateMessages, ThreadView } from "../src/follow_view.js";
import { Message } from "../src/index.js";

const base = { run: "r", seq: 1, namespace: [], node: undefined, cutBytes: undefined };

function message(type: string, content: string, id?: string, call = id ?? ""): Message {
  return new Message({ type, content, ...(id && { id }) }, { ...base, call, metadata: {} });
}

const state = (messages: Message[], because: FollowMessages["because"] = "state"): FollowMessages => ({
  mode: "thread",
  messages,
  because,
  run: undefined,
  cutBytes: undefined,
});

const token = (
  id: string | undefined,
  content: string,
  more: Partial<MessagesEvent> & { call?: string } = {},
) =>
  ({
    ...base,
    mode: "messages",
    message: message("AIMessageChunk", content, id, more.call),
    isWhole: false,
    discard: false,
    ...more,
  }) satisfies MessagesEvent & { call?: string };

function texts(...events: FollowEvent[]): string[] {
  const view = new ThreadView();
  for (const event of events) view.apply(event);
  return view.messages.map(({ text }) => text);
}

const HI = message("human", "hi", "h1");
const ANSWER = message("ai", "hello there", "a1");

test("streamed pieces come behind the state, and add up", () => {
  expect(texts(state([HI]), token("a1", "hel"), token("a1", "lo"))).toEqual(["hi", "hello"]);
  expect(texts(state([HI]), token("a1", "one"), token("a2", "two"), token("a1", "!"))).toEqual([
    "hi",
    "one!",
    "two",
  ]);
});

test("a state replaces all that was streamed, but for one that only shows the input", () => {
  expect(texts(state([HI]), token("x", "gone"), state([HI, ANSWER], "end"))).toEqual(["hi", "hello there"]);
  expect(texts(state([]), token("a1", "hel"), state([HI], "input"), token("a1", "lo"))).toEqual([
    "hi",
    "hello",
  ]);
});

test("a streamed message takes the place of the one of its id", () => {
  expect(texts(state([HI, ANSWER]), token("a1", "new"))).toEqual(["hi", "new"]);
});

test("what a run has streamed stays until the next state", () => {
  const begun = {
    mode: "run",
    run: "r2",
    number: 2,
    status: "running",
    checkpoint: "c",
    missing: [],
  } as const;
  expect(texts(state([HI]), token("a1", "hello"), begun)).toEqual(["hi", "hello"]);
  expect(texts(state([HI]), token("a1", "hello"), begun, state([HI], "start"))).toEqual(["hi"]);
});

test("what was lost is withdrawn", () => {
  expect(texts(state([HI]), token("a1", "hello"), { mode: "discard", reason: "lost", run: "r" })).toEqual([
    "hi",
  ]);
});

test("a repeated step takes its messages back", () => {
  const life = { ...base, mode: "lifecycle", status: "running", attempt: 2, at: "" } as const;
  const again = { ...life, reason: undefined, error: undefined, discard: ["a1"], voidAfter: 0 };
  expect(texts(state([HI]), token("a1", "hel"), token("a2", "two"), again)).toEqual(["hi", "two"]);
});

test("a call whose node begins again is taken back, and ids that come again stay apart", () => {
  const half = token("a1", "half", { call: "c1" });
  const whole = token("a1", "whole", { call: "c2" });
  expect(texts(state([HI]), half, token("a1", "", { call: "c1", discard: true }), whole)).toEqual([
    "hi",
    "whole",
  ]);
  expect(texts(state([HI]), half, token("a2", "two", { call: "c2" }))).toEqual(["hi", "half", "two"]);
});

test("what is cut adds up to nothing", () => {
  const cut = token("a1", "", {
    message: new Message({ type: "unknown", id: "a1" }, { ...base, call: "a1", metadata: {}, cutBytes: 9 }),
  });
  expect(texts(state([HI]), token("a1", "hel"), cut)).toEqual(["hi", "hel"]);
  expect(texts(state([HI]), cut, cut)).toEqual(["hi", ""]);
});

test("a snapshot holds what was streamed, and later pieces continue it", () => {
  const messages = [ANSWER, message("AIMessageChunk", "so ", "a2")];
  const rest = { status: "running", values: undefined, interrupts: [], heals: undefined } as const;
  const snapshot: SnapshotEvent = { ...base, ...rest, mode: "snapshot", messages };
  expect(texts(state([HI, ANSWER]), token("a9", "old"), snapshot)).toEqual(["hi", "hello there", "so "]);
  expect(texts(state([HI, ANSWER]), snapshot, token("a2", "far"))).toEqual(["hi", "hello there", "so far"]);
});

test("a whole message replaces its pieces, and a removal shows nothing", () => {
  const whole = token("a1", "", { message: ANSWER, isWhole: true });
  expect(texts(token("a1", "hel"), whole)).toEqual(["hello there"]);
  expect(texts(token("a1", "hel"), { ...whole, message: message("remove", "", "h1") })).toEqual(["hel"]);
});

test("the list stays the same object until a message changes", () => {
  const view = new ThreadView();
  view.apply(state([HI]));
  const { messages } = view;
  view.apply({ ...base, mode: "custom", data: 1, taskNamespace: undefined });
  expect(view.messages).toBe(messages);
  view.apply(token(undefined, "hello"));
  view.apply(token("h1", "changed"));
  expect(view.messages.map(({ text }) => text)).toEqual(["changed", "hello"]);
  expect(view.messages).toBe(view.messages);
});

test("no message is there twice, and a view is the last state and what came since", () => {
  const id = fc.constantFrom("a", "b", "c");
  const event = fc.oneof(
    fc.tuple(id, fc.string({ maxLength: 2 })).map(([name, text]) => token(name, text)),
    fc.uniqueArray(id).map((ids) => state(ids.map((name) => message("ai", name.toUpperCase(), name)))),
    fc.constant({ mode: "discard", reason: "missed", run: undefined } as const),
  );
  fc.assert(
    fc.property(fc.array(event, { maxLength: 20 }), (events) => {
      const view = new ThreadView();
      let settled = new Map<string, string>();
      let since = new Map<string, string>();
      for (const each of events) {
        view.apply(each);
        if (each.mode !== "messages") since = new Map();
        if (each.mode === "thread") settled = new Map(each.messages.map(({ id = "", text }) => [id, text]));
        if (each.mode !== "messages") continue;
        const { id: name = "", text } = each.message;
        since.set(name, (since.get(name) ?? "") + text);
      }
      const shown = view.messages.map(({ id: name, text }) => [name, text]);
      expect(shown).toEqual([...new Map([...settled, ...since])]);
    }),
  );
});

test("messages of states are read without tags, and equal ones in a row are the same object", () => {
  const states = new StateMessages("messages");
  const human = { type: "human", content: "hi", id: "h1", extra: { $set: 1 } };
  const first = states.of({
    messages: [human, "bare", { type: "ai", content: [{ type: "text", text: "a" }] }],
  });
  expect(first?.map(({ type, text }) => [type, text])).toEqual([
    ["human", "hi"],
    ["unknown", "bare"],
    ["ai", "a"],
  ]);
  expect(first?.[0]?.fields.extra).toEqual({ $set: 1 });
  const second = states.of({ messages: [{ ...human }, { ...human, content: "ho" }] });
  expect(second?.[0]).toBe(first?.[0]);
  expect(second?.[1]).not.toBe(first?.[0]);
  expect(states.areEqual(first, second)).toBe(false);
  expect(states.areEqual(second, states.of({ messages: [human, { ...human, content: "ho" }] }))).toBe(true);
  expect(states.of({ other: [] })).toBeUndefined();
  expect(states.of(undefined)).toBeUndefined();
});

test("a message that moved in the list is found again, whatever it holds, and one that changed is another", () => {
  const states = new StateMessages("messages");
  const odd = () => ({
    type: "ai",
    id: "odd",
    content: [
      { bytes: new Uint8Array([1, 2]), ids: new Set([1n]), map: new Map([["a", { b: Number.NaN }]]) },
    ],
  });
  const plain = (id: string, content: unknown = [{ deep: [1, { more: null }] }]) => ({
    type: "ai",
    id,
    content,
  });
  const first = states.of({ messages: [plain("a"), plain("b"), odd()] });
  const second = states.of({ messages: [plain("b"), odd(), plain("a", [{ deep: [1, { more: 0 }] }])] });
  expect(second?.map((message) => first?.indexOf(message))).toEqual([1, 2, -1]);
  const other = { ...odd(), content: [{ ...odd().content[0], ids: new Set([2n]) }] };
  const third = states.of({ messages: [plain("b"), other] });
  expect(third?.map((message) => second?.indexOf(message))).toEqual([0, -1]);
  expect(states.areEqual(first, states.of({ messages: [plain("a"), plain("b"), odd()] }))).toBe(true);
  expect(states.areEqual(third, states.of({ messages: [plain("b"), { ...plain("odd"), more: 1 }] }))).toBe(
    false,
  );
});

test("a message that has grown, by a key or a block, is another, and so is a longer list", () => {
  const states = new StateMessages("messages");
  const one = states.of({ messages: [{ id: "a", content: ["x"] }] });
  const block = states.of({ messages: [{ id: "a", content: ["x", "y"] }] });
  const key = states.of({ messages: [{ id: "a", content: ["x", "y"], name: "n" }] });
  const longer = states.of({ messages: [{ id: "a", content: ["x", "y"], name: "n" }, { id: "b" }] });
  expect(one?.[0]).not.toBe(block?.[0]);
  expect(block?.[0]).not.toBe(key?.[0]);
  expect(longer?.[0]).toBe(key?.[0]);
  expect(states.areEqual(key, longer)).toBe(false);
});

test("a state that shares its messages with the one before is not compared with it", () => {
  const states = new StateMessages("messages");
  let looks = 0;
  const item = { type: "ai", id: "a", content: { text: "x" } };
  const counted = new Proxy(item, {
    ownKeys: (all) => {
      looks += 1;
      return Reflect.ownKeys(all);
    },
  });
  const first = states.of({ messages: [counted] });
  expect(states.of({ messages: [counted, { type: "human", id: "b", content: "y" }] })?.[0]).toBe(first?.[0]);
  expect(looks).toBe(0);
});

test("what a run was given ends where its graph wrote", () => {
  const states = new StateMessages("messages");
  const of = (...messages: [string, string][]) =>
    states.of({ messages: messages.map(([type, content]) => ({ type, content, id: content })) });
  const before = of(["human", "1"], ["ai", "2"]);
  const now = of(["human", "1"], ["ai", "2"], ["human", "3"], ["system", "4"], ["ai", "5"], ["human", "6"]);
  expect(states.givenOf(before, now)?.map(({ text }) => text)).toEqual(["1", "2", "3", "4"]);
  expect(states.givenOf(before, of(["human", "1"], ["ai", "2"], ["ai", "5"]))).toBeUndefined();
  expect(states.givenOf(now, before)).toBeUndefined();
  expect(states.givenOf(undefined, of(["human", "1"]))?.length).toBe(1);
  // Equal ones are known, also where they are other objects and have no ids.
  const bare = (...contents: string[]) =>
    states.of({ messages: contents.map((content) => ({ type: "human", content })) });
  const old = bare("x", "y");
  bare();
  expect(states.givenOf(old, bare("y", "x"))).toBeUndefined();
  expect(states.givenOf(old, bare("y", "z"))?.length).toBe(2);
});
