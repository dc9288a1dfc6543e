// @vitest-environment happy-dom
/** A component renders when what it selects changes, and only then. */

import { cleanup, render } from "@testing-library/react";
import { lazy, memo, Suspense } from "react";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Client } from "../../src/index.js";
import { type RunView, useLatest, useMessages, useRun, useValues } from "../../src/react/index.js";
import { LINGER_MS } from "../../src/react/store.js";
import { event, type FakeSocket, life, turn } from "../fake_socket.js";
import { Chat, connected, count, frame, options, piece, stopClocks, subscribed } from "./page.js";

let client: Client;
let socket: FakeSocket;

beforeEach(async () => {
  ({ client, socket } = await connected());
});

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
  cleanup();
  client.close();
});

test("the latest of a mode is forgotten when a repeated step takes it back", async () => {
  function Page() {
    const run = useRun(client, "r", options);
    return (
      <>
        <i>{String(useLatest(run, "custom")?.data)}</i>
        <b>{String(useLatest(run, "values")?.data)}</b>
        <u>{useLatest(run, "lifecycle")?.attempt}</u>
      </>
    );
  }
  const { container } = render(<Page />);
  await frame();
  subscribed(socket);
  socket.say(life(1, 1, "running"), event(2, 2, "values", "kept"), event(3, 3, "custom", "half"));
  await frame();
  await frame();
  expect(container.innerHTML).toBe("<i>half</i><b>kept</b><u>1</u>");
  socket.say(event(4, 4, "lifecycle", { status: "running", attempt: 2, at: "", void_after: 2 }));
  await frame();
  await frame();
  expect(container.innerHTML).toBe("<i>undefined</i><b>kept</b><u>2</u>");
});

test("a component renders when its selection changes, and only then", async () => {
  const renders = { status: 0, title: 0, left: 0, progress: 0 };
  const Status = memo(({ run }: { run: RunView }) => {
    renders.status += 1;
    return <i>{run.status}</i>;
  });
  const Title = memo(({ run }: { run: RunView<{ title: string; tags: string[] }> }) => {
    renders.title += 1;
    const { title, first } =
      useValues(run, (values) => ({ title: values.title, first: values.tags[0] })) ?? {};
    return <b>{`${title} ${first}`}</b>;
  });
  const Left = memo(({ run }: { run: RunView }) => {
    renders.left += 1;
    return <u>{useMessages(run, ({ call }) => call === "left").map(({ text }) => text)}</u>;
  });
  const Progress = memo(({ run }: { run: RunView }) => {
    renders.progress += 1;
    return <s>{String(useLatest(run, "custom")?.data)}</s>;
  });
  function Page() {
    const run = useRun<{ title: string; tags: string[] }>(client, "r", options);
    return (
      <>
        <Status run={run} />
        <Title run={run} />
        <Left run={run} />
        <Progress run={run} />
      </>
    );
  }
  const { container } = render(<Page />);
  await frame();
  subscribed(socket);
  socket.say(
    life(1, 1, "running"),
    event(2, 2, "values", { title: "a", tags: ["x"], n: 1 }),
    event(3, 3, "custom", "half"),
    piece(4, "l", { call: "left" }),
  );
  await frame();
  await frame();
  expect(container.innerHTML).toBe("<i>running</i><b>a x</b><u>l</u><s>half</s>");
  Object.assign(renders, { status: 0, title: 0, left: 0, progress: 0 });
  socket.say(event(5, 5, "values", { title: "a", tags: ["x"], n: 2 }), piece(6, "r", { call: "right" }));
  await frame();
  expect(renders).toEqual({ status: 0, title: 0, left: 0, progress: 0 });
  socket.say(piece(7, "!", { call: "left" }));
  await frame();
  expect(renders).toEqual({ status: 0, title: 0, left: 1, progress: 0 });
  socket.say(event(8, 8, "values", { title: "b", tags: [] }));
  await frame();
  expect(renders).toEqual({ status: 0, title: 1, left: 1, progress: 0 });
});

test("what a view does not receive is refused by name", async () => {
  vi.spyOn(console, "error").mockImplementation(() => {});
  function Page({ id }: { id: string }) {
    const run = useRun(client, id, { modes: ["messages"] });
    return <p>{String(useValues(run))}</p>;
  }
  render(<Page id="r" />);
  await frame();
  const shown = frame().catch((error) => error);
  subscribed(socket);
  expect(String(await shown)).toContain("view the run with mode values");
});

test("a suspended sibling, however long, starts nothing twice", async () => {
  stopClocks();
  let go: (value: () => string) => void = () => {};
  const slow = new Promise<() => string>((resolve) => {
    go = resolve;
  });
  const Slow = lazy(async () => ({ default: await slow }));
  const { container } = render(
    <Suspense fallback="wait">
      <Chat client={client} />
      <Slow />
    </Suspense>,
  );
  await frame();
  expect(container.textContent).toBe("wait");
  expect(count(socket, "subscribe")).toBe(0);
  vi.advanceTimersByTime(LINGER_MS);
  go(() => "there");
  await frame();
  await frame();
  expect(container.textContent).toContain("loading: there");
  expect(count(socket, "subscribe")).toBe(1);
});

test("a hundred runs of one page render once, in a few frames", async () => {
  let commits = 0;
  const seen: string[][] = Array.from({ length: 100 }, () => []);
  const Page = () =>
    seen.map((each, index) => <Chat client={client} key={seen.indexOf(each)} id={`r${index}`} seen={each} />);
  render(<Page />);
  await frame();
  const all = socket.sent.filter(({ type }) => type === "subscribe");
  for (const { id, sub, run } of all)
    socket.say({
      type: "subscribed",
      id,
      sub,
      run,
      epoch: "e",
      head: 0,
      after: 0,
      recovery: "live",
    } as never);
  await frame();
  for (const each of seen) each.length = 0;
  const observer = new MutationObserver(() => {
    commits += 1;
  });
  observer.observe(document.body, { subtree: true, childList: true, characterData: true });
  const frames = vi.spyOn(globalThis, "requestAnimationFrame");
  for (let seq = 1; seq <= 3; seq += 1) {
    for (const { sub } of all) socket.say(piece(seq, "x", { sub }));
    await turn();
  }
  expect(frames).toHaveBeenCalledTimes(1);
  await vi.waitFor(async () => {
    await frame();
    expect(seen.map((each) => each)).toEqual(seen.map(() => ["undefined xxx"]));
  }, 20_000);
  expect(commits).toBe(7); // sixteen in each
  observer.disconnect();
});
