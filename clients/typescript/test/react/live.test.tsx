// @vitest-environment happy-dom
/** The hooks before a real gateway: runs that are cut off, asked, left and found again. */

import { cleanup, render } from "@testing-library/react";
import { StrictMode } from "react";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { WebSocket } from "ws";
import { type Client, type ConnectOptions, connect, type Event } from "../../src/index.js";
import {
  type RunView,
  type ThreadView,
  useConnection,
  useEvents,
  useInterrupts,
  useMessages,
  useRun,
  useThread,
  useValues,
  useWatch,
} from "../../src/react/index.js";
import { CuttingProxy, Gateway } from "../gateway.js";

let gateway: Gateway;
const clients: Client[] = [];
// Here a page is rendered whenever it wants to be.
const scope = globalThis as { IS_REACT_ACT_ENVIRONMENT?: boolean };

beforeAll(async () => {
  gateway = await Gateway.start("chat=graphwire_gateway.demo.graphs:chat", "--port", "0");
  scope.IS_REACT_ACT_ENVIRONMENT = false;
}, 60_000);

afterEach(cleanup);

afterAll(async () => {
  for (const client of clients) client.close();
  await gateway.stop();
});

function connected(url = gateway.url, options: ConnectOptions = {}): Client {
  const client = connect(url, { webSocket: WebSocket, onState: () => {}, ...options });
  clients.push(client);
  return client;
}

test("a run over a line that is cut again and again shows each event once", async () => {
  const COUNT = 400;
  const proxy = await CuttingProxy.start(gateway.port, (connection) => 2000 + (connection % 7) * 500);
  const client = connected(proxy.url, { backoff: { firstMs: 1, longestMs: 2 }, window: 16 });
  const events: Event[] = [];
  const start = {
    run: "cut",
    graph: "conformance.counter",
    input: { count: COUNT },
    modes: ["custom" as const],
  };
  function Page() {
    const run = useRun(client, start);
    useEvents(run, (event) => events.push(event));
    return <p>{`${run.status} ${run.isCaughtUp}`}</p>;
  }
  const { container } = render(
    <StrictMode>
      <Page />
    </StrictMode>,
  );
  await expect.poll(() => container.textContent, { timeout: 20_000 }).toBe("completed true");
  expect(proxy.cuts).toBeGreaterThan(5);
  expect(events.map(({ seq }) => seq)).toEqual(Array.from({ length: COUNT + 2 }, (_, index) => index + 1));
  proxy.stop();
}, 30_000);

test("two pages see one question, one answers it, and both go on", async () => {
  const start = {
    run: "asked",
    graph: "conformance.ask",
    input: { topic: "cats" },
    thread: "asked",
    modes: ["values" as const],
  };
  let view: RunView | undefined;
  const [mine, other] = [connected(), connected()];
  function Page({ client, isMine }: { client: Client; isMine: boolean }) {
    const run = useRun(client, start);
    if (isMine) view = run;
    const questions = useInterrupts(run).map(({ value }) => JSON.stringify(value));
    const answer = useValues(run, (values) => (values as { answer?: string }).answer);
    return <p>{`${run.status} ${questions} ${answer}`}</p>;
  }
  const page = () => [...document.querySelectorAll("p")].map(({ textContent }) => textContent);
  render(<Page client={mine} isMine />);
  render(<Page client={other} isMine={false} />);
  await expect.poll(page).toEqual(Array(2).fill('interrupted {"about":"cats"} undefined'));
  await view?.answer("yes");
  await expect.poll(page).toEqual(Array(2).fill("completed  yes"));
});

test("tokens of two models are added up, and a page that comes later sees the same", async () => {
  const client = connected();
  const start = {
    run: "talk",
    graph: "conformance.talk",
    input: { words: 20 },
    modes: ["messages" as const],
  };
  const words = (side: string) => Array.from({ length: 20 }, (_, index) => `${side}${index} `).join("");
  function Page({ what }: { what: typeof start | string }) {
    const run = useRun(client, what as string, { modes: ["messages"] });
    const said = useMessages(run).map(
      ({ node, metadata, text }) => `${node ?? metadata.langgraph_node}: ${text}`,
    );
    return <p>{`${run.status} ${said.sort().join("|")}`}</p>;
  }
  const whole = `completed left: ${words("l")}|right: ${words("r")}`;
  const first = render(<Page what={start} />);
  await expect.poll(() => first.container.textContent).toBe(whole);
  first.unmount();
  const second = render(<Page what="talk" />);
  await expect.poll(() => second.container.textContent).toBe(whole);
});

test("a board shows ten runs live, and the connection that comes back", async () => {
  const client = connected();
  function Page() {
    const { rows, isSynced } = useWatch(client, { graphs: ["conformance.slow"], metadata: { board: 1 } });
    const count = (status: string) => rows.filter((row) => row.status === status).length;
    return <p>{`${useConnection(client).state} ${isSynced} ${count("running")} of ${rows.length}`}</p>;
  }
  const { container } = render(<Page />);
  const runs = await Promise.all(
    Array.from({ length: 10 }, () => client.run("conformance.slow", {}, { metadata: { board: 1 } })),
  );
  await expect.poll(() => container.textContent).toBe("connected true 10 of 10");
  await Promise.all(runs.slice(0, 4).map((run) => run.cancel()));
  await expect.poll(() => container.textContent).toBe("connected true 6 of 10");
});

test("a thread at rest is caught up again after a reconnect, though nothing happens in it", async () => {
  const proxy = await CuttingProxy.start(gateway.port, (connection) => (connection ? 1e9 : 3000));
  const client = connected(proxy.url, { backoff: { firstMs: 1, longestMs: 2 } });
  const seen: string[] = [];
  function Page() {
    const { isCaughtUp, isLoading } = useThread(client, "chat", "rest");
    seen.push(`${isCaughtUp} ${isLoading}`);
    return <p>{seen.at(-1)}</p>;
  }
  const { container } = render(<Page />);
  await expect.poll(() => container.textContent).toBe("true false");
  while (!proxy.cuts) await client.runs().next(); // until the proxy has seen enough
  await expect.poll(() => seen).toContain("false false");
  await expect.poll(() => container.textContent).toBe("true false");
  proxy.stop();
});

test("a thread is shown across runs, questions and pages, whoever starts them", async () => {
  const views: ThreadView[] = [];
  function Page({ client, at }: { client: Client; at: number }) {
    const thread = useThread(client, "chat", "ann");
    views[at] = thread;
    const kinds = useMessages(thread).map(({ type }) => type.replace("MessageChunk", "").toLowerCase());
    return <p>{`${thread.isLoading} ${thread.status} ${thread.interrupts.length} ${kinds}`}</p>;
  }
  const page = () => [...document.querySelectorAll("p")].map(({ textContent }) => textContent);
  const both = (text: string) => expect.poll(page, { timeout: 10_000 }).toEqual([text, text]);
  render(
    <StrictMode>
      <Page client={connected()} at={0} />
    </StrictMode>,
  );
  render(<Page client={connected()} at={1} />);
  await both("false undefined 0 ");
  const ask = (content: string) => ({ messages: [{ type: "human", content }] });
  await views[0]?.start(ask("A joke about tea"));
  await both("false completed 0 human,ai");
  await views[1]?.start(ask("Write a mail about tea"));
  await both("false interrupted 1 human,ai,human,ai");
  await views[0]?.answer(true);
  await both("false completed 0 human,ai,human,ai,tool,ai");
  cleanup();
  const { container } = render(<Page client={connected()} at={2} />);
  await expect.poll(() => container.textContent).toBe("false undefined 0 human,ai,human,ai,tool,ai");
}, 30_000);

test("a run that is over within a frame is the thread's latest one all the same", async () => {
  const client = connected();
  const heard: string[] = [];
  let thread: ThreadView | undefined;
  function Page() {
    thread = useThread(client, "conformance.echo", "quick");
    useEvents(thread, (event) => heard.push(event.mode === "thread" ? event.because : event.mode));
    return <p>{`${thread.isCaughtUp} ${thread.status} ${thread.run?.id}`}</p>;
  }
  const { container } = render(<Page />);
  await expect.poll(() => container.textContent).toBe("true undefined undefined");
  const frames: FrameRequestCallback[] = [];
  const hold = vi.spyOn(globalThis, "requestAnimationFrame").mockImplementation((show) => frames.push(show));
  const run = await thread?.start({ value: "hi" });
  await expect.poll(() => heard).toContain("end");
  hold.mockRestore();
  for (const show of frames) show(0);
  await expect.poll(() => container.textContent).toBe(`true completed ${run?.id}`);
});

test("a server that is killed in mid-answer and started again leaves a thread that can be written to", async () => {
  const serve = ["chat=./chat.py:chat", "--port"];
  const first = await Gateway.start(...serve, "0");
  const client = connected(first.url, { backoff: { firstMs: 1, longestMs: 5 } });
  let thread: ThreadView | undefined;
  function Page() {
    thread = useThread(client, "chat", "t");
    const texts = useMessages(thread).map(({ text }) => text);
    return <p>{`${thread.status} ${thread.isCaughtUp} ${texts}`}</p>;
  }
  const { container } = render(<Page />);
  const shows = (text: string) => expect.poll(() => container.textContent, { timeout: 20_000 }).toBe(text);
  const ask = (content: string) => ({ messages: [{ type: "human", content }] });
  await shows("undefined true ");
  await thread?.start(ask("hold"));
  await expect.poll(() => container.textContent).toContain("I hold");
  await first.stop();
  const next = await Gateway.start(...serve, String(first.port));
  try {
    await shows("undefined true "); // its server kept it in memory
    await thread?.start(ask("plain"));
    await expect.poll(() => container.textContent, { timeout: 10_000 }).toMatch(/^completed true plain,/);
  } finally {
    await next.stop();
  }
}, 120_000); // two servers start
