import { expect, test } from "vitest";
import { WatchQueue } from "../src/watch_queue.js";

const row = (run: string, status: string, more = {}) => ({
  epoch: undefined,
  frame: { type: "run_info", sub: 1, run, status, ...more } as never,
});
const gone = (run: string) => ({
  epoch: undefined,
  frame: { type: "run_gone", sub: 1, run, reason: "deleted" } as never,
});
const synced = (cut?: number) => ({ epoch: undefined, frame: { type: "synced", sub: 1, cut } as never });

async function taken(queue: WatchQueue, count: number): Promise<string[]> {
  const out: string[] = [];
  for (let index = 0; index < count; index += 1) {
    const item = await queue.take();
    out.push("run" in item ? `${item.run} ${item.status}` : item.status);
  }
  return out;
}

test("a row that comes again before it is taken is queued once", async () => {
  const queue = new WatchQueue(1);
  for (const item of [row("a", "running"), row("b", "running"), row("a", "running"), synced()])
    queue.put(item);
  expect(await taken(queue, 3)).toEqual(["b running", "a running", "synced"]);
});

test("a list after a reconnect that names a run no more says that it is gone", async () => {
  const queue = new WatchQueue(1);
  for (const item of [row("a", "running"), row("b", "running"), synced()]) queue.put(item);
  await taken(queue, 3);
  queue.beginList();
  queue.put(row("b", "running"));
  queue.put(synced());
  expect(await taken(queue, 3)).toEqual(["b running", "a gone", "synced"]);
});

test("a list that is cut proves nothing", async () => {
  const queue = new WatchQueue(1);
  queue.put(row("a", "running"));
  await taken(queue, 1);
  queue.beginList();
  queue.put(synced(7));
  expect(await queue.take()).toEqual({ status: "synced", cut: 7 });
});

test("the row with which a run leaves the watch is not followed by gone", async () => {
  const queue = new WatchQueue(1, ["running"]);
  queue.put(row("a", "running"));
  queue.put(row("a", "completed"));
  queue.beginList();
  queue.put(synced());
  expect(await taken(queue, 3)).toEqual(["a running", "a completed", "synced"]);
});

test("of a run that is gone, only a reader that knows it hears", async () => {
  const queue = new WatchQueue(1);
  queue.put(row("a", "running"));
  await taken(queue, 1);
  for (const item of [row("a", "completed"), row("b", "running"), gone("a"), gone("b"), synced()])
    queue.put(item);
  expect(await taken(queue, 2)).toEqual(["a gone", "synced"]);
});

test("an id that is used again is another run", async () => {
  const queue = new WatchQueue(1);
  queue.put(row("a", "running"));
  await taken(queue, 1);
  for (const item of [gone("a"), row("a", "queued"), gone("a"), row("a", "running")]) queue.put(item);
  expect(await taken(queue, 2)).toEqual(["a gone", "a running"]);
});

test("a reader that waits is woken by a row, and by the end", async () => {
  const queue = new WatchQueue(1);
  const waiting = queue.take();
  queue.put(row("a", "running"));
  expect(await waiting).toMatchObject({ run: "a" });
  const ending = queue.take();
  queue.fail(new Error("over"));
  await expect(ending).rejects.toThrow("over");
});
