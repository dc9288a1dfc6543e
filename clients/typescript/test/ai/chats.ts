/** Chats as pages have them: the hooks of the AI SDK, on clients that a test closes. */

import { useChat } from "@ai-sdk/react";
import { cleanup, configure, renderHook, waitFor } from "@testing-library/react";
import type { ChatTransport, UIMessage } from "ai";
import { expect } from "vitest";
import { type Client, type ConnectOptions, connect } from "../../src/index.js";
import { Gateway, webSocket } from "../gateway.js";

const GRAPHS = ["chat", "broken", "asking", "stumbling", "agent", "careful", "release"];
const clients: Client[] = [];

configure({ asyncUtilTimeout: 20_000 }); // as long as `expect.poll` waits

/** Start a gateway that serves the graphs of `graphs.py`. */
export function served(): Promise<Gateway> {
  return Gateway.start("--port", "0", ...GRAPHS.map((name) => `${name}=./ai/graphs.py:${name}`));
}

/** Return a client that is closed after the test. */
export function connected(url: string, options: ConnectOptions = {}): Client {
  const client = connect(url, { webSocket, ...options });
  clients.push(client);
  return client;
}

/** Take all pages down, then close all clients. */
export function closeAll(): void {
  cleanup();
  for (const client of clients.splice(0)) client.close();
}

/** The options of `useChat` that the tests give. */
export type Options = Exclude<Parameters<typeof useChat<UIMessage>>[0], undefined>;

/** Show a chat. `seen` are the texts of its last message, as they were rendered. */
export function page(options: Options & { transport?: ChatTransport<UIMessage> }, isStrict = false) {
  const seen: string[] = [];
  const hook = renderHook(
    () => {
      const chat = useChat<UIMessage>(options);
      seen.push(textOf(chat.messages.at(-1)));
      return chat;
    },
    { reactStrictMode: isStrict },
  );
  return {
    seen,
    get chat() {
      return hook.result.current;
    },
    unmount: hook.unmount,
    /** Wait until the last message of the assistant has begun to be shown. */
    begun: () => waitFor(() => expect(lastText(hook.result.current.messages)).not.toBe("")),
    /** Wait until nothing is streamed any more. */
    ready: () => waitFor(() => expect(hook.result.current.status).toBe("ready")),
  };
}

const lastText = (messages: readonly UIMessage[]) =>
  messages.at(-1)?.role === "assistant" ? textOf(messages.at(-1)) : "";

/** Return the text of a message. */
export function textOf(message: UIMessage | undefined): string {
  return (message?.parts ?? []).map((part) => (part.type === "text" ? part.text : "")).join("");
}

/** Return what the model of the graphs answers to `word count` as question number `turn`. */
export function answer(word: string, count: number, turn = 1): string {
  const words = Array.from({ length: count }, (_, index) => `${word}${index} `);
  return `Question ${turn}: ${words.join("")}`;
}

/** Let a thread's answer to `held ...` go on, which has stopped in its middle. */
export async function release(client: Client, thread: string): Promise<void> {
  const run = await client.run("release", { messages: [{ type: "human", content: thread }] });
  await run.result();
}

/** Wait until the newest run of a thread has one of these statuses. */
export async function untilRun(client: Client, thread: string, ...statuses: string[]): Promise<void> {
  for await (const row of client.watch({ thread })) if (statuses.includes(row.status)) return;
}

/** Return the texts of a thread's messages, as the graph has them. */
export async function heard(client: Client, graph: string, thread: string): Promise<string[]> {
  const { values } = await client.state<{ messages: { content: string }[] }>(graph, thread);
  return values.messages.map(({ content }) => content);
}
