/** A follower whose connection is lost while it reads the thread's state. */

import { expect, test } from "vitest";
import type { FollowEvent } from "../src/index.js";
import { type FakeSocket, fakeClient, turn } from "./fake_socket.js";

/** Accept a connection and say who the server is. */
function welcome(socket: FakeSocket): void {
  socket.open(false);
  socket.say({ type: "welcome", id: socket.last("hello").id as number, limits: {}, minor: 1, features: [] });
}

const row = (status: string) => ({
  type: "run_info",
  sub: 1,
  ...{ run: "r", graph: "g", metadata: {}, status, attempt: 1, epoch: "x", head: 1, created_at: "" },
  ...{ modes: ["messages"], thread_seq: 1, thread_epoch: "e", checkpoint: "" },
});
const synced = { type: "synced", sub: 1 };

/** Answer the last request of a state: it holds one message, of run 1, if `isWritten`. */
function answer(socket: FakeSocket, isWritten: boolean): void {
  const messages = isWritten ? [{ type: "ai", id: "m", content: "hi" }] : [];
  const label = isWritten ? { thread_seq: 1, thread_epoch: "e" } : {};
  const { id } = socket.last("state");
  socket.say({ type: "ok", id: id as number, values: { messages }, ...label });
}

/** Follow an empty thread, lose the connection twice, and answer the state with run 1's before the rows name it. */
async function lostTwice(): Promise<{ socket: FakeSocket; events: FollowEvent[] }> {
  const { client, sockets } = fakeClient();
  const next = async (index: number) => {
    await expect.poll(() => sockets.length).toBeGreaterThan(index);
    const socket = sockets[index] as FakeSocket;
    welcome(socket);
    await turn();
    return socket;
  };
  const events: FollowEvent[] = [];
  const follower = await client.follow("g", "t", { window: undefined }); // as if it were left out
  void (async () => {
    for await (const event of follower) events.push(event);
  })();
  const first = await next(0);
  first.say({ type: "subscribed", id: first.last("watch").id as number, sub: 1 }, synced);
  await turn();
  answer(first, false);
  await turn();
  expect(events).toMatchObject([{ mode: "thread", because: "state", messages: [] }]);
  first.drop();
  const second = await next(1);
  second.say({ type: "subscribed", id: second.last("watch").id as number, sub: 1 }, synced);
  await turn();
  expect(second.last("state")).toMatchObject({ thread: "t" });
  second.drop();
  const socket = await next(2);
  answer(socket, true);
  await turn();
  return { socket, events };
}

test("a state that comes before the rows of its connection is compared with them", async () => {
  const { socket, events } = await lostTwice();
  socket.say(row("completed"), { ...synced });
  await turn();
  // The run is read from its start, though it has ended: nothing of it was missed.
  expect(events.map(({ mode }) => mode)).not.toContain("discard");
  expect(socket.last("subscribe")).toMatchObject({ run: "r", from: "start", credit: 256 });
});

test("a state is asked for once on each connection, however often that is lost", async () => {
  const { socket, events } = await lostTwice();
  socket.say(row("running"), { ...synced });
  await turn();
  expect(socket.sent.filter(({ type }) => type === "state")).toHaveLength(1);
  expect(socket.last("subscribe")).toMatchObject({ run: "r" });
  expect(events).toHaveLength(1);
});
