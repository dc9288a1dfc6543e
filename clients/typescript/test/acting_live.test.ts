/** Acting on runs that are found first, against a real gateway: all that match, and the one of a thread. */

import { afterAll, beforeAll, expect, test } from "vitest";
import { type Client, connect, type Status } from "../src/index.js";
import { Gateway, newDatabase, webSocket } from "./gateway.js";

let serve = ["chat=./chat.py:chat", "--checkpointer", "./chat.py:saver", "--port"];

let gateway: Gateway;
let client: Client;

beforeAll(async () => {
  serve = [await newDatabase(), ...serve];
  gateway = await Gateway.start(...serve, "0");
  const backoff = { firstMs: 1, longestMs: 5 };
  client = connect(gateway.url, { webSocket, backoff, onState: () => {} });
}, 60_000);

afterAll(async () => {
  client.close();
  await gateway.stop();
});

const said = (content: string) => ({ messages: [{ type: "human", content }] });

/** Start a run and return its id as soon as it has this status. */
async function started(text: string, thread: string, wanted: Status, batch = "other"): Promise<string> {
  const run = await client.run("chat", said(text), {
    thread,
    modes: ["lifecycle"],
    metadata: { batch },
  });
  for await (const event of run) if (event.mode === "lifecycle" && event.status === wanted) break;
  return run.id;
}

test("cancelling by a filter cancels what matches and has not ended, and nothing else", async () => {
  const held = await started("hold", "a", "running", "mine");
  const asking = await started("ask", "b", "interrupted", "mine");
  await started("plain", "c", "completed", "mine");
  const other = await started("hold", "d", "running");
  const cancelled = await client.cancel({ metadata: { batch: "mine" } }, "enough");
  expect(new Set(cancelled)).toEqual(new Set([held, asking]));
  await expect(client.result(held)).rejects.toMatchObject({ name: "RunCancelled", reason: "enough" });
  expect(await client.cancel({ metadata: { batch: "mine" } })).toEqual([]);
  expect(await client.cancel({ status: ["completed"] })).toEqual([]);
  expect((await client.runs({ status: ["running"] }).next()).value).toMatchObject({ run: other });
  await expect(client.cancel({})).rejects.toThrow(TypeError);
  await expect(client.cancel({ graph: "chat", thread: undefined as never })).rejects.toThrow("all given");
  expect(await client.cancel({ thread: "d" })).toEqual([other]);
});

test("a thread is answered by its run, and without it after a restart", async () => {
  const where = { graph: "chat", thread: "asks" };
  const run = await started("ask", "asks", "interrupted");
  const [asked] = (await client.state("chat", "asks")).interrupts;
  const id = asked?.id as string;
  expect(await client.respond(where, { [id]: "indeed" })).toBe("running");
  expect(JSON.stringify(await client.result(run))).toContain("I say indeed");
  await expect(client.respond(where, { [id]: "again" })).rejects.toMatchObject({ code: "conflict" });

  await started("ask more", "asks", "interrupted");
  await gateway.stop();
  gateway = await Gateway.start(...serve, String(gateway.port));
  const [open] = (await client.state("chat", "asks")).interrupts;
  await expect(client.respond(where, { nobody: 1 })).rejects.toMatchObject({ code: "not_found" });
  await expect(client.respond(where)).rejects.toMatchObject({ code: "conflict" });
  await client.respond(where, { [open?.id as string]: "after all" });
  const { value: resumed } = await client.runs({ ...where, limit: 1 }).next();
  expect(JSON.stringify(await client.result(resumed?.run ?? ""))).toContain("I say after all");
}, 60_000);
