/** A page with LangChain's `useStream` before a gateway that serves the graphs of `graphs.py`. */

import { useStream } from "@langchain/react";
import { useMemo } from "react";
import { type Client, type ConnectOptions, connect } from "../../src/index.js";
import { graphwireStream } from "../../src/langchain/index.js";
import { Gateway, webSocket } from "../gateway.js";

/** The state of the graphs. */
export interface State {
  messages: { type: string; content: unknown; id?: string }[];
  words?: number;
  pause_s?: number;
  fails?: boolean;
  answer?: unknown;
  left?: unknown;
  right?: unknown;
}

export const GRAPHS = ["chat", "tools", "ask", "asks", "nested"];

export function start(): Promise<Gateway> {
  return Gateway.start("--port", "0", ...GRAPHS.map((name) => `${name}=./langchain/graphs.py:${name}`));
}

export function connected(url: string, options: ConnectOptions = {}): Client {
  return connect(url, { webSocket, onState: () => {}, ...options });
}

export type Stream = ReturnType<typeof useStream<State>>;

/** Shows nothing; hands out what the hook returns. */
export function Chat({
  client,
  graph = "chat",
  thread = null,
  show,
}: {
  client: Client;
  graph?: string;
  thread?: string | null;
  show: (stream: Stream) => void;
}) {
  const graphwire = useMemo(() => graphwireStream(client, graph), [client, graph]);
  show(useStream<State>({ ...graphwire, threadId: thread }));
  return null;
}

/** An input that says `said` and is answered with `words` words. */
export function say(said: string, options: Partial<State> = {}) {
  return { messages: [{ type: "human", content: said }], ...options };
}

/** What a graph answers to `said`. */
export function reply(said: string, words = 5): string {
  return Array.from({ length: words }, (_, number) => `${said}-${number} `).join("");
}

/** The messages of a stream as lines, type and text. */
export function lines(stream: Stream | undefined): string[] {
  return (stream?.messages ?? []).map((message) => `${message.getType()}: ${message.text}`);
}
