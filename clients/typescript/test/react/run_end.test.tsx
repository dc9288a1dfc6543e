// @vitest-environment happy-dom
/** How runs end, what goes wrong, what they ask, and how far they are shown. */

import { cleanup, render } from "@testing-library/react";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Client } from "../../src/index.js";
import { type RunView, useInterrupts, useRun } from "../../src/react/index.js";
import { event, type FakeSocket, life } from "../fake_socket.js";
import { Chat, connected, count, frame, options, piece, subscribed } from "./page.js";

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

// ── what ends a run, and what goes wrong ───────────────────────────────────────────────────────

test("a run that failed is a status with its error", async () => {
  const { container } = render(<Chat client={client} />);
  await frame();
  subscribed(socket);
  socket.say(life(1, 1, "failed", { error: { code: "graph_error", message: "broken", error_id: "E1" } }));
  await frame();
  expect(container.textContent).toContain("run r failed with graph_error: broken (error_id E1)");
});

test("a run that failed before its snapshot has its error, too", async () => {
  const { container } = render(<Chat client={client} />);
  await frame();
  subscribed(socket);
  socket.say(
    { type: "gap", sub: 1, after_seq: 0, upto_seq: 9, reason: "evicted", lost: ["custom"] },
    { type: "snapshot", sub: 1, seq: 9, status: "failed", values: null, messages: [], interrupts: [] },
    { type: "closed", sub: 1, reason: "end", status: "failed" },
  );
  await frame();
  socket.say({ type: "ok", id: socket.last("result").id as number, status: "failed" });
  await frame();
  const { id, sub } = socket.last("subscribe");
  const error = { code: "timeout", message: "too slow" };
  socket.say({
    type: "subscribed",
    id,
    sub,
    run: "r",
    epoch: "e",
    head: 9,
    after: 0,
    recovery: "replayed",
  } as never);
  socket.say({ ...life(1, 9, "failed", { error }), sub: sub as number });
  socket.say({ type: "closed", sub, reason: "end", status: "failed" });
  await frame();
  expect(container.textContent).toContain("run r failed with timeout: too slow");
});

test("a run that is cancelled has its reason, and its view cancels it by its id", async () => {
  let view: RunView | undefined;
  function Page() {
    view = useRun(client, "r", options);
    return <p>{`${view.status}: ${view.reason}`}</p>;
  }
  const { container } = render(<Page />);
  const cancelled = view?.cancel("enough"); // before anything is known
  await frame();
  expect(socket.last("cancel")).toMatchObject({ run: "r", reason: "enough" });
  subscribed(socket);
  socket.say({ type: "ok", id: socket.last("cancel").id as number, status: "cancelled" });
  socket.say(life(1, 1, "cancelled", { reason: "enough" }));
  await frame();
  expect(await cancelled).toBe("cancelled");
  expect(container.textContent).toBe("cancelled: enough");
});

test("a run that does not exist is an error, not a rejection that nobody handles", async () => {
  const unhandled = vi.fn();
  process.on("unhandledRejection", unhandled);
  const { container } = render(<Chat client={client} />);
  await frame();
  const { id } = socket.last("subscribe");
  socket.say({ type: "error", id, code: "not_found", message: "no run r", retry: "never" } as never);
  await frame();
  expect(container.textContent).toBe("no run r (not_found): ");
  client.close();
  await frame();
  await new Promise((resolve) => setImmediate(resolve));
  expect(unhandled).not.toHaveBeenCalled();
  process.off("unhandledRejection", unhandled);
});

test("a client that is closed is the error of its runs", async () => {
  const { container } = render(<Chat client={client} />);
  await frame();
  subscribed(socket);
  await frame();
  client.close();
  await frame();
  expect(container.textContent).toContain("this client was closed");
});

// ── questions ──────────────────────────────────────────────────────────────────────────────────

test("a question is shown, answered, and the run goes on in the same subscription", async () => {
  let view: RunView | undefined;
  function Page() {
    view = useRun(client, "r", options);
    const questions = useInterrupts(view);
    return <p>{`${view.status} ${questions.map(({ value }) => value)}`}</p>;
  }
  const { container } = render(<Page />);
  await frame();
  subscribed(socket);
  socket.say(
    event(1, 1, "interrupt", { interrupts: [{ id: "i", value: "sure?", ns: [] }] }),
    life(2, 2, "interrupted"),
  );
  await frame();
  expect(container.textContent).toBe("interrupted sure?");
  const answered = view?.answer("yes");
  await frame();
  expect(socket.last("respond")).toMatchObject({ run: "r", responses: [{ interrupt: "i", value: "yes" }] });
  socket.say({ type: "ok", id: socket.last("respond").id as number, status: "running" });
  await frame();
  expect(await answered).toBe("running");
  expect(container.textContent).toBe("running ");
  socket.say(life(3, 3, "running"), life(4, 4, "completed"));
  await frame();
  expect(container.textContent).toBe("completed ");
  expect([count(socket, "subscribe"), count(socket, "unsubscribe")]).toEqual([1, 0]);
});

test("a question that another page answers goes away", async () => {
  const { container } = render(<Chat client={client} />);
  await frame();
  subscribed(socket);
  socket.say(
    event(1, 1, "interrupt", { interrupts: [{ id: "i", value: "sure?", ns: [] }] }),
    life(2, 2, "interrupted"),
  );
  await frame();
  expect(container.textContent).toContain("interrupted");
  socket.say(life(3, 3, "running"), piece(4, "on we go"));
  await frame();
  expect(container.textContent).toContain("running: on we go");
  expect([count(socket, "subscribe"), count(socket, "unsubscribe")]).toEqual([1, 0]);
});

// ── where it stands ────────────────────────────────────────────────────────────────────────────

test("what is replayed, caught up, healed and cut off is told apart", async () => {
  let view: RunView | undefined;
  function Page() {
    view = useRun(client, "r", options);
    return <p>{`${view.isCaughtUp} ${view.healed?.lost}`}</p>;
  }
  const { container } = render(<Page />);
  await frame();
  subscribed(socket, { head: 9, recovery: "replayed" });
  socket.say(
    { type: "gap", sub: 1, after_seq: 0, upto_seq: 9, reason: "evicted", lost: ["custom"] },
    { type: "snapshot", sub: 1, seq: 9, status: "running", values: {}, messages: [], interrupts: [] },
  );
  await frame();
  expect(container.textContent).toBe("false custom");
  socket.say({ type: "synced", sub: 1, head: 9 });
  await frame();
  expect(container.textContent).toBe("true custom");
  socket.drop();
  await frame();
  expect(container.textContent).toBe("false custom");
  await expect.poll(() => sockets).toHaveLength(2);
  sockets[1]?.open();
  subscribed(sockets[1] as FakeSocket, { head: 9, after: 9, recovery: "replayed" });
  sockets[1]?.say({ type: "synced", sub: 1, head: 9 });
  await frame();
  expect(container.textContent).toBe("true custom");
});

test("a hidden page renders and returns credit, and a page that is hidden in a frame does not wait for it", async () => {
  const { container } = render(<Chat client={client} />);
  await frame();
  subscribed(socket);
  await frame();
  const see = vi.spyOn(document, "visibilityState", "get").mockReturnValue("hidden");
  const frames = vi.spyOn(globalThis, "requestAnimationFrame").mockReturnValue(0); // none comes
  for (let seq = 1; seq <= 200; seq += 1) socket.say(piece(seq, "."));
  await expect.poll(() => container.textContent).toContain(".".repeat(200));
  expect(frames).not.toHaveBeenCalled();
  expect(count(socket, "credit")).toBeGreaterThan(0);
  see.mockReturnValue("visible");
  socket.say(piece(201, "!"));
  await expect.poll(() => container.textContent, { timeout: 3000 }).toContain(".!");
});
