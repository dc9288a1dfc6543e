import { expect, test } from "vitest";
import { event, type FakeSocket, fakeClient, life, started, turn } from "./fake_socket.js";

test("a client says which subscriptions it has, and how many events wait for their reader", async () => {
  const { client, sockets } = fakeClient();
  await turn();
  const socket = sockets[0] as FakeSocket;
  socket.open();
  const starting = client.run("graph", {}, { run: "r", modes: ["custom"], window: 4 });
  await turn();
  socket.say(...started(socket.last("run")));
  const loop = (await starting)[Symbol.asyncIterator]();
  socket.say(...[1, 2, 3].map((seq) => event(seq, seq, "custom", { seq })));
  expect(client.subscriptions).toMatchObject([{ run: "r", seq: 3, held: 3, window: 4 }]);
  await loop.next();
  await loop.next();
  expect(client.subscriptions).toMatchObject([{ held: 1 }]);
  socket.say(life(4, 4, "completed"), { type: "closed", sub: 1, reason: "end", status: "completed" });
  expect(client.subscriptions).toEqual([]);
});
