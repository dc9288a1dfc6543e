/** The client against a real gateway, and before a proxy that cuts it off at any byte. It runs in Node and in Chromium. */

import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  type Client,
  type ConnectOptions,
  connect,
  type Event,
  type Run,
  RunInterrupted,
} from "../src/index.js";
import { addDelta } from "../src/protocol/deltas.js";
import type { JsonObject } from "../src/protocol/json.js";
import { apply } from "../src/protocol/patches.js";
import { CuttingProxy, Gateway, python, webSocket } from "./gateway.js";

let gateway: Gateway;
const clients: Client[] = [];

beforeAll(async () => {
  gateway = await Gateway.start();
}, 120_000);

afterAll(async () => {
  for (const client of clients) client.close();
  await gateway.stop();
});

function connected(options: ConnectOptions & { url?: string } = {}): Client {
  const client = connect(options.url ?? gateway.url, { webSocket, ...options });
  clients.push(client);
  return client;
}

async function all(run: Run): Promise<Event[]> {
  const events: Event[] = [];
  for await (const event of run) events.push(event);
  return events;
}

const numbers = (events: Event[]) =>
  events.flatMap((event) => (event.mode === "custom" ? [(event.data as { i: number }).i] : []));

describe("a run", () => {
  test("shows its events, its state and its result", async () => {
    const run = await connected().run("conformance.values", { text: "a" }, { modes: ["values", "updates"] });
    const events = await all(run);
    expect(events.map(({ mode }) => mode)).toEqual([
      "lifecycle",
      "values",
      "updates",
      "values",
      "updates",
      "values",
      "lifecycle",
    ]);
    expect(run.values).toEqual({ text: "a", first: "a1", second: "a2" });
    expect(await run.result()).toEqual(run.values);
    expect(run).toMatchObject({ status: "completed", isCaughtUp: true });
  });

  test("shows the same states whole and as patches", async () => {
    const client = connected();
    const [whole, patched] = await Promise.all(
      (["full", "patch"] as const).map(async (values) => {
        const run = await client.run(
          "conformance.values",
          { text: "b".repeat(300) },
          { modes: ["values"], values },
        );
        return (await all(run)).flatMap((event) => (event.mode === "values" ? [event.data] : []));
      }),
    );
    expect(patched).toEqual(whole);
    expect(whole).toHaveLength(3);
  });

  test("adds up the messages of nodes that speak at the same time", async () => {
    const run = await connected().run("conformance.talk", { words: 20 }, { modes: ["messages"] });
    await all(run);
    const said = Object.fromEntries(
      run.messages.map(({ text, metadata }) => [metadata.langgraph_node, text]),
    );
    const words = (side: string) => Array.from({ length: 20 }, (_, index) => `${side}${index} `).join("");
    expect(said).toEqual({ left: words("l"), right: words("r") });
    expect(run.messages.every(({ isComplete }) => isComplete)).toBe(true);
  });

  test("asks, is answered, and continues", async () => {
    const run = await connected().run(
      "conformance.ask",
      { topic: "cats" },
      { modes: ["updates"], thread: "ask" },
    );
    await all(run);
    expect(run.interrupts).toMatchObject([{ value: { about: "cats" } }]);
    await expect(run.result()).rejects.toThrow(RunInterrupted);
    expect(await run.answer("yes")).toBe("running");
    await all(run);
    expect(await run.result()).toMatchObject({ answer: "yes", done: true });
    const state = await connected().state("conformance.ask", "ask");
    expect(state).toMatchObject({ values: { answer: "yes" }, next: [] });
    const history: unknown[] = [];
    for await (const { values } of connected().stateHistory("conformance.ask", "ask")) history.push(values);
    expect(history[0]).toEqual(state.values);
    const threads: string[] = [];
    for await (const { thread } of connected().threads({ graph: "conformance.ask" })) threads.push(thread);
    expect(threads).toEqual(["ask"]);
  });

  test("is cancelled, and a watch sees it", async () => {
    const client = connected();
    const watch = client.watch({ graphs: ["conformance.slow"] });
    expect((await watch.next()).value).toEqual({ status: "synced", cut: 0 });
    const run = await client.run("conformance.slow", {}, { modes: ["custom"] });
    for await (const { mode } of run) if (mode === "custom") break;
    await run.cancel("enough");
    await expect(run.result()).rejects.toMatchObject({ name: "RunCancelled", reason: "enough" });
    const statuses: string[] = [];
    for await (const item of watch) {
      statuses.push(item.status);
      if (item.status === "cancelled") break;
    }
    expect(statuses.at(-1)).toBe("cancelled");
  });

  test("fails with its reason", async () => {
    const run = await connected().run("conformance.fails", { after: 2 }, { modes: ["custom"] });
    expect(numbers(await all(run))).toEqual([0, 1]);
    await expect(run.result()).rejects.toMatchObject({ name: "RunFailed", code: "graph_error" });
  });

  test("is found by another client, which sees all of it", async () => {
    const run = await connected().run("conformance.counter", { count: 50 }, { modes: ["custom"] });
    await run.result();
    const other = await connected().attach(run.id, { window: 4 });
    expect(numbers(await all(other))).toHaveLength(50);
  });

  test("takes an input of many bytes, asked for before the server has said welcome", async () => {
    const value = "é".repeat(200_000);
    const run = await connected().run("conformance.echo", { value }, { modes: ["lifecycle"] });
    expect(await run.result()).toEqual({ value });
    await expect(connected().run("conformance.echo", { value: value + value + value })).rejects.toThrow(
      RangeError,
    );
  });

  test("sends and returns what JSON cannot express", async () => {
    const value = {
      big: 2n ** 70n,
      set: new Set([1, 2]),
      bytes: Uint8Array.of(1, 2),
      nan: Number.NaN,
      $key: "x",
    };
    const run = await connected().run("conformance.echo", { value }, { modes: ["custom"] });
    expect(await run.result()).toEqual({ value });
  });
});

test("cut a thousand times, at any byte, it loses nothing and shows nothing twice", async () => {
  const COUNT = 2000; // fewer than a log keeps, so that a slow reader meets no gap
  const proxy = await CuttingProxy.start(gateway.port, 7);
  const backoff = { firstMs: 1, longestMs: 2 };
  const client = connected({ url: proxy.url, backoff, window: 32, onState: () => {} });
  try {
    while ((await proxy.counts()).cuts < 1000) {
      const run = await client.run("conformance.counter", { count: COUNT }, { modes: ["custom"] });
      const events = await all(run);
      // Every event of the log: its start, the numbers from 0, its end.
      expect(events.length).toBe(COUNT + 2);
      expect(events.findIndex(({ seq }, index) => seq !== index + 1)).toBe(-1);
      expect(numbers(events).findIndex((number, index) => number !== index)).toBe(-1);
    }
    expect((await proxy.counts()).stalls).toBeGreaterThan(10);
  } finally {
    client.close();
    await proxy.stop();
  }
}, 300_000);

test("a server that restarts has forgotten the run, and the client says so", async () => {
  const other = await Gateway.start();
  const client = connected({ url: other.url, backoff: { firstMs: 1 }, onState: () => {} });
  const run = await client.run("conformance.slow", {}, { modes: ["custom"] });
  const waiting = all(run);
  await other.stop();
  const next = await Gateway.start("--port", String(other.port));
  await expect(waiting).rejects.toMatchObject({ code: "not_found", details: { kind: "run" } });
  client.close();
  await next.stop();
}, 120_000);

describe("the pure parts agree with the gateway's", () => {
  const key = fc.constantFrom(
    "content",
    "id",
    "index",
    "type",
    "name",
    "usage_metadata",
    "a",
    "created",
    "__proto__",
  );
  const { value } = fc.letrec((tie) => ({
    leaf: fc.oneof(
      fc.constantFrom("x", "", "lc_1", null, true),
      fc.integer({ min: 0, max: 3 }),
      fc.constant(1.5),
    ),
    list: fc.array(tie("value"), { maxLength: 3 }),
    object: fc.dictionary(key, tie("value"), { maxKeys: 4, noNullPrototype: true }),
    value: fc.oneof({ maxDepth: 3 }, tie("leaf"), tie("list"), tie("object")),
  }));
  const object = fc.dictionary(key, value as fc.Arbitrary<unknown>, { maxKeys: 5, noNullPrototype: true });

  test("on how deltas add up", async () => {
    const pairs = fc.sample(fc.tuple(object, object), 2000) as [JsonObject, JsonObject][];
    const cases = pairs.map(([message, { id: _, ...delta }]) => [message, delta] as [JsonObject, JsonObject]);
    const program = `
import json, sys
from graphwire_protocol.deltas import add_delta
print(json.dumps([add_delta(message, delta) for message, delta in json.load(sys.stdin)]))`;
    const sums = JSON.parse(await python(program, JSON.stringify(cases)));
    cases.forEach(([message, delta], index) => {
      expect([message, delta, addDelta(message, delta)]).toEqual([message, delta, sums[index]]);
    });
  });

  test("on what a patch makes of a state", async () => {
    const cases = fc.sample(fc.tuple(value as fc.Arbitrary<unknown>, value as fc.Arbitrary<unknown>), 2000);
    const program = `
import json, sys
from graphwire_protocol.patches import difference
print(json.dumps([difference(old, new) for old, new in json.load(sys.stdin)]))`;
    const patches = JSON.parse(await python(program, JSON.stringify(cases)));
    cases.forEach(([old, now], index) => {
      expect([old, now, apply(old, patches[index])]).toEqual([old, now, now]);
    });
  });
});
