// @vitest-environment happy-dom
/** Chats that are shown again, after a reload or elsewhere, and questions of a graph in a chat. */

import { waitFor } from "@testing-library/react";
import {
  lastAssistantMessageIsCompleteWithApprovalResponses,
  lastAssistantMessageIsCompleteWithToolCalls,
  type UIMessage,
} from "ai";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { GraphwireChatTransport } from "../../src/ai.js";
import type { Client } from "../../src/index.js";
import type { Gateway } from "../gateway.js";
import {
  answer,
  closeAll,
  connected,
  heard,
  type Options,
  page,
  release,
  served,
  textOf,
  untilRun,
} from "./chats.js";

let gateway: Gateway;

beforeAll(async () => {
  gateway = await served();
}, 60_000);
afterEach(closeAll);
afterAll(() => gateway.stop());

/** Begin a long answer on a page that is then lost with its connection, as by a reload. */
async function lost(id: string, text: string): Promise<UIMessage[]> {
  const client = connected(gateway.url);
  const view = page({ id, transport: new GraphwireChatTransport(client, "chat") });
  await view.chat.sendMessage({ text: "first 1" });
  void view.chat.sendMessage({ text });
  await waitFor(() => expect(textOf(view.chat.messages[3])).not.toBe(""), { interval: 1 });
  const { messages } = view.chat;
  client.close();
  return structuredClone(messages);
}

/** Show a chat on a page that has just been loaded. */
async function reloaded(
  graph: string,
  id: string,
  messages?: UIMessage[],
  options: Options = {},
  isStrict = false,
) {
  const client = connected(gateway.url);
  const transport = new GraphwireChatTransport(client, graph);
  const loaded = messages ?? (await transport.loadMessages(id));
  return {
    client,
    loaded,
    ...pageOf({ ...options, id, transport, messages: loaded, resume: true }, isStrict),
  };
}

function pageOf(options: Options, isStrict: boolean) {
  const view = page(options, isStrict);
  return { view };
}

const texts = (word: string, count: number) => [
  "first 1",
  answer("first", 1),
  `${word} ${count}`,
  answer(word, count, 2),
];

describe("a chat that is shown again in mid-sentence", () => {
  test("goes on from its thread: every word once, and no message twice", async () => {
    await lost("reload", "held 300");
    const { view, loaded, client } = await reloaded("chat", "reload");
    expect(loaded.map(textOf)).toEqual(["first 1", answer("first", 1), "held 300"]);
    await waitFor(() => expect(view.chat.status).toBe("streaming"));
    expect(textOf(view.chat.messages[3]).length).toBeLessThan(answer("held", 300, 2).length);
    await release(client, "reload");
    await view.ready();
    expect(view.chat.messages.map(textOf)).toEqual(texts("held", 300));
    expect(new Set(view.chat.messages.map(({ id }) => id)).size).toBe(4);
    expect(await heard(client, "chat", "reload")).toEqual(texts("held", 300));
  });

  test("goes on from messages that the application kept, half a sentence among them", async () => {
    const kept = await lost("kept", "held 300");
    expect(kept).toHaveLength(4);
    const { view, client } = await reloaded("chat", "kept", kept);
    await waitFor(() => expect(view.chat.status).toBe("streaming"));
    await release(client, "kept");
    await view.ready();
    expect(view.chat.messages.map(textOf)).toEqual(texts("held", 300));
    expect(view.chat.messages.map(({ id }) => id)).toEqual(kept.map(({ id }) => id));
  });

  test("goes on in StrictMode, whose second mount cancels nothing", async () => {
    await lost("strict", "held 300");
    const { view, client } = await reloaded("chat", "strict", undefined, {}, true);
    await waitFor(() => expect(view.chat.status).toBe("streaming"));
    await release(client, "strict");
    await view.ready();
    expect(view.chat.messages.map(textOf)).toEqual(texts("held", 300));
    for await (const { status } of client.runs({ thread: "strict" })) expect(status).toBe("completed");
  });

  test("leaves out of the thread what the run has written there, and shows it once", async () => {
    const client = connected(gateway.url);
    const before = page({ id: "steps", transport: new GraphwireChatTransport(client, "agent") });
    void before.chat.sendMessage({ text: "look held" });
    await waitFor(() => expect(textOf(before.chat.messages[1])).toContain("It says"), { interval: 1 });
    expect((await heard(client, "agent", "steps")).length).toBe(3);
    client.close();
    const { view, loaded, client: later } = await reloaded("agent", "steps");
    expect(loaded.map(textOf)).toEqual(["look held"]);
    await waitFor(() => expect(view.chat.status).toBe("streaming"));
    await release(later, "steps");
    await view.ready();
    expect(textOf(view.chat.messages[1])).toMatch(/^One moment\.It says {"found": "held"} 0 .* 299$/);
    expect(view.chat.messages).toHaveLength(2);
  });

  test("has its answer also if the run ends between loading and resuming", async () => {
    await lost("between", "held 300");
    const client = connected(gateway.url);
    const transport = new GraphwireChatTransport(client, "chat");
    const messages = await transport.loadMessages("between");
    expect(messages.map(textOf)).toEqual(["first 1", answer("first", 1), "held 300"]);
    await release(client, "between");
    for await (const { run } of client.runs({ thread: "between" })) await client.result(run);
    const view = page({ id: "between", transport, messages, resume: true });
    await waitFor(() => expect(view.chat.messages.map(textOf)).toEqual(texts("held", 300)));
  });
});

test("where nothing runs, a chat is shown as its thread is", async () => {
  const transport = new GraphwireChatTransport(connected(gateway.url), "agent");
  const before = page({ id: "quiet", transport });
  await before.chat.sendMessage({ text: "look cats" });
  await before.ready();
  expect(await transport.reconnectToStream({ chatId: "quiet" })).toBeNull();
  const { view } = await reloaded("agent", "quiet");
  await view.ready();
  const bare = (messages: UIMessage[]) =>
    messages.map(({ role, parts }) => [
      role,
      parts.filter(({ type }) => !type.startsWith("data-")).map((part) => ({ ...part, ...NO_METADATA })),
    ]);
  expect(bare(view.chat.messages)).toEqual(bare(before.chat.messages));
});

const NO_METADATA = {
  providerMetadata: 0,
  callProviderMetadata: 0,
  id: 0,
  errorText: 0,
  title: 0,
  rawInput: 0,
  preliminary: 0,
};

describe("a question", () => {
  const approving = { sendAutomaticallyWhen: lastAssistantMessageIsCompleteWithApprovalResponses };
  const answering = { sendAutomaticallyWhen: lastAssistantMessageIsCompleteWithToolCalls };
  const partOf = (messages: UIMessage[], type: string) =>
    messages.at(-1)?.parts.find((part) => part.type === type) as { [key: string]: unknown } & {
      approval: { id: string };
      toolCallId: string;
    };

  test.each([
    [true, { state: "output-available", output: "cats is gone" }, "It says cats is gone"],
    [false, { state: "output-error" }, /^It says .*not now/],
  ])("about a call of a tool is the SDK's approval (%s)", async (approved, part, said) => {
    const id = `approve-${approved}`;
    const transport = new GraphwireChatTransport(connected(gateway.url), "careful");
    const view = page({ id, transport, ...approving });
    await view.chat.sendMessage({ text: "erase cats" });
    await view.ready();
    const asked = partOf(view.chat.messages, "tool-erase");
    expect(asked).toMatchObject({ state: "approval-requested", input: { what: "cats" } });
    const { messages } = view.chat;
    await view.chat.addToolApprovalResponse({ id: asked.approval.id, approved, reason: "not now" });
    await waitFor(() => expect(partOf(view.chat.messages, "tool-erase")).toMatchObject(part));
    await view.ready();
    expect(view.chat.messages).toHaveLength(2);
    expect(view.chat.messages[1]?.id).toBe(messages[1]?.id);
    const last = view.chat.messages[1]?.parts.at(-1) as { text: string };
    expect(last.text).toMatch(said);
    expect(view.chat.error).toBeUndefined();
  });

  test("is there after a reload, and is answered there", async () => {
    const before = page({
      id: "later",
      transport: new GraphwireChatTransport(connected(gateway.url), "careful"),
    });
    await before.chat.sendMessage({ text: "erase cats" });
    await before.ready();
    closeAll();
    const { view } = await reloaded("careful", "later", undefined, approving);
    await waitFor(() => expect(partOf(view.chat.messages, "tool-erase")?.state).toBe("approval-requested"));
    await view.ready();
    const { approval } = partOf(view.chat.messages, "tool-erase");
    await view.chat.addToolApprovalResponse({ id: approval.id, approved: true });
    await waitFor(() => expect(textOf(view.chat.messages.at(-1))).toBe("One moment.It says cats is gone"));
    await view.ready();
    // A third page sees the whole run, its question answered.
    const third = await reloaded("careful", "later");
    expect(third.loaded.map(textOf)).toEqual(["erase cats", "One moment.It says cats is gone"]);
  });

  test("is shown anew where the kept message has an answer that was never sent", async () => {
    const client = connected(gateway.url);
    const before = page({ id: "unsent", transport: new GraphwireChatTransport(client, "careful") });
    await before.chat.sendMessage({ text: "erase cats" });
    await before.ready();
    const { approval } = partOf(before.chat.messages, "tool-erase");
    await before.chat.addToolApprovalResponse({ id: approval.id, approved: true });
    await waitFor(() => expect(partOf(before.chat.messages, "tool-erase").state).toBe("approval-responded"));
    const kept = structuredClone(before.chat.messages);
    closeAll();
    const { view } = await reloaded("careful", "unsent", kept);
    await waitFor(() => expect(partOf(view.chat.messages, "tool-erase").state).toBe("approval-requested"));
    await view.ready();
    expect(textOf(view.chat.messages[1])).toBe("One moment.");
  });

  test("of another sort is a call of the tool interrupt, whose output is the answer, sent once", async () => {
    const client = connected(gateway.url);
    const view = page({
      id: "colour",
      transport: new GraphwireChatTransport(client, "asking"),
      ...answering,
    });
    await view.chat.sendMessage({ text: "go" });
    await view.ready();
    const asked = partOf(view.chat.messages, "tool-interrupt");
    expect(asked).toMatchObject({ state: "input-available", input: { question: "Which colour?" } });
    await view.chat.addToolOutput({ tool: "interrupt", toolCallId: asked.toolCallId, output: "blue" });
    await waitFor(() => expect(textOf(view.chat.messages.at(-1))).toBe("You like blue."));
    await view.ready();
    expect(view.chat.error).toBeUndefined();
    expect(view.chat.messages).toHaveLength(2);
    expect(await heard(client, "asking", "colour")).toEqual(["go", "You like blue."]);
  });

  test("whose answer makes the graph say nothing is sent once, too", async () => {
    const transport = new GraphwireChatTransport(connected(gateway.url), "asking");
    const view = page({ id: "silence", transport, ...answering });
    await view.chat.sendMessage({ text: "go" });
    await view.ready();
    const { toolCallId } = partOf(view.chat.messages, "tool-interrupt");
    await view.chat.addToolOutput({ tool: "interrupt", toolCallId, output: "silence" });
    await waitFor(() => expect(view.chat.messages[1]?.parts.at(-1)).toEqual({ type: "step-start" }));
    await view.ready();
    await untilRun(transport.client as Client, "silence", "completed");
    expect(view.chat.error).toBeUndefined();
  });

  test.each([false, true])(
    "that is a breakpoint goes on without an answer (the run forgotten: %s)",
    async (isForgotten) => {
      const client = connected(gateway.url);
      const id = `breakpoint-${isForgotten}`;
      const transport = new GraphwireChatTransport(client, "chat", {
        run: { options: { interrupt_before: ["chat"] } },
      });
      const view = page({ id, transport });
      await view.chat.sendMessage({ text: "well 2" });
      await view.ready();
      expect(view.chat.messages[1]?.parts).toMatchObject([{ type: "data-breakpoint" }]);
      await untilRun(client, id, "interrupted");
      if (isForgotten) for await (const { run } of client.runs({ thread: id })) await client.delete({ run });
      await view.chat.sendMessage();
      await waitFor(() => expect(textOf(view.chat.messages[1])).toBe(answer("well", 2)));
      await view.ready();
      expect(view.chat.messages).toHaveLength(2);
    },
  );

  test("that has no answer yet is named when the chat is sent", async () => {
    const view = page({
      id: "unanswered",
      transport: new GraphwireChatTransport(connected(gateway.url), "asking"),
    });
    await view.chat.sendMessage({ text: "go" });
    await view.ready();
    const { toolCallId } = partOf(view.chat.messages, "tool-interrupt");
    await view.chat.sendMessage();
    await waitFor(() => expect(view.chat.error?.message).toContain(`no answer to ${toolCallId}`));
  });

  test("is answered after the server has forgotten the run, while the thread has it", async () => {
    const client = connected(gateway.url);
    const view = page({
      id: "forgotten",
      transport: new GraphwireChatTransport(client, "asking"),
      ...answering,
    });
    await view.chat.sendMessage({ text: "go" });
    await view.ready();
    await untilRun(client, "forgotten", "interrupted");
    for await (const { run } of client.runs({ thread: "forgotten" })) await client.delete({ run });
    const { toolCallId } = partOf(view.chat.messages, "tool-interrupt");
    await view.chat.addToolOutput({ tool: "interrupt", toolCallId, output: "red" });
    await waitFor(() => expect(textOf(view.chat.messages.at(-1))).toBe("You like red."));
    await view.ready();
    expect(view.chat.messages).toHaveLength(2);
  });
});
