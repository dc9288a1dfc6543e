/** A server that was restarted knows nothing of a run: `RunLost`, however one asks. */

import { expect, test } from "vitest";
import { Refused, type Run, RunLost } from "../src/index.js";
import {
  attached,
  event,
  type FakeSocket,
  type Frame,
  fakeClient,
  running,
  started,
  subscribed,
  turn,
} from "./fake_socket.js";

const unknown = ({ id }: Frame): Frame => ({
  type: "error",
  id: id as number,
  code: "not_found",
  message: "no run 'r'",
  retry: "never",
  details: { kind: "run" },
});

/** Lose the connection and make the next one, on which the server knows no run. */
async function restarted(sockets: FakeSocket[]): Promise<FakeSocket> {
  sockets.at(-1)?.drop(1012);
  const { length } = sockets;
  await expect.poll(() => sockets.length).toBe(length + 1);
  const socket = sockets.at(-1) as FakeSocket;
  socket.open();
  return socket;
}

/** Refuse every request about the run, as soon as there is one. */
async function forget(socket: FakeSocket): Promise<void> {
  const about = () => socket.sent.filter(({ run }) => run !== undefined);
  await expect.poll(() => about().length).toBeGreaterThan(0);
  socket.say(...about().map(unknown));
}

const ACTS: { [name: string]: (run: Run) => Promise<unknown> } = {
  iterate: async (run) => {
    for await (const _ of run);
  },
  "iterate anew": async (run) => {
    run.detach();
    for await (const _ of run);
  },
  respond: (run) => run.respond({ i: true }),
  cancel: (run) => run.cancel(),
  delete: (run) => run.delete(),
  result: (run) => run.result(),
};

test.each(Object.keys(ACTS))("after a restart a run is lost: %s", async (name) => {
  const { run, sockets } = await running({ thread: "ann" });
  run.thread = "ann"; // as `started` has it
  const socket = await restarted(sockets);
  const lost = ACTS[name]?.(run).catch((error) => error);
  await turn();
  await forget(socket);
  const error = (await lost) as RunLost;
  expect(error).toBeInstanceOf(RunLost);
  expect(error).toBeInstanceOf(Refused);
  expect(error).toMatchObject({
    name: "RunLost",
    code: "not_found",
    run: "r",
    graph: "graph",
    thread: "ann",
    details: { kind: "run" },
  });
  expect(error.message).toContain(
    "run r is lost: the server restarted, or it was deleted; thread ann continues",
  );
});

test("what waits while the server restarts learns of it", async () => {
  const { run, socket, sockets } = await running();
  socket.say(event(1, 1, "custom", 1));
  const loop = run[Symbol.asyncIterator]();
  await loop.next();
  const waits = [loop.next(), run.result()];
  await turn();
  const settled = Promise.allSettled(waits);
  await forget(await restarted(sockets));
  for (const { reason } of (await settled) as PromiseRejectedResult[]) {
    expect(reason).toBeInstanceOf(RunLost);
    expect(reason.message).toContain("start it again");
  }
});

test("the end of a run that is lost between its result and its last events is that", async () => {
  const { run, socket, sockets } = await running();
  const result = run.result().catch((error) => error);
  await turn();
  socket.say({ type: "ok", id: socket.last("result").id as number, status: "failed" });
  await turn();
  expect(socket.last("subscribe").filter).toEqual({ modes: ["lifecycle"] });
  await forget(await restarted(sockets));
  expect(await result).toBeInstanceOf(RunLost);
});

test("a run that survived one reconnect is lost with the next, and one that is attached to, too", async () => {
  const { run, sockets } = await attached(0);
  const waiting = run[Symbol.asyncIterator]()
    .next()
    .catch((error) => error);
  const second = await restarted(sockets);
  second.say(subscribed(second.last("subscribe").id, 0));
  await forget(await restarted(sockets));
  expect(await waiting).toMatchObject({ name: "RunLost", graph: undefined, thread: undefined });
});

test("an id that was never known, an unknown question and a deletion are no lost runs", async () => {
  const { client, run, socket, sockets } = await running();
  const asking = [client.cancel("ghost"), client.attach("ghost"), run.cancel()];
  await turn();
  const settled = Promise.allSettled(asking);
  for (const frame of socket.sent.filter(({ type, run }) => type === "cancel" || run === "ghost"))
    socket.say(unknown(frame));
  for (const { reason } of (await settled) as PromiseRejectedResult[]) expect(reason.name).toBe("Refused");
  const waiting = run[Symbol.asyncIterator]().next();
  const second = await restarted(sockets);
  second.say(subscribed(second.last("subscribe").id, 0));
  const answering = run.respond({ i: 1 });
  await turn();
  second.say({ ...unknown(second.last("respond")), details: { kind: "interrupt" } });
  await expect(answering).rejects.toMatchObject({ name: "Refused", code: "not_found" });
  second.say({ type: "closed", sub: 1, reason: "deleted" });
  await expect(waiting).rejects.toMatchObject({ name: "Refused", code: "not_found" });
});

test("a run that the server started once more under its id is not lost", async () => {
  const { client, sockets } = fakeClient();
  await turn();
  (sockets[0] as FakeSocket).open();
  const starting = client.run("graph", null, { run: "r", modes: ["custom"] });
  await turn();
  const socket = await restarted(sockets);
  socket.say(...started(socket.last("run")));
  const run = await starting;
  const cancelling = run.cancel();
  await turn();
  socket.say(unknown(socket.last("cancel")));
  await expect(cancelling).rejects.toMatchObject({ name: "Refused" });
});
