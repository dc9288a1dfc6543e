import { expect, test, vi } from "vitest";
import { type Event, Refused, RunFailed } from "../src/index.js";
import {
  attached,
  event,
  type FakeSocket,
  fakeClient,
  life,
  listenersOf,
  running,
  subscribed,
  turn,
} from "./fake_socket.js";

/** Take `count` events from a loop. */
async function take(loop: AsyncIterator<Event>, count: number): Promise<string[]> {
  const out: string[] = [];
  for (let index = 0; index < count; index += 1) {
    const { value } = await loop.next();
    out.push(value.mode === "lifecycle" ? value.status : `${value.mode} ${value.seq}`);
  }
  return out;
}

test("a loop shows what comes, gives credit back as it is taken, and ends with the run", async () => {
  const { run, socket } = await running({ window: 4 });
  expect(run).toMatchObject({ id: "r", created: true, status: "running" });
  socket.say(...[1, 2, 3, 4].map((seq) => event(seq, seq, "custom", { seq })), life(5, 5, "completed"));
  const loop = run[Symbol.asyncIterator]();
  expect(await take(loop, 1)).toEqual(["custom 1"]);
  expect(socket.sent.filter(({ type }) => type === "credit")).toEqual([]);
  expect(await take(loop, 1)).toEqual(["custom 2"]);
  expect(socket.last("credit")).toMatchObject({ sub: 1, events: 2 });
  expect(await take(loop, 3)).toEqual(["custom 3", "custom 4", "completed"]);
  socket.say({ type: "closed", sub: 1, reason: "end", status: "completed" });
  expect(await loop.next()).toEqual({ done: true, value: undefined });
  expect(run).toMatchObject({ status: "completed", isCaughtUp: true, position: { epoch: "e", seq: 5 } });
});

test("options say what the run is, and an unknown one is the server's to refuse", async () => {
  const { socket } = await running({
    namespaces: [["**"]],
    keys: ["a"],
    thread: "t",
    ifBusy: "enqueue",
    onDisconnect: "cancel",
    metadata: { at: new Date(0) },
    values: "patch",
    start: "now",
  });
  expect(socket.last("run")).toMatchObject({
    graph: "graph",
    input: { x: 1 },
    thread: "t",
    if_busy: "enqueue",
    on_disconnect: "cancel",
    metadata: { at: "1970-01-01T00:00:00.000Z" },
    subscribe: [
      {
        filter: { modes: ["custom"], namespaces: [["**"]], keys: ["a"] },
        values: "patch",
        from: "now",
        credit: 256,
      },
    ],
  });
});

test("leaving a loop unsubscribes, and the next one continues behind the last event taken", async () => {
  const { run, socket } = await running();
  socket.say(event(1, 1, "custom", 1), event(2, 2, "custom", 2));
  for await (const each of run) {
    expect(each.seq).toBe(1);
    break;
  }
  expect(socket.last("unsubscribe")).toMatchObject({ sub: 1 });
  const next = take(run[Symbol.asyncIterator](), 1);
  await turn();
  const { id, from, sub } = socket.last("subscribe");
  expect([from, sub]).toEqual([{ epoch: "e", seq: 1 }, 2]);
  socket.say({ ...subscribed(id, 2), sub: 2, after: 1 }, { ...event(1, 2, "custom", 2), sub: 2 });
  expect(await next).toEqual(["custom 2"]);
});

test("aborting the signal unsubscribes, and the loop throws its reason", async () => {
  const abort = new AbortController();
  const { run, socket } = await running({ signal: abort.signal });
  const waiting = run[Symbol.asyncIterator]().next();
  abort.abort(new Error("enough"));
  await expect(waiting).rejects.toThrow("enough");
  expect(socket.sent.at(-1)).toMatchObject({ type: "unsubscribe" });
  await expect(take(run[Symbol.asyncIterator](), 1)).rejects.toThrow("enough");
});

test("a signal that lives on keeps no run that is over, left or awaited", async () => {
  const { signal } = new AbortController();
  const listeners = listenersOf(signal);
  const { client, run, socket } = await running({ signal });
  expect(listeners()).toBe(1);
  run.detach();
  expect(listeners()).toBe(0);
  const rest = take(run[Symbol.asyncIterator](), 1);
  await turn();
  const { id } = socket.last("subscribe");
  socket.say({ ...subscribed(id, 1), sub: 2, after: 0 }, { ...life(1, 1, "completed"), sub: 2 });
  expect(await rest).toEqual(["completed"]);
  expect(listeners()).toBe(1);
  const loop = run[Symbol.asyncIterator]();
  socket.say({ type: "closed", sub: 2, reason: "end", status: "completed" });
  expect(await loop.next()).toMatchObject({ done: true });
  expect(listeners()).toBe(0);
  const result = client.result("r", signal);
  await turn();
  socket.say({ type: "ok", id: socket.last("result").id as number, status: "completed", output: 1 });
  expect(await result).toBe(1);
  expect(listeners()).toBe(0);
});

test("aborting a start leaves nothing behind", async () => {
  const { client, sockets } = fakeClient();
  await turn();
  sockets[0]?.open();
  const abort = new AbortController();
  const starting = client.run("graph", null, { signal: abort.signal });
  await turn();
  abort.abort(new Error("enough"));
  await expect(starting).rejects.toThrow("enough");
  expect(sockets[0]?.sent.filter(({ type }) => type === "unsubscribe")).toHaveLength(1);
  sockets[0]?.drop();
  await expect.poll(() => sockets).toHaveLength(2);
  sockets[1]?.open();
  expect(sockets[1]?.sent.map(({ type }) => type)).toEqual(["hello"]);
});

test("return() ends a loop that waits, at once", async () => {
  const { run } = await running();
  const loop = run[Symbol.asyncIterator]();
  const waiting = loop.next();
  await loop.return?.();
  expect(await waiting).toEqual({ done: true, value: undefined });
});

test("a loop ends at a pause, and goes on within itself when it is answered there", async () => {
  const { run, socket } = await running();
  const pause = (n: number, id: string) => [
    event(n, n, "interrupt", { interrupts: [{ id, value: "sure?", ns: [] }] }),
    life(n + 1, n + 1, "interrupted"),
  ];
  socket.say(...pause(1, "i"));
  const seen: string[] = [];
  for await (const each of run) {
    seen.push(each.mode === "lifecycle" ? each.status : each.mode);
    if (each.mode !== "lifecycle" || each.status !== "interrupted" || seen.includes("running")) continue;
    expect(run.interrupts).toMatchObject([{ id: "i", value: "sure?" }]);
    const answering = run.answer("yes");
    await turn();
    const { id, responses } = socket.last("respond");
    expect(responses).toEqual([{ interrupt: "i", value: "yes" }]);
    socket.say({ type: "ok", id: id as number, status: "running" }, life(3, 3, "running"), ...pause(4, "j"));
    expect(await answering).toBe("running");
  }
  expect(seen).toEqual(["interrupt", "interrupted", "running", "interrupt", "interrupted"]);
  expect(run.interrupts).toMatchObject([{ id: "j" }]);
});

test("a loop that is answered at its pause waits for what follows", async () => {
  const { run, socket } = await running();
  socket.say(life(1, 1, "interrupted"));
  const loop = run[Symbol.asyncIterator]();
  expect(await take(loop, 1)).toEqual(["interrupted"]);
  const answering = run.respond();
  await turn();
  socket.say({ type: "ok", id: socket.last("respond").id as number, status: "running" });
  await answering;
  const next = take(loop, 1);
  await turn();
  socket.say(life(2, 2, "running"));
  expect(await next).toEqual(["running"]);
});

test("what is not one question has to be named", async () => {
  const { run } = await running();
  await expect(run.answer("x")).rejects.toThrow(TypeError);
});

test("a gap is shown, and its snapshot heals it", async () => {
  const healed: unknown[] = [];
  const { run, socket } = await running({
    onHealed: (gap, snapshot) => healed.push([gap.uptoSeq, snapshot.seq]),
  });
  expect(run.isCaughtUp).toBe(true);
  socket.say(
    { type: "gap", sub: 1, after_seq: 0, upto_seq: 9, reason: "evicted", lost: ["custom"] },
    { type: "snapshot", sub: 1, seq: 9, status: "running", values: { a: 1 }, messages: [], interrupts: [] },
    event(1, 10, "custom", 1),
  );
  expect(run.isCaughtUp).toBe(false);
  expect(await take(run[Symbol.asyncIterator](), 3)).toEqual(["gap 9", "snapshot 9", "custom 10"]);
  expect(healed).toEqual([[9, 9]]);
  expect(run).toMatchObject({ isCaughtUp: true, values: { a: 1 } });
});

test("a loop that is left between a gap and its snapshot brings both again", async () => {
  const { run, socket } = await running();
  socket.say({ type: "gap", sub: 1, after_seq: 0, upto_seq: 9, reason: "evicted", lost: [] });
  for await (const { mode } of run) if (mode === "gap") break;
  void run[Symbol.asyncIterator]().next();
  await turn();
  expect(socket.last("subscribe").from).toEqual({ epoch: "e", seq: 0 });
});

test("a run is caught up once the server says so and all of it has been taken", async () => {
  const { run, socket } = await attached(1, { after: 0 }, event(1, 1, "custom", 1));
  const loop = run[Symbol.asyncIterator]();
  await take(loop, 1);
  expect(run.isCaughtUp).toBe(false);
  socket.say({ type: "synced", sub: 1, head: 1 });
  await turn();
  void loop.next();
  await turn();
  expect(run.isCaughtUp).toBe(true);
  socket.drop();
  expect(run.isCaughtUp).toBe(false);
});

test("a second loop takes over, and the first one says so", async () => {
  const { run, socket } = await running();
  const first = run[Symbol.asyncIterator]().next();
  const second = run[Symbol.asyncIterator]().next();
  await expect(first).rejects.toThrow("another loop");
  socket.say(event(1, 1, "custom", 1));
  expect(await second).toMatchObject({ value: { seq: 1 } });
});

test("attaching without modes takes those of the usual ones that the run records", async () => {
  const { client, sockets } = fakeClient();
  await turn();
  const socket = sockets[0] as FakeSocket;
  socket.open();
  const attaching = client.attach("r");
  await turn();
  const { id } = socket.last("subscribe");
  const details = { recorded: { modes: ["messages", "values"] } };
  socket.say({ type: "error", id: id as number, code: "unsupported", message: "", retry: "never", details });
  await turn();
  const again = socket.last("subscribe");
  expect(again.filter).toEqual({ modes: ["lifecycle", "messages"] });
  socket.say({ ...subscribed(again.id, 0), sub: 2 });
  expect((await attaching).id).toBe("r");
});

test("a refused request throws, and one that came too soon is sent again", async () => {
  const { client, sockets } = fakeClient();
  await turn();
  const socket = sockets[0] as FakeSocket;
  socket.open();
  const cancelling = client.cancel("r");
  await turn();
  const refusal = { type: "error", message: "slowly", code: "rate_limited", retry: "after", after_ms: 1 };
  socket.say({ ...refusal, id: socket.last("cancel").id as number });
  await expect.poll(() => socket.sent.filter(({ type }) => type === "cancel")).toHaveLength(2);
  socket.say({ ...refusal, id: socket.last("cancel").id as number, code: "not_found", retry: "never" });
  await expect(cancelling).rejects.toThrow(Refused);
  await expect(cancelling).rejects.toMatchObject({ code: "not_found", name: "Refused" });
});

test("a result waits for the end, and says why a run failed", async () => {
  const { run, socket } = await running();
  const result = run.result();
  await turn();
  socket.say({ type: "ok", id: socket.last("result").id as number, status: "failed" });
  await turn();
  const { id, filter } = socket.last("subscribe");
  expect(filter).toEqual({ modes: ["lifecycle"] });
  const error = { code: "graph_error", message: "broken", error_id: "E1" };
  socket.say({ ...subscribed(id, 1), sub: 2, after: 0 }, { ...life(1, 1, "failed", { error }), sub: 2 });
  socket.say({ type: "closed", sub: 2, reason: "end", status: "failed" });
  await expect(result).rejects.toThrow(RunFailed);
  await expect(result).rejects.toMatchObject({ code: "graph_error", errorId: "E1" });
});

test("a subscription that the server closes is an error", async () => {
  const { run, socket } = await running();
  socket.say({ type: "closed", sub: 1, reason: "deleted" });
  await expect(run[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: "not_found" });
});

test("everything that waits gets the error with which the client is closed", async () => {
  const { client, run } = await running();
  const waiting = [
    run[Symbol.asyncIterator]().next(),
    run.result(),
    client.state("g", "t"),
    client.watch().next(),
  ];
  await turn();
  client.close();
  await Promise.all(
    waiting.map((each) => expect(each).rejects.toMatchObject({ name: "ConnectionClosed", code: 1000 })),
  );
  await expect(client.run("g")).rejects.toMatchObject({ name: "ConnectionClosed" });
});

test("lists are read page by page, and states as LangGraph has them", async () => {
  const { client, sockets } = fakeClient();
  await turn();
  const socket = sockets[0] as FakeSocket;
  socket.open();
  const listing = (async () => {
    const out: string[] = [];
    for await (const { run } of client.runs({ graph: "g", limit: 3 })) out.push(run);
    return out;
  })();
  await vi.waitFor(() => socket.last("list"), 20_000); // its code is loaded first
  expect(socket.last("list")).toMatchObject({ what: "runs", graph: "g", limit: 3 });
  socket.say({
    type: "ok",
    id: socket.last("list").id as number,
    runs: [{ run: "a" }, { run: "b" }],
    cursor: "c",
  });
  await turn();
  expect(socket.last("list")).toMatchObject({ cursor: "c", limit: 1 });
  socket.say({ type: "ok", id: socket.last("list").id as number, runs: [{ run: "c" }], cursor: "d" });
  expect(await listing).toEqual(["a", "b", "c"]);
  const asking = client.state("g", "t", { keys: ["a"] });
  await vi.waitFor(() => socket.last("state"), 20_000); // its code is loaded first
  const config = { configurable: { checkpoint_id: "c1" } };
  const tasks = [
    {
      id: "t",
      name: "n",
      path: [],
      interrupts: [{ id: "i", value: { $int: "5" } }],
      state: { values: {}, next: ["m"] },
    },
  ];
  socket.say({
    type: "ok",
    id: socket.last("state").id as number,
    values: { a: { $int: "7" } },
    next: ["n"],
    config,
    tasks,
  });
  expect(await asking).toMatchObject({
    values: { a: 7n },
    next: ["n"],
    checkpoint: "c1",
    tasks: [{ id: "t", interrupts: [{ id: "i", value: 5n }], state: { next: ["m"] } }],
  });
});

test("a watch is left when its loop is, and its signal ends it", async () => {
  const { client, sockets } = fakeClient();
  await turn();
  const socket = sockets[0] as FakeSocket;
  socket.open();
  const abort = new AbortController();
  const watch = client.watch({ graphs: ["g"], signal: abort.signal });
  const first = watch.next();
  // A watch is loaded on demand, which takes more than a turn.
  await expect.poll(() => socket.sent.at(-1)?.type).toBe("watch");
  const { id, sub } = socket.last("watch");
  socket.say(
    { type: "subscribed", id: id as number, sub: sub as number },
    { type: "run_info", sub: sub as number, run: "a", status: "running" },
  );
  expect(await first).toMatchObject({ value: { run: "a", status: "running" } });
  const second = watch.next();
  abort.abort(new Error("enough"));
  await expect(second).rejects.toThrow("enough");
  expect(socket.sent.at(-1)).toMatchObject({ type: "unsubscribe", sub });
});
