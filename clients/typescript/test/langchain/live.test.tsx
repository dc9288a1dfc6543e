// @vitest-environment happy-dom
/** LangChain's own hooks before a real gateway: tokens, values, tools, questions, errors, stop, follow. */

import { useExtension, useMessages, useToolCalls } from "@langchain/react";
import { cleanup, render } from "@testing-library/react";
import { StrictMode } from "react";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { Client } from "../../src/index.js";
import type { Gateway } from "../gateway.js";
import { Chat, connected, lines, reply, type Stream, say, start } from "./page.js";

let gateway: Gateway;
let client: Client;
const scope = globalThis as { IS_REACT_ACT_ENVIRONMENT?: boolean };

beforeAll(async () => {
  gateway = await start();
  client = connected(gateway.url);
  scope.IS_REACT_ACT_ENVIRONMENT = false;
}, 60_000);

afterEach(cleanup);

afterAll(async () => {
  client.close();
  await gateway.stop();
});

/** Render a chat; `now()` is what the hook returned last. */
function chat(graph: string, thread: string | null = crypto.randomUUID(), of = client) {
  const seen: Stream[] = [];
  const page = render(
    <StrictMode>
      <Chat client={of} graph={graph} thread={thread} show={(stream) => seen.push(stream)} />
    </StrictMode>,
  );
  const now = () => seen.at(-1) as Stream;
  return { seen, now, ...page };
}

test("tokens stream into messages, and values hold the whole conversation", async () => {
  const { seen, now } = chat("chat");
  const submitted = now().submit(say("hi", { words: 20, pause_s: 0.02 }));
  await expect.poll(() => now().isLoading).toBe(true);
  await submitted;
  await expect.poll(() => lines(now())).toEqual(["human: hi", `ai: ${reply("hi", 20)}`]);
  await expect.poll(() => now().isLoading).toBe(false);
  expect(now().values.messages).toHaveLength(2);
  expect(now().values.words).toBe(20);
  // They came one by one, and never went back.
  const texts = [...new Set(seen.map((stream) => lines(stream)[1] ?? ""))];
  expect(texts.length).toBeGreaterThan(4);
  for (const [index, text] of texts.entries()) expect(text.startsWith(texts[index - 1] ?? "")).toBe(true);
  await now().submit(say("more"));
  await expect.poll(() => lines(now()).slice(2)).toEqual(["human: more", `ai: ${reply("more", 20)}`]);
});

test("a thread that begins with its first message gets an id, and the messages", async () => {
  const { now } = chat("chat", null);
  await now().submit(say("new"));
  await expect.poll(() => lines(now())).toEqual(["human: new", `ai: ${reply("new")}`]);
  const { threadId } = now();
  expect((await client.state("chat", String(threadId))).values).toMatchObject({ messages: [{}, {}] });
});

test("a tool call runs and finishes, and a model speaks behind it", async () => {
  const { seen, now } = chat("tools");
  await now().submit(say("add"));
  await expect.poll(() => now().toolCalls).toHaveLength(1);
  expect(now().toolCalls[0]).toMatchObject({ name: "add", input: { a: 1, b: 2 }, status: "finished" });
  expect(String(now().toolCalls[0]?.output)).toBe("3");
  expect(seen.some(({ toolCalls }) => (toolCalls[0]?.status as string) === "running")).toBe(true);
  await expect.poll(() => lines(now())).toEqual(["human: add", "ai: ", "tool: 3", `ai: ${reply("3")}`]);
  expect(now().messages[1]).toMatchObject({
    tool_calls: [{ name: "add", id: "call-1", args: { a: 1, b: 2 } }],
  });
});

test("a question is answered through the hook, and the run goes on", async () => {
  const { now } = chat("ask");
  await now().submit(say("go"));
  await expect.poll(() => now().interrupt?.value).toEqual({ about: "answer" });
  await expect.poll(() => now().isLoading).toBe(false);
  await now().respond("yes");
  await expect.poll(() => lines(now())).toEqual(["human: go", `ai: ${reply("go")}`]);
  await expect.poll(() => now().values.answer).toBe("yes");
  await expect.poll(() => now().interrupts).toEqual([]);
});

test("two questions are answered one after the other, or both at once", async () => {
  for (const isAtOnce of [false, true]) {
    const { now } = chat("asks");
    await now().submit(say("go"));
    await expect.poll(() => now().interrupts).toHaveLength(2);
    const answers = Object.fromEntries(
      now().interrupts.map(({ id, value }) => [String(id), (value as { about: string }).about.toUpperCase()]),
    );
    if (isAtOnce) await now().respondAll(answers);
    else
      for (const [interruptId, answer] of Object.entries(answers))
        await now().respond(answer, { interruptId });
    await expect.poll(() => now().values).toMatchObject({ left: "LEFT", right: "RIGHT" });
    await expect.poll(() => now().interrupts).toEqual([]);
    await expect.poll(() => now().isLoading).toBe(false);
  }
});

test("a page that is loaded again shows the question, and answers it", async () => {
  const thread = crypto.randomUUID();
  const first = chat("ask", thread);
  await first.now().submit(say("go"));
  await expect.poll(() => first.now().interrupts).toHaveLength(1);
  first.unmount();
  const { now } = chat("ask", thread, connected(gateway.url));
  await expect.poll(() => now().interrupt?.value).toEqual({ about: "answer" });
  await now().respond("later");
  await expect.poll(() => lines(now())).toEqual(["human: go", `ai: ${reply("go")}`]);
  await expect.poll(() => now().values.answer).toBe("later");
});

test("an answer with an update resumes the thread by a run of its own", async () => {
  const { now } = chat("ask");
  await now().submit(say("go"));
  await expect.poll(() => now().interrupts).toHaveLength(1);
  await now().respond("yes", { update: { words: 2 } });
  await expect.poll(() => now().values).toMatchObject({ answer: "yes", words: 2 });
  await expect.poll(() => lines(now())).toEqual(["human: go", `ai: ${reply("go", 2)}`]);
});

test("the error of a graph is the error of the stream, behind what it said", async () => {
  const { now } = chat("chat");
  await now().submit(say("hi", { fails: true }));
  await expect.poll(() => String(now().error)).toContain("no more words");
  expect(now().isLoading).toBe(false);
  expect(lines(now())).toEqual(["human: hi", `ai: ${reply("hi")}`]);
});

test("stop() cancels the run on the server", async () => {
  const thread = crypto.randomUUID();
  const { now } = chat("chat", thread);
  void now().submit(say("hi", { words: 10_000, pause_s: 0.01 }));
  await expect.poll(() => lines(now())[1] ?? "").toContain("hi-3");
  await now().stop();
  expect(now().error).toBeUndefined();
  await expect
    .poll(async () => {
      for await (const { status } of client.runs({ thread })) return status;
    })
    .toBe("cancelled");
  await expect.poll(() => now().isLoading).toBe(false);
});

test("a page that is loaded again in the middle shows all words once", async () => {
  const thread = crypto.randomUUID();
  const first = chat("chat", thread);
  await first.now().submit(say("one"));
  await expect.poll(() => first.now().isLoading).toBe(false);
  void first.now().submit(say("two", { words: 80, pause_s: 0.01 }));
  await expect.poll(() => lines(first.now())[3] ?? "").toContain("two-29 ");
  first.unmount();
  const { seen, now } = chat("chat", thread, connected(gateway.url, { window: 8 }));
  await expect.poll(() => now().isLoading).toBe(true);
  await expect.poll(() => lines(now())[3] ?? "").toContain("two-39 ");
  const whole = ["human: one", `ai: ${reply("one")}`, "human: two", `ai: ${reply("two", 80)}`];
  await expect.poll(() => lines(now()), { timeout: 5000 }).toEqual(whole);
  await expect.poll(() => now().isLoading).toBe(false);
  // Nothing that was shown went away again, and nothing came twice.
  const shown = seen.map((stream) => lines(stream).join("\n")).filter(Boolean);
  for (const [index, text] of shown.entries()) expect(text.startsWith(shown[index - 1] ?? "")).toBe(true);
});

test("a run that somebody else starts on the thread is followed", async () => {
  const thread = crypto.randomUUID();
  const { now } = chat("chat", thread);
  await expect.poll(() => now().isThreadLoading).toBe(false);
  const other = chat("chat", thread, connected(gateway.url));
  await other.now().submit(say("there"));
  const whole = ["human: there", `ai: ${reply("there")}`];
  await expect.poll(() => lines(now())).toEqual(whole);
  await now().submit(say("here"));
  await expect.poll(() => lines(other.now())).toEqual([...whole, "human: here", `ai: ${reply("here")}`]);
  await expect.poll(() => other.now().isLoading).toBe(false);
});

test("a thread is changed for another, and back", async () => {
  const [one, two] = [crypto.randomUUID(), crypto.randomUUID()];
  let stream: Stream | undefined;
  const page = (thread: string) => (
    <Chat client={client} thread={thread} show={(latest) => (stream = latest)} />
  );
  const { rerender } = render(page(one));
  await stream?.submit(say("one"));
  rerender(page(two));
  await expect.poll(() => [stream?.threadId, lines(stream)]).toEqual([two, []]);
  await stream?.submit(say("two"));
  await expect.poll(() => lines(stream)).toEqual(["human: two", `ai: ${reply("two")}`]);
  rerender(page(one));
  await expect.poll(() => lines(stream)).toEqual(["human: one", `ai: ${reply("one")}`]);
});

test("a subgraph is found, and its messages are apart from those of the root", async () => {
  let scoped: string[] = [];
  let stream: Stream | undefined;
  function Sub({ of, path }: { of: Stream; path: readonly string[] }) {
    scoped = useMessages(of, { namespace: [...path] }).map(({ text }) => text);
    return null;
  }
  function Page({ of }: { of: Stream }) {
    const [subgraph] = of.subgraphs.values();
    return subgraph ? <Sub of={of} path={subgraph.namespace} /> : null;
  }
  const { rerender } = render(
    <Chat client={client} graph="nested" thread={crypto.randomUUID()} show={(s) => (stream = s)} />,
  );
  const pages = render(<p />);
  void stream?.submit(say("go", { words: 30, pause_s: 0.005 }));
  await expect.poll(() => stream?.subgraphs.size).toBe(1);
  pages.rerender(<Page of={stream as Stream} />);
  await expect.poll(() => scoped).toContain(reply("go", 30));
  await expect.poll(() => [...(stream?.subgraphsByNode.keys() ?? [])]).toEqual(["research"]);
  await expect.poll(() => stream?.isLoading).toBe(false);
  expect([...(stream?.subgraphs.values() ?? [])].map(({ status }) => status)).toEqual(["complete"]);
  expect(lines(stream).length).toBe(3);
  rerender(<p />);
});

test("what a node writes under a name is the hook's extension of that name", async () => {
  let progress: unknown;
  let tools: readonly unknown[] = [];
  let stream: Stream | undefined;
  function Page({ of }: { of: Stream }) {
    progress = useExtension(of, "progress");
    tools = useToolCalls(of);
    return null;
  }
  render(<Chat client={client} thread={crypto.randomUUID()} show={(latest) => (stream = latest)} />);
  const page = render(<p />);
  page.rerender(<Page of={stream as Stream} />);
  await stream?.submit(say("go"));
  await expect.poll(() => progress).toEqual({ begun: true });
  expect(tools).toEqual([]);
});

test("what graphwire cannot give is refused by name", async () => {
  const { now } = chat("chat");
  await now().submit(say("hi"), { multitaskStrategy: "rollback" });
  await expect.poll(() => String(now().error)).toContain("not_supported: multitaskStrategy 'rollback'");
  const thread = now().getThread();
  await expect(thread?.agent.getTree()).rejects.toThrow("not_supported: agent.getTree; subgraphs are in");
  await expect(thread?.subscribe(["tasks"])).rejects.toThrow("not_supported: the channel tasks");
});
