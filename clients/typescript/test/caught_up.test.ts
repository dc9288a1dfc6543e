/** `onCaughtUp`: when a loop has taken all that there is. */

import { expect, test, vi } from "vitest";
import { attached, event, type FakeSocket, life, running, subscribed, turn } from "./fake_socket.js";

/** Note what a loop takes, and each time it is told that there is no more. */
function noted(run: Awaited<ReturnType<typeof running>>["run"]): { seen: string[]; over: Promise<void> } {
  const seen: string[] = [];
  run.onCaughtUp(() => seen.push("caught up"));
  const over = (async () => {
    for await (const { mode, seq } of run) seen.push(`${mode} ${seq}`);
  })();
  return { seen, over };
}

test("a loop that attaches late is told behind the last event, once it has been handled", async () => {
  const { run, socket } = await attached(2, { after: 0 });
  const { seen } = noted(run);
  socket.say(event(1, 1, "custom", 1), event(2, 2, "custom", 2));
  await turn();
  expect(seen).toEqual(["custom 1", "custom 2"]);
  socket.say({ type: "synced", sub: 1, head: 2 });
  await turn();
  expect(seen).toEqual(["custom 1", "custom 2", "caught up"]);
  socket.say(event(3, 3, "custom", 3), event(4, 4, "custom", 4));
  await turn();
  expect(seen.slice(3)).toEqual(["custom 3", "custom 4", "caught up"]);
});

test("after a reconnect it is told although nothing new has happened, and at the end", async () => {
  const { run, socket, sockets } = await running();
  const { seen, over } = noted(run);
  socket.say(event(1, 1, "custom", 1));
  await turn();
  expect(seen).toEqual(["caught up", "custom 1", "caught up"]);
  socket.drop();
  await expect.poll(() => sockets.length).toBe(2);
  const second = sockets[1] as FakeSocket;
  second.open();
  await turn();
  expect([run.isCaughtUp, seen.length]).toEqual([false, 3]);
  const { id } = second.last("subscribe");
  second.say({ ...subscribed(id, 1), after: 1, recovery: "live" });
  await turn();
  expect(run.isCaughtUp).toBe(true);
  expect(seen.slice(3)).toEqual(["caught up"]);
  second.say(life(1, 2, "completed"), { type: "closed", sub: 1, reason: "end", status: "completed" });
  await over;
  expect(seen.slice(4)).toEqual(["lifecycle 2", "caught up"]);
});

test("a listener that was removed hears nothing, and one that throws ends nothing", async () => {
  const error = vi.spyOn(console, "error").mockImplementation(() => {});
  const { run, socket } = await running();
  const heard = vi.fn();
  run.onCaughtUp(() => {
    throw new Error("a bug");
  });
  const unlisten = run.onCaughtUp(heard);
  const loop = run[Symbol.asyncIterator]();
  const first = loop.next();
  await turn();
  expect(heard).toHaveBeenCalledTimes(1);
  expect(error).toHaveBeenCalledTimes(1);
  unlisten();
  socket.say(event(1, 1, "custom", 1));
  expect(await first).toMatchObject({ value: { seq: 1 } });
  void loop.next();
  await turn();
  expect(heard).toHaveBeenCalledTimes(1);
  error.mockRestore();
});
