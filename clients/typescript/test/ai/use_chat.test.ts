// @vitest-environment happy-dom
/** The AI SDK's own `useChat` over a gateway: what is streamed, stopped, asked again, and many chats at once. */

import { Chat } from "@ai-sdk/react";
import { waitFor } from "@testing-library/react";
import type { ChatTransport, UIMessage, UIMessageChunk } from "ai";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type ChatTransportOptions, GraphwireChatTransport } from "../../src/ai.js";
import { RunFailed } from "../../src/index.js";
import { CuttingProxy, type Gateway, webSocket } from "../gateway.js";
import { answer, closeAll, connected, heard, page, release, served, textOf, untilRun } from "./chats.js";

let gateway: Gateway;

beforeAll(async () => {
  gateway = await served();
}, 60_000);
afterEach(closeAll);
afterAll(() => gateway.stop());

function transport(graph: string, options?: ChatTransportOptions): GraphwireChatTransport {
  return new GraphwireChatTransport(connected(gateway.url), graph, options);
}

describe("a chat", () => {
  test("streams an answer word by word, and remembers the thread", async () => {
    const { chat, seen, ready } = page({ id: "words", transport: transport("chat") });
    await chat.sendMessage({ text: "well 300" });
    await ready();
    expect(seen.at(-1)).toBe(answer("well", 300));
    expect(new Set(seen).size).toBeGreaterThan(2); // the question, the answer, and half of it
    expect(seen.every((text) => text === "well 300" || seen.at(-1)?.startsWith(text))).toBe(true);
    await chat.sendMessage({ text: "and 2" });
    await ready();
    expect(seen.at(-1)).toBe(answer("and", 2, 2));
  });

  test("shows reasoning, calls of tools as they are written, their outputs, and custom data", async () => {
    const inner = transport("agent");
    const types: string[] = [];
    const noted = async (stream: ReadableStream<UIMessageChunk>) =>
      stream.pipeThrough(
        new TransformStream<UIMessageChunk, UIMessageChunk>({
          transform(chunk, controller) {
            types.push(chunk.type);
            controller.enqueue(chunk);
          },
        }),
      );
    const noting: ChatTransport<UIMessage> = {
      sendMessages: async (request) => noted(await inner.sendMessages(request)),
      reconnectToStream: (request) => inner.reconnectToStream(request),
    };
    const view = page({ id: "tools", transport: noting });
    await view.chat.sendMessage({ text: "look cats" });
    await view.ready();
    const message = view.chat.messages.at(-1) as UIMessage;
    const about = expect.objectContaining({
      graphwire: expect.objectContaining({ node: "model", namespace: [] }),
    });
    expect(message.parts).toMatchObject([
      { type: "step-start" },
      { type: "reasoning", text: "Let me see.", state: "done" },
      { type: "text", text: "One moment.", state: "done" },
      {
        type: "tool-look_up",
        toolCallId: "call-1",
        state: "output-available",
        input: { what: "cats" },
        output: { found: "cats" },
        providerExecuted: true,
        callProviderMetadata: about,
      },
      { type: "data-custom", data: { looking: "cats" } },
      { type: "data-place", id: "place", data: { of: "cats" } },
      { type: "step-start" },
      { type: "text", text: 'It says {"found": "cats"}', state: "done", providerMetadata: about },
    ]);
    expect(message.parts).toHaveLength(8);
    expect(types.filter((type) => type.startsWith("tool-"))).toEqual([
      "tool-input-start",
      "tool-input-delta",
      "tool-input-delta",
      "tool-input-available",
      "tool-output-available",
    ]);
    expect([types[0], types.at(-2), types.at(-1)]).toEqual(["start", "finish-step", "finish"]);
  });

  test("shows the error of a tool in its part, and the failure of a run as the chat's error", async () => {
    const view = page({ id: "errors", transport: transport("agent") });
    await view.chat.sendMessage({ text: "look dragons" });
    await view.ready();
    const { parts } = view.chat.messages.at(-1) as UIMessage;
    expect(parts.find(({ type }) => type === "tool-look_up")).toMatchObject({
      state: "output-error",
      errorText: "no dragons",
    });
    await view.chat.sendMessage({ text: "look monsters" });
    await waitFor(() => expect(view.chat.status).toBe("error"));
    expect(view.chat.error).toBeInstanceOf(RunFailed);
    expect(view.chat.error).toMatchObject({ code: "graph_error", type: "ValueError" });
    expect(textOf(view.chat.messages.at(-1))).toBe("One moment.");
  });

  test("keeps every word that was said before the run failed", async () => {
    const view = page({ id: "broken", transport: transport("broken") });
    await view.chat.sendMessage({ text: "go" });
    await waitFor(() => expect(view.chat.error?.message).toContain("it broke"));
    expect(textOf(view.chat.messages.at(-1))).toBe(answer("well", 2));
  });

  test("takes back what a node said before it failed and began again", async () => {
    const view = page({ id: "stumbling", transport: transport("stumbling") });
    await view.chat.sendMessage({ text: "go" });
    await view.ready();
    expect(view.seen).toContain(answer("half", 1));
    expect(textOf(view.chat.messages.at(-1))).toBe(answer("whole", 2));
  });
});

describe("stopping", () => {
  test("cancels the run, keeps what was said, and the next message is taken at once", async () => {
    const client = connected(gateway.url);
    const own = new Chat({ id: "stop", transport: new GraphwireChatTransport(client, "chat") });
    const view = page({ chat: own });
    void view.chat.sendMessage({ text: "long 4000" });
    await view.begun();
    await view.chat.stop();
    expect(view.chat.error).toBeUndefined();
    const said = textOf(own.messages.at(-1));
    expect(answer("long", 4000).startsWith(said)).toBe(true);
    await view.chat.sendMessage({ text: "next 2" });
    await view.ready();
    expect(textOf(view.chat.messages.at(-1))).toBe(answer("next", 2, 2));
    expect(textOf(view.chat.messages[1])).toBe(said);
    const statuses: string[] = [];
    for await (const { status, reason } of client.runs({ thread: "stop" }))
      statuses.push(`${status} ${reason}`);
    expect(statuses).toEqual(["completed undefined", "cancelled stopped"]);
  });

  test("before the run has begun cancels it as soon as it is there", async () => {
    const client = connected(gateway.url);
    const chat = new Chat({ id: "early", transport: new GraphwireChatTransport(client, "chat") });
    const sending = chat.sendMessage({ text: "long 4000" });
    await waitFor(() => expect(chat.status).toBe("submitted"), { interval: 1 });
    await chat.stop();
    await sending;
    expect(chat).toMatchObject({ status: "ready", error: undefined });
    await untilRun(client, "early", "cancelled");
  });

  test("only detaches if the application wants it so, and cancel() ends the run", async () => {
    const client = connected(gateway.url);
    const detaching = new GraphwireChatTransport(client, "chat", { onStop: "detach" });
    const view = page({ id: "detach", transport: detaching });
    void view.chat.sendMessage({ text: "long 4000" });
    await view.begun();
    await view.chat.stop();
    for await (const { status } of client.runs({ thread: "detach" })) expect(status).toBe("running");
    await detaching.cancel("detach", "enough");
    await untilRun(client, "detach", "cancelled");
  });

  test("does not happen when a page with a chat of its own goes: the chat streams on", async () => {
    const chat = new Chat({ id: "elsewhere", transport: transport("chat") });
    const view = page({ chat });
    void view.chat.sendMessage({ text: "well 100" });
    await view.begun();
    view.unmount();
    const again = page({ chat });
    await again.ready();
    expect(textOf(again.chat.messages.at(-1))).toBe(answer("well", 100));
  });

  test("happens when a page goes that has left the chat to useChat, as the SDK stops it", async () => {
    const client = connected(gateway.url);
    const view = page({ id: "gone", transport: new GraphwireChatTransport(client, "chat") });
    void view.chat.sendMessage({ text: "long 4000" });
    await view.begun();
    view.unmount();
    await untilRun(client, "gone", "cancelled");
  });
});

describe("asking again", () => {
  test("regenerates from the checkpoint before the question, and the thread forgets the first answer", async () => {
    const client = connected(gateway.url);
    const view = page({ id: "again", transport: new GraphwireChatTransport(client, "chat") });
    await view.chat.sendMessage({ text: "one 1" });
    await view.chat.sendMessage({ text: "two 2" });
    const first = view.chat.messages.map(({ id }) => id);
    await view.chat.regenerate();
    await view.chat.regenerate();
    await view.ready();
    expect(view.chat.messages.map(textOf)).toEqual(["one 1", answer("one", 1), "two 2", answer("two", 2, 2)]);
    expect(view.chat.messages.map(({ id }) => id).slice(0, 3)).toEqual(first.slice(0, 3));
    expect(await heard(client, "chat", "again")).toEqual(view.chat.messages.map(textOf));
    await view.chat.regenerate({ messageId: first[1] });
    await view.ready();
    expect(await heard(client, "chat", "again")).toEqual(["one 1", answer("one", 1)]);
  });

  test("an edited message takes the place of the old one and of all that followed", async () => {
    const client = connected(gateway.url);
    const view = page({ id: "edit", transport: new GraphwireChatTransport(client, "chat") });
    await view.chat.sendMessage({ text: "one 1" });
    await view.chat.sendMessage({ text: "two 2" });
    await view.chat.sendMessage({ text: "uno 3", messageId: view.chat.messages[0]?.id });
    await view.ready();
    expect(view.chat.messages.map(textOf)).toEqual(["uno 3", answer("uno", 3)]);
    expect(await heard(client, "chat", "edit")).toEqual(["uno 3", answer("uno", 3)]);
  });

  test("keeps to the branch of the thread that it is on", async () => {
    const client = connected(gateway.url);
    const view = page({ id: "branch", transport: new GraphwireChatTransport(client, "chat") });
    await view.chat.sendMessage({ text: "one 1" });
    const { checkpoint: before } = await client.state("chat", "branch");
    await view.chat.sendMessage({ text: "two 2" });
    const { checkpoint: after } = await client.state("chat", "branch");
    const others = [{ checkpoint: before }, { checkpoint: after }];
    for (const options of others) {
      const input = { messages: [{ type: "human", content: "other 1" }] };
      await (await client.run("chat", input, { thread: "branch", ...options })).result();
    }
    await view.chat.regenerate();
    await view.ready();
    expect(await heard(client, "chat", "branch")).toEqual(view.chat.messages.map(textOf));
    expect(view.chat.messages.map(textOf)).toEqual(["one 1", answer("one", 1), "two 2", answer("two", 2, 2)]);
  });

  test("is refused by name where the thread does not know the message", async () => {
    const toInput = () => ({ messages: [{ type: "human", content: "without 1" }] });
    const view = page({ id: "unknown", transport: transport("chat", { toInput }) });
    await view.chat.sendMessage({ text: "x" });
    await view.ready();
    expect(textOf(view.chat.messages.at(-1))).toBe(answer("without", 1));
    await view.chat.regenerate();
    await waitFor(() => expect(view.chat.error?.message).toMatch(/toInput must keep the ids/));
  });
});

test("what cannot be sent is refused by name", async () => {
  const view = page({ id: "refused", transport: transport("chat") });
  await view.chat.sendMessage({ text: "x" }, { headers: { "X-Tenant": "a" } });
  await waitFor(() => expect(view.chat.error?.message).toMatch(/headers \(x-tenant\) cannot be sent/i));
  await view.chat.sendMessage({ parts: [{ type: "data-form", data: 1 }] });
  await waitFor(() => expect(view.chat.error?.message).toMatch(/a part data-form needs the option toInput/));
  const nowhere = page({ id: "nowhere", transport: transport("chatt") });
  await nowhere.chat.sendMessage({ text: "x" });
  await waitFor(() => expect(nowhere.chat.error).toMatchObject({ name: "Refused", code: "not_found" }));
});

const CUTS = Array.from({ length: 200 }, (_, connection) => 5000 + 500 * (connection % 5));

describe("one connection", () => {
  test("carries ten chats at once", async () => {
    const sockets: unknown[] = [];
    class Counted extends ((webSocket ?? WebSocket) as typeof WebSocket) {
      constructor(url: string, protocols: string[]) {
        super(url, protocols);
        sockets.push(this);
      }
    }
    const client = connected(gateway.url, { webSocket: Counted });
    const shared = new GraphwireChatTransport(client, "chat");
    const chats = Array.from(
      { length: 10 },
      (_, index) => new Chat({ id: `ten-${index}`, transport: shared }),
    );
    const views = chats.map((chat) => page({ chat }));
    const sent = chats.map((chat, index) => chat.sendMessage({ text: `held${index}x 300` }));
    const areLive = () => expect(chats.every(({ status }) => status === "streaming")).toBe(true);
    await waitFor(areLive);
    for (const { id } of chats) await release(client, id);
    await Promise.all(sent);
    for (const [index, view] of views.entries()) {
      await view.ready();
      expect(view.chat.messages.map(textOf)).toEqual([`held${index}x 300`, answer(`held${index}x`, 300)]);
    }
    expect(sockets).toHaveLength(1);
  }, 30_000);

  test("that is cut again and again goes unnoticed", async () => {
    const proxy = await CuttingProxy.start(gateway.port, CUTS);
    const client = connected(proxy.url, { backoff: { firstMs: 1, longestMs: 2 }, onState: () => {} });
    const statuses: string[] = [];
    const view = page({ id: "cut", transport: new GraphwireChatTransport(client, "chat", { window: 8 }) });
    const sending = view.chat.sendMessage({ text: "word 400" });
    const noting = setInterval(() => statuses.push(view.chat.status), 1);
    await sending;
    clearInterval(noting);
    await view.ready();
    expect(textOf(view.chat.messages.at(-1))).toBe(answer("word", 400));
    expect((await proxy.counts()).cuts).toBeGreaterThan(5);
    expect(statuses).not.toContain("error");
    client.close();
    await proxy.stop();
  }, 30_000);
});
