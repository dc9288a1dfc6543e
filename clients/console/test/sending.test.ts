// @vitest-environment happy-dom
/** Sending, against a server that answers when the test says so. */

import { act, renderHook } from "@testing-library/react";
import { type Client, type frames, Refused } from "graphwire";
import type { ThreadView } from "graphwire/react";
import { expect, test } from "vitest";
import { useSending } from "../src/chat/sending";

const GRAPH = {
  name: "g",
  modes: ["values", "messages"],
  nodes: [],
  edges: [],
} as unknown as frames.GraphRow;

function setup() {
  const cancelled: string[] = [];
  const started: { input: unknown; options: { run?: string } }[] = [];
  const known = new Set<string>();
  const answer: { take: () => void; refuse: (error: Error) => void } = { take: () => {}, refuse: () => {} };
  const client = {
    async cancel(run: string) {
      cancelled.push(run);
      if (!known.has(run)) throw new Refused("not_found", "no such run");
    },
  } as unknown as Client;
  const view = {
    start(input: unknown, options: { run?: string }) {
      started.push({ input, options });
      return new Promise((resolve, reject) => {
        answer.take = () => {
          known.add(String(options.run));
          resolve({});
        };
        answer.refuse = reject;
      });
    },
  } as unknown as ThreadView;
  const none: never[] = [];
  const { result } = renderHook(() => useSending(client, GRAPH, view, none));
  return { result, cancelled, started, answer };
}

test("what is stopped before the server knows it is cancelled as soon as it does", async () => {
  const { result, cancelled, started, answer } = setup();
  let sent: Promise<void> | undefined;
  act(() => {
    sent = result.current.say({ text: "hi", ifBusy: "enqueue" });
  });
  const run = String(started[0]?.options.run);
  expect(result.current.outgoing).toMatchObject([{ run, text: "hi", isTaken: false }]);
  await act(() => result.current.cancel(run)); // it throws nothing: nothing is wrong
  expect(cancelled).toEqual([run]);
  await act(async () => {
    answer.take();
    await sent;
  });
  expect(cancelled).toEqual([run, run]);
});

test("a message that is refused is on its way no more, and says so to who sent it", async () => {
  const { result, answer } = setup();
  let sent: Promise<void> | undefined;
  act(() => {
    sent = result.current.say({ text: "hi", ifBusy: "enqueue" });
  });
  await act(async () => {
    answer.refuse(new Refused("limit_exceeded", "too many"));
    await expect(sent).rejects.toThrow("too many");
  });
  expect(result.current.outgoing).toEqual([]);
});

test("a run that another page has deleted cannot be cancelled, which is said", async () => {
  const { result } = setup();
  await expect(result.current.cancel("gone")).rejects.toThrow("no such run");
});

test("a message that is said again starts at its checkpoint, under its id, and is no second one", async () => {
  const { result, started, answer } = setup();
  await act(async () => {
    const said = { type: "human", id: "h1", content: "hi" };
    const sent = result.current.say({ text: "hi", ifBusy: "interrupt", again: said, checkpoint: "c1" });
    answer.take();
    await sent;
  });
  expect(result.current.outgoing).toEqual([]);
  expect(started[0]).toMatchObject({
    input: { messages: [{ id: "h1", content: "hi" }] },
    options: { checkpoint: "c1", ifBusy: "interrupt", metadata: { message: "h1" } },
  });
});
