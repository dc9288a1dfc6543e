/** Threads as objects against a real gateway: their metadata, searches, and watches of them. */

import { afterAll, beforeAll, expect, test } from "vitest";
import { type Client, connect, type ThreadRow, type ThreadWatchItem } from "../src/index.js";
import { Gateway, webSocket } from "./gateway.js";

const ASK = "conformance.ask";
let gateway: Gateway;
const clients: Client[] = [];

beforeAll(async () => {
  gateway = await Gateway.start();
}, 60_000);

afterAll(async () => {
  for (const client of clients) client.close();
  await gateway.stop();
});

function connected(url = gateway.url): Client {
  const client = connect(url, { webSocket, backoff: { firstMs: 1, longestMs: 5 }, onState: () => {} });
  clients.push(client);
  return client;
}

async function all<T>(rows: AsyncIterable<T>): Promise<T[]> {
  const out: T[] = [];
  for await (const row of rows) out.push(row);
  return out;
}

async function until(
  watch: AsyncIterator<ThreadWatchItem>,
  isWanted: (item: ThreadWatchItem) => unknown,
): Promise<ThreadWatchItem> {
  for (;;) {
    const { value, done } = await watch.next();
    if (done) throw new Error("the watch has ended");
    if (isWanted(value)) return value;
  }
}

const names = (rows: ThreadRow[]) => rows.map(({ thread }) => thread).sort();

test("a thread has a title, is found by it, and shows what it asks", async () => {
  const client = connected();
  expect(await client.thread(ASK, "cats")).toBeUndefined();
  expect(await client.threadUpdate(ASK, "cats", { title: "About Cats", user: "ann" })).toMatchObject({
    graph: ASK,
    thread: "cats",
    metadata: { title: "About Cats", user: "ann" },
  });
  await client.threadUpdate(ASK, "dogs", { title: "About dogs", user: "ann" });
  const run = await client.run(ASK, { topic: "cats" }, { thread: "cats", modes: ["updates"] });
  for await (const _ of run); // until it asks
  expect(await client.thread(ASK, "cats")).toMatchObject({
    status: "interrupted",
    run: run.id,
    interrupts: [run.interrupts[0]?.id],
    questions: [{ value: { about: "cats" }, namespace: [] }],
  });
  expect(names(await all(client.threads({ search: "cats" })))).toEqual(["cats"]);
  expect(names(await all(client.threads({ metadata: { user: "ann" } })))).toEqual(["cats", "dogs"]);
  expect(names(await all(client.threads({ status: ["interrupted"] })))).toEqual(["cats"]);
  expect((await client.threadUpdate(ASK, "cats", { user: null })).metadata).toEqual({ title: "About Cats" });
  await expect(client.threadUpdate("elsewhere", "t", {})).rejects.toMatchObject({ code: "not_found" });
});

test("a watch shows rows, every change, what no longer matches, and what is gone", async () => {
  const client = connected();
  const thread = "watched";
  const watch = connected().watchThreads({ graphs: [ASK], metadata: { list: "w" } });
  expect((await watch.next()).value).toEqual({ status: "synced", cut: 0 });
  await client.threadUpdate(ASK, thread, { list: "w" });
  expect(await until(watch, () => true)).toMatchObject({ thread, metadata: { list: "w" } });
  const run = await client.run(ASK, { topic: "x" }, { thread, modes: ["updates"] });
  await until(watch, (item) => item.status === "interrupted" && "run" in item && item.run === run.id);
  await client.threadUpdate(ASK, thread, { list: "other" });
  await until(watch, (item) => "metadata" in item && item.metadata?.list === "other");
  await client.threadUpdate(ASK, thread, { list: "w", title: "back" });
  await until(watch, (item) => "metadata" in item && item.metadata?.title === "back");
  await run.cancel();
  await client.delete({ graph: ASK, thread });
  expect(await until(watch, ({ status }) => status === "gone")).toEqual({
    status: "gone",
    graph: ASK,
    thread,
    reason: "deleted",
  });
  const control = new AbortController();
  const aborted = connected().watchThreads({ signal: control.signal });
  await aborted.next();
  control.abort(new Error("unmounted"));
  await expect(until(aborted, () => false)).rejects.toThrow("unmounted");
});

test("a server that starts again has forgotten threads, and a watch says so", async () => {
  const other = await Gateway.start();
  const client = connected(other.url);
  const watch = client.watchThreads();
  await client.threadUpdate(ASK, "old", { title: "old" });
  await until(watch, (item) => "thread" in item && item.thread === "old");
  await other.stop();
  const next = await Gateway.start("--port", String(other.port));
  expect(await until(watch, ({ status }) => status === "gone")).toMatchObject({
    thread: "old",
    reason: "unlisted",
  });
  await next.stop();
}, 120_000); // two servers start
