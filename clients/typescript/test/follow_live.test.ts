/** Following a thread against a real gateway: what others start, cuts, deletions and restarts. */

import { afterAll, beforeAll, expect, test } from "vitest";
import {
  type Client,
  type ConnectOptions,
  connect,
  type Event,
  type FollowEvent,
  type Mode,
  type ThreadFollower,
} from "../src/index.js";
import { CuttingProxy, Gateway, newDatabase, webSocket } from "./gateway.js";

let serve = ["chat=./chat.py:chat", "--checkpointer", "./chat.py:saver", "--port"];

let gateway: Gateway;
let threads = 0;
const clients: Client[] = [];

beforeAll(async () => {
  serve = [await newDatabase(), ...serve];
  gateway = await Gateway.start(...serve, "0");
}, 60_000);

afterAll(async () => {
  for (const client of clients) client.close();
  await gateway.stop();
});

function connected(options: ConnectOptions & { url?: string } = {}): Client {
  const client = connect(options.url ?? gateway.url, {
    webSocket,
    backoff: { firstMs: 1, longestMs: 5 },
    onState: () => {},
    ...options,
  });
  clients.push(client);
  return client;
}

const newThread = () => `t${threads++}`;
const said = (content: string) => ({ messages: [{ type: "human", content, id: `h-${content}` }] });
const texts = ({ messages }: ThreadFollower) => messages.map(({ text }) => text);

/** Return a short name of each event: why a list of messages comes, or the event's mode. */
const names = (events: FollowEvent[]) =>
  events.map((event) => (event.mode === "thread" ? event.because : event.mode));

/** Return the events up to the one that is wanted. */
async function until(
  follower: ThreadFollower,
  isWanted: (event: FollowEvent) => boolean,
): Promise<FollowEvent[]> {
  const events: FollowEvent[] = [];
  for (;;) {
    const { value, done } = await follower.next();
    if (done) throw new Error(`it ended behind ${names(events)}`);
    events.push(value);
    if (isWanted(value)) return events;
  }
}

const isState = (because: string) => (event: FollowEvent) =>
  event.mode === "thread" && event.because === because;

/** Return the events that come from a run, each with its place in its log and what it brought. */
const seen = (events: (Event | FollowEvent)[]) =>
  events.flatMap((event) => {
    if (event.mode === "messages") return [`${event.run} ${event.seq} ${JSON.stringify(event.message.sent)}`];
    return event.mode === "custom" || event.mode === "lifecycle"
      ? [`${event.run} ${event.seq} ${event.mode}`]
      : [];
  });

/** How many runs the followers across cuts see. */
const RUNS = 8;

/** The longer a connection, the more of it passes. */
const CUTS = Array.from({ length: 100 }, (_, connection) => 3000 + 400 * connection);

const ANSWER = `I say yes ${Array.from({ length: 20 }, (_, number) => `${number} `).join("")}`;

test("a run of somebody else comes from its first event to its end", async () => {
  const thread = newThread();
  const follower = await connected().follow("chat", thread);
  expect(names(await until(follower, isState("state")))).toEqual(["state"]);
  expect(follower).toMatchObject({ messages: [], run: undefined });
  const waiting = until(follower, isState("end"));
  const run = await connected().run("chat", said("plain"), { thread, modes: ["messages", "custom"] });
  const events = await waiting;
  expect(names(events).slice(0, 2)).toEqual(["run", "start"]);
  expect(events[0]).toMatchObject({ run: run.id, number: 1, checkpoint: "", missing: [] });
  expect(names(events)).toEqual(expect.arrayContaining(["messages", "custom", "input"]));
  expect(names(events).slice(-2)).toEqual(["lifecycle", "end"]);
  expect(texts(follower)).toEqual(["plain", "well now", ANSWER]);
  expect(follower.messages.map(({ type }) => type)).toEqual(["human", "ai", "ai"]);
  expect(follower.run).toBeUndefined();
});

test("a question is answered through the follower, and a late follower sees the same", async () => {
  const thread = newThread();
  const client = connected();
  await client.run("chat", said("ask"), { thread, modes: ["messages"] });
  const follower = await connected().follow("chat", thread);
  await until(follower, isState("pause"));
  expect(texts(follower)).toEqual(["ask", "well now"]);
  const { run } = follower;
  expect(run?.interrupts).toMatchObject([{ value: "sure?" }]);
  const waiting = until(follower, isState("end"));
  await run?.answer("indeed");
  expect(names(await waiting)).not.toContain("run");
  expect(texts(follower)[2]).toContain("I say indeed");
  const late = await client.follow("chat", thread);
  expect(names(await until(late, isState("state")))).toEqual(["state"]);
  expect(texts(late)).toEqual(texts(follower));
});

test("values are followed exactly, and shown as events only if asked for", async () => {
  const thread = newThread();
  const [few, all] = [
    await connected().follow("chat", thread),
    await connected().follow("chat", thread, { modes: ["values"] }),
  ];
  await Promise.all([few.next(), all.next()]);
  await connected().run("chat", said("plain"), { thread, modes: ["messages", "values"] });
  const [events, whole] = await Promise.all([until(few, isState("end")), until(all, isState("end"))]);
  const lists = events.flatMap((event) =>
    event.mode === "thread" && event.because === "values" ? [event.messages.map(({ text }) => text)] : [],
  );
  expect(lists).toEqual([["plain"], ["plain", "well now"], ["plain", "well now", ANSWER]]);
  expect(events.map(({ mode }) => mode)).not.toContain("values");
  expect(whole.filter(({ mode }) => mode === "values")).toHaveLength(3);
  expect(all.messages.map(({ fields }) => fields)).toEqual(few.messages.map(({ fields }) => fields));
});

test("a run that is deleted while it is read is discarded, and following goes on", async () => {
  const thread = newThread();
  const client = connected();
  const follower = await connected().follow("chat", thread, { window: 1 });
  await follower.next();
  const held = await client.run("chat", said("hold"), { thread, modes: ["messages", "custom"] });
  await until(follower, ({ mode }) => mode === "run");
  for await (const _ of held) if (held.messages.at(-1)?.text === "I hold ") break;
  // Most of it waits in the server for the follower now.
  await held.cancel();
  await expect(held.result()).rejects.toThrow("cancelled");
  await held.delete();
  const events = await until(follower, ({ mode }) => mode === "discard");
  expect(events.at(-1)).toEqual({ mode: "discard", reason: "lost", run: held.id });
  expect(names(await until(follower, isState("state")))).toEqual(["state"]);
  const waiting = until(follower, isState("end"));
  await client.run("chat", said("plain"), { thread, modes: ["messages"] });
  await waiting;
  expect(texts(follower).slice(-3)).toEqual(["plain", "well now", ANSWER]);
});

test("the server is killed and starts again: what was lost is withdrawn, and later runs are shown", async () => {
  const thread = newThread();
  const other = await Gateway.start(...serve, "0");
  const client = connected({ url: other.url });
  await (await client.run("chat", said("plain"), { thread, modes: ["messages"] })).result();
  const follower = await connected({ url: other.url }).follow("chat", thread);
  await follower.next();
  const held = await client.run("chat", said("hold"), { thread, modes: ["messages"] });
  await until(follower, () => texts(follower).at(-1) === "I hold ");
  await other.stop();
  expect(follower.isCaughtUp).toBe(false);
  const next = await Gateway.start(...serve, String(other.port));
  try {
    const events = await until(follower, isState("state"));
    expect(events.find(({ mode }) => mode === "discard")).toEqual({
      mode: "discard",
      reason: "lost",
      run: held.id,
    });
    expect(texts(follower)).toEqual(["plain", "well now", ANSWER, "hold", "well now"]);
    const waiting = until(follower, isState("end"));
    await client.run("chat", said("again"), { thread, modes: ["messages"] });
    expect((await waiting).find(({ mode }) => mode === "run")).toMatchObject({ number: 1 });
    expect(texts(follower).slice(-3)).toEqual(["again", "well now", ANSWER]);
  } finally {
    await next.stop();
  }
}, 120_000); // two servers start

test("across cuts, two followers see each event of each run once, and the thread's state", async () => {
  const thread = newThread();
  const proxy = await CuttingProxy.start(gateway.port, CUTS);
  try {
    const happened: string[] = [];
    const followed = await Promise.all(
      [1, 256].map(async (window) => {
        const follower = await connected({ url: proxy.url }).follow("chat", thread, { window });
        await until(follower, isState("state"));
        return { follower, events: [] as FollowEvent[] };
      }),
    );
    // The state behind an earlier run is not shown if the next run has begun already.
    const isLast = (event: FollowEvent) => isState("end")(event) && event.run === `${thread}-${RUNS - 1}`;
    const reading = followed.map(async (each) => {
      each.events = await until(each.follower, isLast);
    });
    const client = connected();
    for (let number = 0; number < RUNS; number += 1) {
      const text = `${number % 3 ? "plain" : "long"} ${number}`;
      const options = { run: `${thread}-${number}`, thread, modes: ["messages", "custom"] as Mode[] };
      const run = await client.run("chat", said(text), options);
      for await (const event of run) happened.push(...seen([event]));
    }
    await Promise.all(reading);
    const state = await client.state<{ messages: { content: string }[] }>("chat", thread);
    const now = state.values.messages.map(({ content }) => content);
    for (const { follower, events } of followed) {
      expect(seen(events)).toEqual(happened);
      expect(texts(follower)).toEqual(now);
      const next = follower.next(); // compares with the state after the last cut
      await expect.poll(() => follower.isCaughtUp, { timeout: 20_000 }).toBe(true);
      await follower.return();
      expect(await next).toMatchObject({ done: true });
      expect(texts(follower)).toEqual(now);
    }
    expect(now).toHaveLength(3 * RUNS);
    expect((await proxy.counts()).cuts).toBeGreaterThanOrEqual(20);
  } finally {
    await proxy.stop();
  }
}, 60_000);

test("the application ends it: by leaving the loop, by its signal, by closing the client", async () => {
  const thread = newThread();
  const client = connected();
  for await (const event of await client.follow("chat", thread)) if (event.mode === "thread") break;
  const left = await client.follow("chat", thread);
  await left.next();
  const waiting = left.next();
  expect(await left.return()).toEqual({ done: true, value: undefined });
  expect(await waiting).toEqual({ done: true, value: undefined });
  expect(await left.next()).toEqual({ done: true, value: undefined });
  const control = new AbortController();
  const aborted = await client.follow("chat", thread, { signal: control.signal });
  await aborted.next();
  const cut = aborted.next();
  control.abort(new Error("unmounted"));
  await expect(cut).rejects.toThrow("unmounted");
  await expect((await client.follow("chat", thread, { signal: control.signal })).next()).rejects.toThrow(
    "unmounted",
  );
  await expect((await client.follow("elsewhere", thread)).next()).rejects.toMatchObject({
    code: "not_found",
  });
  await expect((await client.follow("conformance.counter", "no/thread")).next()).rejects.toMatchObject({
    code: "invalid_argument",
  });
  const last = await client.follow("chat", thread);
  await last.next();
  const ended = last.next();
  client.close();
  await expect(ended).rejects.toMatchObject({ name: "ConnectionClosed" });
  expect(await last.next()).toEqual({ done: true, value: undefined });
});
