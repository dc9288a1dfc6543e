// @vitest-environment happy-dom
/** `useWatch`, `useInterrupts` of all runs and `useConnection`, before a fake server. */

import "../../src/watch_queue.js"; // loaded on demand otherwise, later than a turn
import { cleanup, render } from "@testing-library/react";
import { StrictMode } from "react";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Client } from "../../src/index.js";
import { useConnection, useInterrupts, useWatch, type WatchFilter } from "../../src/react/index.js";
import { LINGER_MS } from "../../src/react/store.js";
import type { FakeSocket, Frame } from "../fake_socket.js";
import { connected, count, frame, watching } from "./page.js";

let client: Client;
let socket: FakeSocket;
let sockets: FakeSocket[];

beforeEach(async () => {
  ({ client, socket, sockets } = await connected());
});

afterEach(() => {
  vi.useRealTimers();
  cleanup();
  client.close();
});

/** Return the row of a run, as a watch shows it; `at` orders them. */
function row(sub: number, run: string, status: string, at: number, more: object = {}): Frame {
  const created_at = `2026-03-01T12:00:0${at}Z`;
  const about = { graph: "g", metadata: {}, attempt: 1, epoch: "e", head: 1, modes: [] };
  return { type: "run_info", sub, run, status, created_at, ...about, ...more };
}

function Board({ filter, seen = [] }: { filter?: WatchFilter; seen?: string[] }) {
  const { rows, isSynced, cut, error } = useWatch(client, filter);
  const text = rows.map(({ run, status }) => `${run} ${status}`).join(", ");
  seen.push(text);
  return <p>{error ? error.message : `${text} (${isSynced ? `all but ${cut}` : "…"})`}</p>;
}

test("a watch shows the rows of all runs, the newest first, and every change of them", async () => {
  const { container } = render(
    <StrictMode>
      <Board />
    </StrictMode>,
  );
  expect(container.textContent).toBe(" (…)");
  await frame();
  const { id, sub } = socket.last("watch") as { id: number; sub: number };
  socket.say({ type: "subscribed", id, sub }, row(sub, "b", "running", 2), row(sub, "a", "completed", 1));
  await frame();
  expect(container.textContent).toBe("b running, a completed (…)");
  socket.say({ type: "synced", sub, cut: 3 }, row(sub, "c", "queued", 3), row(sub, "b", "failed", 2));
  await frame();
  expect(container.textContent).toBe("c queued, b failed, a completed (all but 3)");
  socket.say({ type: "run_gone", sub, run: "a", reason: "expired" });
  await frame();
  expect(container.textContent).toBe("c queued, b failed (all but 3)");
  expect([count(socket, "watch"), count(socket, "unsubscribe")]).toEqual([1, 0]);
});

test("a run that no longer matches leaves the board", async () => {
  const { container } = render(<Board filter={{ status: ["running"] }} />);
  await frame();
  const sub = watching(socket);
  socket.say(row(sub, "a", "running", 1), row(sub, "b", "running", 2));
  await frame();
  expect(container.textContent).toBe("b running, a running (all but 0)");
  socket.say(row(sub, "b", "completed", 2));
  await frame();
  expect(container.textContent).toBe("a running (all but 0)");
});

test("after a reconnect a board is synced when the list is whole again, and runs that are gone leave it", async () => {
  const { container } = render(<Board />);
  await frame();
  const sub = watching(socket);
  socket.say(row(sub, "a", "running", 1), row(sub, "b", "running", 2));
  await frame();
  socket.drop();
  await frame();
  expect(container.textContent).toBe("b running, a running (…)");
  await expect.poll(() => sockets).toHaveLength(2);
  const next = sockets[1] as FakeSocket;
  next.open();
  next.say({ type: "subscribed", id: next.last("watch").id, sub } as Frame, row(sub, "b", "completed", 2));
  next.say({ type: "synced", sub });
  await frame();
  expect(container.textContent).toBe("b completed (all but 0)");
});

test("a thousand changes are one rendering, and components with one filter share one watch", async () => {
  const seen: string[] = [];
  const Counter = () => <b>{useWatch(client, {}, ({ rows }) => rows.filter(isRunning).length)}</b>;
  const isRunning = ({ status }: { status: string }) => status === "running";
  const { container } = render(
    <>
      <Board seen={seen} filter={{}} />
      <Counter />
    </>,
  );
  await frame();
  const sub = watching(socket);
  await frame();
  seen.length = 0;
  for (let index = 0; index < 1000; index += 1)
    socket.say(row(sub, `r${index % 10}`, "running", 1, { head: index }));
  await frame();
  expect(seen).toHaveLength(1);
  expect(container.querySelector("b")?.textContent).toBe("10");
  expect(count(socket, "watch")).toBe(1);
});

test("a board that is left is unsubscribed, and a new one begins with what there is then", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  const { unmount } = render(<Board />);
  await frame();
  const sub = watching(socket);
  socket.say(row(sub, "a", "running", 1));
  await frame();
  unmount();
  vi.advanceTimersByTime(LINGER_MS);
  expect(socket.last("unsubscribe")).toMatchObject({ sub });
  const { container } = render(<Board />);
  await frame();
  expect(container.textContent).toBe(" (…)");
  expect(socket.last("watch")).toMatchObject({ sub: 2 });
});

test("a watch that is refused says so", async () => {
  const { container } = render(<Board />);
  await frame();
  const { id } = socket.last("watch");
  socket.say({ type: "error", id, code: "unsupported", message: "no watch", retry: "never" } as Frame);
  await frame();
  expect(container.textContent).toBe("no watch (unsupported)");
});

test("the questions of all runs are one list, and one that a row does not hold whole is marked", async () => {
  function Questions() {
    const asked = useInterrupts(client, { graphs: ["g"] });
    return (
      <p>
        {asked.map(({ run, thread, id, value, isWhole }) => `${run} ${thread} ${id}: ${value} ${isWhole};`)}
      </p>
    );
  }
  const { container } = render(<Questions />);
  await frame();
  expect(socket.last("watch")).toMatchObject({ graphs: ["g"], status: ["interrupted"] });
  const sub = watching(socket);
  const questions = [
    { id: "i", value: "sure?", ns: [] },
    { id: "j", value: { $cut: { reason: "size", bytes: 9000 } }, ns: [] },
  ];
  socket.say(row(sub, "a", "interrupted", 1, { thread: "t", interrupts: ["i", "j", "k"], questions }));
  await frame();
  expect(container.textContent).toBe(
    "a t i: sure? true;a t j: [object Object] false;a t k: undefined false;",
  );
  socket.say(row(sub, "a", "running", 1, { thread: "t" }));
  await frame();
  expect(container.textContent).toBe("");
});

test("the connection is shown with its reason", async () => {
  function State() {
    const connection = useConnection(client);
    return <p>{`${connection.state}: ${connection.reason}`}</p>;
  }
  const { container } = render(<State />);
  expect(container.textContent).toBe("connected: welcome");
  socket.drop(1006, "");
  await expect.poll(() => sockets).toHaveLength(2);
  await frame();
  expect(container.textContent).toBe("connecting: close code 1006");
  sockets[1]?.open();
  await frame();
  expect(container.textContent).toBe("connected: welcome");
  client.close();
  await frame();
  expect(container.textContent).toBe("closed: this client was closed");
});
