/** The state that LangChain's hooks ask for while a run goes on: they take it for the newest there is. */

import { expect, test, vi } from "vitest";
import type { Client } from "../../src/index.js";
import { graphwireStream } from "../../src/langchain/index.js";
import { event, type FakeSocket, type Frame, fakeClient, life, started, turn } from "../fake_socket.js";

const STATE = "http://graphwire.invalid/threads/t/state";

/** What a hook is given, and the server's side. */
async function page() {
  const { client, sockets } = fakeClient();
  await turn();
  const socket = sockets[0] as FakeSocket;
  socket.open();
  const stream = graphwireStream(client as Client, "g");
  const { transport, callerOptions } = stream as typeof stream & { callerOptions: { fetch: typeof fetch } };
  const open = () => {
    transport.setThreadId?.("t");
    return transport.openEventStream?.({ channels: ["values"] } as never) as { close(): void };
  };
  return { socket, transport, open, fetch: callerOptions.fetch };
}

/** Answer the latest watch: these are the runs, the newest first. */
async function list(socket: FakeSocket, ...runs: [string, string][]): Promise<void> {
  await vi.waitFor(() => socket.last("watch"));
  const watch = socket.last("watch");
  socket.sent.splice(socket.sent.indexOf(watch), 1);
  const sub = watch.sub as number;
  const rows = runs.map(([run, status]) => ({ type: "run_info", sub, run, graph: "g", thread: "t", status }));
  socket.say({ type: "subscribed", id: watch.id as number, sub }, ...rows, { type: "synced", sub });
  await turn();
}

/** A thread whose events are read, a run of it, and what a hook asks over HTTP. */
async function running() {
  const { socket, transport, open, fetch } = await page();
  open();
  const starting = transport.send({ id: 1, method: "run.start", params: { input: {} } } as never);
  await turn();
  socket.say(...started(socket.last("run")));
  await starting;
  await list(socket);
  return { socket, fetch };
}

/** Reply to the latest request with the state that the server had read. */
async function reply(socket: FakeSocket, values: object, more: object = {}): Promise<void> {
  await vi.waitFor(() => socket.last("state")); // its code is loaded first
  const request = socket.last("state");
  socket.sent.splice(socket.sent.indexOf(request), 1);
  const id = request.id as number;
  socket.say({ type: "ok", id, values, next: [], tasks: [], config: {}, metadata: { step: 0 }, ...more });
  await turn();
}

test("a state that events have overtaken is what they say", async () => {
  const { socket, fetch } = await running();
  const asked = fetch(STATE);
  await vi.waitFor(() => socket.last("state"));
  socket.say(life(1, 1, "running"), event(2, 2, "values", { word: "new" }), life(3, 3, "completed"));
  await turn();
  await reply(socket, { word: "old" });
  expect(await (await asked).json()).toMatchObject({ values: { word: "new" }, metadata: { step: 0 } });
});

test("so is one that they overtake before the hook reads it", async () => {
  const { socket, fetch } = await running();
  const asked = fetch(STATE);
  await reply(socket, { word: "old" });
  const response = await asked;
  socket.say(life(1, 1, "running"), event(2, 2, "values", { word: "new" }), life(3, 3, "completed"));
  await turn();
  expect(await response.json()).toMatchObject({ values: { word: "new" } });
});

test("while a run is at work its events are newer than what a checkpointer may have; then the state is", async () => {
  const { socket, fetch } = await running();
  socket.say(life(1, 1, "running"), event(2, 2, "values", { word: "new" }));
  await turn();
  const during = fetch(STATE);
  await reply(socket, { word: "old" });
  expect(await (await during).json()).toMatchObject({ values: { word: "new" } });
  socket.say(life(3, 3, "completed"));
  await turn();
  const after = fetch(STATE);
  await reply(socket, { word: "edited" });
  expect(await (await after).json()).toMatchObject({ values: { word: "edited" } });
});

test("a state of a server whose clock is ahead hides no event that comes later", async () => {
  const { socket, fetch } = await running();
  const asked = fetch(STATE);
  await reply(socket, { word: "old" }, { created_at: new Date(Date.now() + 3_600_000).toISOString() });
  const state = await (await asked).json();
  expect(state).toMatchObject({ values: { word: "old" } });
  expect(state).not.toHaveProperty("created_at"); // the hooks drop what was received before it
});

test("what a subgraph says changes no state of the root, and what a thread does none of another", async () => {
  const { socket, fetch } = await running();
  const asked = fetch(STATE);
  await vi.waitFor(() => socket.last("state"));
  socket.say(life(1, 1, "running"), event(2, 2, "values", { word: "deep" }, { ns: ["sub:1"] }));
  await turn();
  await reply(socket, { word: "root" });
  expect(await (await asked).json()).toMatchObject({ values: { word: "root" } });
  const other = fetch(STATE.replace("/t/", "/other/"));
  await list(socket);
  await vi.waitFor(() => socket.last("state"));
  socket.say(event(3, 3, "values", { word: "mine" }));
  await turn();
  await reply(socket, { word: "other" });
  expect(await (await other).json()).toMatchObject({ values: { word: "other" } });
});

test("a question that is in the state alone is asked, unless a run went on meanwhile", async () => {
  const { socket, fetch } = await running();
  const questions = { interrupts: [{ id: "i", value: "sure?" }] };
  for (const isAnswered of [false, true]) {
    const asked = fetch(STATE);
    await reply(socket, {}, questions);
    if (isAnswered) socket.say(life(1, 1, "running"), life(2, 2, "completed"));
    await turn();
    await vi.waitFor(() => socket.last("list"));
    const list = socket.sent.pop() as Frame;
    socket.say({
      type: "ok",
      id: list.id as number,
      runs: [{ run: "r", status: "completed" }],
    });
    const { tasks } = await (await asked).json();
    expect(tasks).toEqual(
      isAnswered ? undefined : [{ interrupts: [{ ...questions.interrupts[0], namespace: [] }] }],
    );
  }
});

test("a state is read once the runs that are alive are known, so that none ends unseen in between", async () => {
  const { socket, open, fetch } = await page();
  const asked = fetch(STATE);
  await vi.waitFor(() => socket.last("watch"));
  expect(socket.sent.map(({ type }) => type)).not.toContain("state");
  await list(socket, ["over", "completed"]);
  await reply(socket, { word: "all" });
  expect(await (await asked).json()).toMatchObject({ values: { word: "all" } });
  open();
  await turn();
  expect(socket.sent.map(({ type }) => type)).not.toContain("watch"); // it is the one that knows them
  expect(socket.sent.map(({ type }) => type)).not.toContain("subscribe");
});

test("a state that is asked for while the page is mounted again waits for the runs, too", async () => {
  const { socket, transport, fetch } = await page();
  const asked = fetch(STATE);
  await vi.waitFor(() => socket.last("watch"));
  const first = socket.last("watch");
  await transport.close();
  await vi.waitFor(() => expect(socket.last("watch")).not.toBe(first));
  await list(socket);
  await reply(socket, { word: "all" });
  expect(await (await asked).json()).toMatchObject({ values: { word: "all" } });
});

test("events that are read anew are those of runs that ended meanwhile, too", async () => {
  const { socket, transport, open, fetch } = await page();
  const asked = fetch(STATE);
  await list(socket, ["over", "completed"]);
  await reply(socket, {});
  await asked;
  open().close();
  await transport.close();
  open();
  await list(socket, ["meanwhile", "completed"], ["over", "completed"]);
  await vi.waitFor(() => socket.last("subscribe"));
  expect(socket.sent.filter(({ type }) => type === "subscribe").map(({ run }) => run)).toEqual(["meanwhile"]);
});
