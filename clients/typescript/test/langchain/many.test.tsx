// @vitest-environment happy-dom
/** Many of LangChain's hooks over one connection: ten threads at once, and a line that is cut again and again. */

import { cleanup, render } from "@testing-library/react";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { CuttingProxy, type Gateway } from "../gateway.js";
import { Chat, connected, lines, reply, type Stream, say, start } from "./page.js";

let gateway: Gateway;
const scope = globalThis as { IS_REACT_ACT_ENVIRONMENT?: boolean };

beforeAll(async () => {
  gateway = await start();
  scope.IS_REACT_ACT_ENVIRONMENT = false;
}, 60_000);

afterEach(cleanup);

afterAll(() => gateway.stop());

const THREADS = Array.from({ length: 10 }, (_, index) => `t${index}`);

test("ten threads are live at once over one connection", async () => {
  const proxy = await CuttingProxy.start(gateway.port, [1e9]);
  const client = connected(proxy.url);
  const streams = new Map<string, Stream>();
  render(
    THREADS.map((thread) => (
      <Chat key={thread} client={client} thread={thread} show={(stream) => streams.set(thread, stream)} />
    )),
  );
  for (const thread of THREADS) void streams.get(thread)?.submit(say(thread, { words: 40, pause_s: 0.03 }));
  const all = () => THREADS.map((thread) => streams.get(thread) as Stream);
  // All have begun before any has ended.
  await expect
    .poll(() => all().every((stream) => (lines(stream)[1] ?? "").length > 10), { timeout: 5000 })
    .toBe(true);
  expect(all().map(({ isLoading }) => isLoading)).toEqual(THREADS.map(() => true));
  await expect
    .poll(() => all().map((stream) => lines(stream)[1]), { timeout: 8000 })
    .toEqual(THREADS.map((thread) => `ai: ${reply(thread, 40)}`));
  await expect.poll(() => all().some(({ isLoading }) => isLoading)).toBe(false);
  expect((await proxy.counts()).connections).toBe(1);
  client.close();
  await proxy.stop();
}, 20_000);

test("over a line that is cut again and again the text is exact, and never goes back", async () => {
  const cuts = Array.from({ length: 200 }, (_, connection) => 6000 + (connection % 7) * 900);
  const proxy = await CuttingProxy.start(gateway.port, cuts);
  const client = connected(proxy.url, { backoff: { firstMs: 1, longestMs: 5 }, window: 16 });
  const seen: string[] = [];
  let stream: Stream | undefined;
  const show = (latest: Stream) => {
    stream = latest;
    seen.push(lines(latest)[1] ?? "");
  };
  render(<Chat client={client} thread="cut" show={show} />);
  await stream?.submit(say("cut", { words: 400, pause_s: 0.002 }));
  await expect
    .poll(() => lines(stream), { timeout: 15_000 })
    .toEqual(["human: cut", `ai: ${reply("cut", 400)}`]);
  await expect.poll(() => stream?.isLoading).toBe(false);
  expect((await proxy.counts()).cuts).toBeGreaterThan(3);
  for (const [index, text] of seen.entries()) expect(text.startsWith(seen[index - 1] ?? "")).toBe(true);
  expect(stream?.error).toBeUndefined();
  client.close();
  await proxy.stop();
}, 30_000);
