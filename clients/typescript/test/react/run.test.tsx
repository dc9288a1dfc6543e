// @vitest-environment happy-dom
/** `useRun`: when it subscribes and when it leaves, before a fake server. */

import { cleanup, render } from "@testing-library/react";
import { StrictMode, useState } from "react";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Client, Run } from "../../src/index.js";
import { useEvents, useMessages, useRun } from "../../src/react/index.js";
import { LINGER_MS } from "../../src/react/store.js";
import { type FakeSocket, type Frame, life, started } from "../fake_socket.js";
import { Chat, connected, count, frame, options, piece, stopClocks, subscribed } from "./page.js";

let client: Client;
let socket: FakeSocket;
let sockets: FakeSocket[];

beforeEach(async () => {
  ({ client, socket, sockets } = await connected());
});

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
  cleanup();
  client.close();
});

test("a run is attached to when it is shown, its tokens appear, and credit returns", async () => {
  const { container } = render(<Chat client={client} />);
  expect(container.textContent).toBe("loading: ");
  await frame();
  expect(socket.last("subscribe")).toMatchObject({ run: "r", filter: { modes: options.modes } });
  subscribed(socket);
  socket.say(life(1, 1, "running"), piece(2, "one "), piece(3, "two"));
  await frame();
  expect(container.textContent).toBe("running: one two (now)");
  for (let seq = 4; seq < 204; seq += 1) socket.say(piece(seq, "."));
  await frame();
  expect(count(socket, "credit")).toBeGreaterThan(0);
  socket.say(life(204, 204, "completed"), { type: "closed", sub: 1, reason: "end", status: "completed" });
  await frame();
  expect(container.textContent).toBe(`completed: one two${".".repeat(200)} (now)`);
  expect(count(socket, "unsubscribe")).toBe(0);
});

test("a burst renders once a frame, however many tokens it has", async () => {
  const seen: string[] = [];
  render(<Chat client={client} seen={seen} />);
  await frame();
  subscribed(socket);
  await frame();
  seen.length = 0;
  for (let seq = 1; seq <= 100; seq += 1) {
    socket.say(piece(seq, "x"));
    await Promise.resolve();
  }
  await frame();
  expect(seen).toEqual([`undefined ${"x".repeat(100)}`]);
});

test("StrictMode mounts twice and subscribes once; no event is lost or doubled", async () => {
  const events: number[] = [];
  function Page() {
    const run = useRun(client, "r", options);
    useEvents(run, ({ seq }) => events.push(seq));
    return <Chat client={client} />;
  }
  render(
    <StrictMode>
      <Page />
    </StrictMode>,
  );
  await frame();
  subscribed(socket);
  for (let seq = 1; seq <= 5; seq += 1) socket.say(piece(seq, "x"));
  await frame();
  expect(events).toEqual([1, 2, 3, 4, 5]);
  expect([count(socket, "subscribe"), count(socket, "unsubscribe")]).toEqual([1, 0]);
});

test("StrictMode starts one run, and a component beside it finds that one", async () => {
  const start = { run: "mine", graph: "chat", input: { text: "hi" }, modes: options.modes };
  function Page() {
    const run = useRun(client, start);
    return <p>{run.status}</p>;
  }
  const { container } = render(
    <StrictMode>
      <Page />
      <Chat client={client} id="mine" />
    </StrictMode>,
  );
  await frame();
  expect(count(socket, "run")).toBe(1);
  expect(socket.last("run")).toMatchObject({ run: "mine", graph: "chat", input: { text: "hi" } });
  socket.say(...started(socket.last("run")));
  await frame();
  expect([count(socket, "run"), count(socket, "subscribe")]).toEqual([1, 0]);
  expect(container.textContent).toContain("running");
});

test("unmounting unsubscribes after a while, and neither cancels nor stops anything", async () => {
  stopClocks();
  const { unmount } = render(<Chat client={client} />);
  await frame();
  subscribed(socket);
  await frame();
  unmount();
  vi.advanceTimersByTime(LINGER_MS - 1);
  expect(count(socket, "unsubscribe")).toBe(0);
  vi.advanceTimersByTime(1);
  expect(socket.last("unsubscribe")).toMatchObject({ sub: 1 });
  expect(count(socket, "cancel")).toBe(0);
});

test("a page that is left and entered again at once keeps its subscription and its text", async () => {
  const { unmount } = render(<Chat client={client} />);
  await frame();
  subscribed(socket);
  socket.say(piece(1, "kept"));
  await frame();
  unmount();
  socket.say(piece(2, " and more"));
  const seen: string[] = [];
  const { container } = render(<Chat client={client} seen={seen} />);
  expect(seen[0]).toBe("undefined kept");
  await frame();
  expect(container.textContent).toContain("kept and more");
  expect([count(socket, "subscribe"), count(socket, "unsubscribe")]).toEqual([1, 0]);
});

test("a component that is left before the reply comes leaves nothing behind", async () => {
  stopClocks();
  const { unmount } = render(<Chat client={client} />);
  await frame();
  unmount();
  vi.advanceTimersByTime(LINGER_MS);
  subscribed(socket);
  await frame();
  expect(socket.last("unsubscribe")).toMatchObject({ sub: 1 });
});

test("a component that shows another run leaves the first one", async () => {
  stopClocks();
  const { container, rerender } = render(<Chat client={client} id="a" />);
  await frame();
  subscribed(socket);
  socket.say(piece(1, "of a"));
  await frame();
  rerender(<Chat client={client} id="b" />);
  expect(container.textContent).toBe("loading: ");
  await frame();
  expect(socket.last("subscribe")).toMatchObject({ run: "b", sub: 2 });
  subscribed(socket);
  socket.say(piece(2, " and more"), piece(1, "of b", { sub: 2 }));
  await frame();
  expect(container.textContent).toContain("of b");
  rerender(<Chat client={client} id={null} />);
  expect(container.textContent).toBe(": ");
  vi.advanceTimersByTime(LINGER_MS);
  expect(count(socket, "unsubscribe")).toBe(2);
});

test("a run that an event handler started is shown from its first event, without another subscription", async () => {
  function Page() {
    const [run, setRun] = useState<Run>();
    const view = useRun(client, run);
    const messages = useMessages(view);
    const begin = async () => setRun(await client.run("chat", null, { run: "r", modes: ["messages"] }));
    return (
      <button type="button" onClick={begin}>
        {messages.map(({ text }) => text)}
      </button>
    );
  }
  const { container } = render(<Page />);
  container.querySelector("button")?.click();
  await frame();
  socket.say(...started(socket.last("run")), piece(1, "first"));
  await frame();
  await frame();
  expect(container.textContent).toBe("first");
  expect(count(socket, "subscribe")).toBe(0);
});

test("two components of a run share one subscription, and others get their own", async () => {
  function Other() {
    useRun(client, "r", { modes: ["custom"] });
    return null;
  }
  render(
    <>
      <Chat client={client} />
      <Chat client={client} />
      <Other />
    </>,
  );
  await frame();
  expect(count(socket, "subscribe")).toBe(2);
});

test("the id of another graph's run is no run of this graph, and the server says so", async () => {
  function Page({ graph }: { graph: string }) {
    const { status, error } = useRun(client, { run: "mine", graph, modes: options.modes });
    return <p>{`${graph} ${status} ${error?.message}`}</p>;
  }
  const refused = ({ id }: Frame) => ({
    type: "error",
    id: id as number,
    code: "conflict",
    message: "run 'mine' exists and runs graph 'chat'",
    retry: "never",
  });
  const { container, rerender } = render(
    <>
      <Page graph="chat" />
      <Page graph="poem" />
    </>,
  );
  await frame();
  expect(socket.sent.filter(({ type }) => type === "run").map(({ graph }) => graph)).toEqual([
    "chat",
    "poem",
  ]);
  const [chat, poem] = socket.sent.filter(({ type }) => type === "run") as [Frame, Frame];
  socket.say(...started(chat), refused(poem));
  await frame();
  const texts = () => [...container.querySelectorAll("p")].map(({ textContent }) => textContent);
  expect(texts()).toEqual([
    "chat running undefined",
    "poem undefined run 'mine' exists and runs graph 'chat' (conflict)",
  ]);
  // So it is where the run is shown by its id already.
  rerender(<Chat client={client} id="other" />);
  await frame();
  subscribed(socket);
  function Start() {
    const { error } = useRun(client, { run: "other", graph: "poem", modes: options.modes });
    return <p>{error?.message}</p>;
  }
  rerender(
    <>
      <Chat client={client} id="other" />
      <Start />
    </>,
  );
  await frame();
  expect(socket.last("run")).toMatchObject({ run: "other", graph: "poem" });
  socket.say(refused(socket.last("run")));
  await frame();
  expect(texts().at(-1)).toContain("runs graph 'chat'");
});

test("after a reconnect that brings nothing new, a view is caught up again", async () => {
  const { container } = render(<Chat client={client} />);
  await frame();
  subscribed(socket);
  socket.say(piece(1, "all"));
  await frame();
  expect(container.textContent).toContain("all (now)");
  socket.drop();
  await expect.poll(() => sockets.length).toBe(2);
  const next = sockets[1] as FakeSocket;
  next.open();
  await frame();
  expect(container.textContent).toMatch(/all$/);
  subscribed(next); // the reply comes later than the welcome
  await frame();
  expect(container.textContent).toContain("all (now)");
});
