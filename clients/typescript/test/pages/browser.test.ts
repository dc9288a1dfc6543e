/** What only a browser does to a client: it goes offline, hides, freezes, reloads and closes pages, and has origins. */

import { existsSync, mkdtempSync, readdirSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, BrowserContext, Page } from "playwright";
import { afterAll, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { connect } from "../../src/index.js";
import { bundle, launch, PACKAGE, Site } from "../chromium.js";
import { CuttingProxy, Gateway, webSocket } from "../gateway.js";
import { Window } from "./tabs.js";

/** What the page below has: the client, its states and its run. Closures that a page evaluates see these. */
declare const graphwire: typeof import("../../src/index.js");
declare const states: string[];
declare const numbers: number[];
declare const countTo: (url: string, total: number, firstMs: number) => Promise<string>;

const PAGE = `<!doctype html><title>a page</title><script type="module">
  import * as graphwire from "./graphwire.js";
  const states = [], numbers = [];
  async function countTo(url, total, firstMs) {
    const backoff = { firstMs, longestMs: firstMs, random: () => 1 };
    const client = graphwire.connect(url, { backoff, onState: ({ state }) => states.push(state) });
    const input = { count: total, burst: 1, pause_s: 0.005 };
    const run = await client.run("conformance.counter", input, { modes: ["custom"] });
    const take = async () => {
      for await (const { mode, data } of run) if (mode === "custom") numbers.push(data.i);
      states.push("ended");
    };
    void take();
    return run.id;
  }
  for (const change of ["freeze", "resume"]) document.addEventListener(change, () => states.push(change));
  Object.assign(window, { graphwire, states, numbers, countTo });
</script>`;

vi.setConfig({ testTimeout: 60_000 }); // Chromium starts slowly on a busy machine
const folder = mkdtempSync(join(tmpdir(), "graphwire-pages-"));
let browser: Browser;
let site: Site;
let gateway: Gateway;
let context: BrowserContext;
let page: Page;
let said: string[];

beforeAll(async () => {
  // A name that is not this machine's, and leads to it.
  browser = await launch("--host-resolver-rules=MAP app.example 127.0.0.1");
  const config = join(folder, "graphwire.toml");
  writeFileSync(config, "[limits]\ndisconnect_grace_s = 0\n");
  gateway = await Gateway.start("--config", config, "--port", "0");
  site = await Site.serve(PACKAGE, {
    "/": PAGE,
    "/graphwire.js": bundle("src/index.ts"),
    "/favicon.ico": "",
  });
}, 120_000);

afterAll(async () => {
  await browser?.close();
  await gateway?.stop();
  site?.stop();
  rmSync(folder, { recursive: true });
});

beforeEach(async () => {
  context = await browser.newContext();
  page = await context.newPage();
  said = [];
  page.on("console", (message) => said.push(`${message.type()}: ${message.text()}`));
  page.on("pageerror", (error) => said.push(`uncaught: ${error.message}`));
  await page.goto(site.url());
  return () => context.close();
});

/** Connect in the page, note every state, and take the numbers of a run that counts, slowly, to the end. */
const count = (url: string, total: number, firstMs = 1): Promise<string> =>
  page.evaluate(([url, total, firstMs]) => countTo(url, total, firstMs), [url, total, firstMs] as const);

/** A proxy that cuts the first connection, in the midst of its events, and no other. */
const cutOnce = () =>
  CuttingProxy.start(gateway.port, (connection) => ({
    bytes: connection ? Number.POSITIVE_INFINITY : 3000,
    stall: () => 0,
  }));

const upTo = (total: number) => Array.from({ length: total }, (_, number) => number);

/** Wait until the page's run has ended, and return the numbers that the page took. */
async function counted(): Promise<number[]> {
  await page.waitForFunction(() => states.includes("ended"));
  return page.evaluate(() => numbers);
}

test("a page that goes offline continues when it is online again, without the rest of its wait", async () => {
  const proxy = await cutOnce();
  await count(proxy.url, 100, 1e9);
  await page.waitForFunction(() => states.includes("waiting"));
  await context.setOffline(true);
  expect(await page.evaluate(() => [navigator.onLine, states.at(-1)])).toEqual([false, "waiting"]);
  await context.setOffline(false);
  expect(await counted()).toEqual(upTo(100));
  expect(proxy.cuts).toBe(1);
  await proxy.stop();
});

test("a tab that was hidden continues when it is seen again, without the rest of its wait", async () => {
  const proxy = await cutOnce();
  const window = await Window.open();
  try {
    const tab = await window.tab(site.url());
    const is = (expression: string) =>
      vi.waitFor(async () => expect(await tab.value(expression)).toBe(true), {
        timeout: 30_000,
        interval: 50,
      });
    await is("'countTo' in window");
    await window.tab("about:blank");
    await is("document.visibilityState === 'hidden'");
    await tab.value(`countTo(${JSON.stringify(proxy.url)}, 100, 1e9)`);
    await is("states.at(-1) === 'waiting'");
    expect(await tab.value("[document.visibilityState, states.at(-1)]")).toEqual(["hidden", "waiting"]);
    await tab.show();
    await is("states.at(-1) === 'ended'");
    expect(await tab.value("numbers")).toEqual(upTo(100));
  } finally {
    await window.close();
    await proxy.stop();
  }
});

test("a tab that was frozen in mid-stream loses nothing, while the server does not wait for it", async () => {
  const window = await Window.open();
  const client = connect(gateway.url, { webSocket });
  try {
    const tab = await window.tab(site.url());
    const is = (expression: string) =>
      vi.waitFor(async () => expect(await tab.value(expression)).toBe(true), {
        timeout: 30_000,
        interval: 50,
      });
    await is("'countTo' in window");
    const run = await tab.value<string>(`countTo(${JSON.stringify(gateway.url)}, 1000, 1)`);
    await is("numbers.length > 10");
    await window.tab("about:blank");
    await is("document.visibilityState === 'hidden'");
    await tab.freeze(true);
    expect(await client.result(run)).toMatchObject({ done: 1000 });
    await tab.freeze(false);
    await is("states.at(-1) === 'ended'");
    expect(await tab.value("numbers")).toEqual(upTo(1000));
    expect(await tab.value("states")).toEqual(expect.arrayContaining(["freeze", "resume"]));
  } finally {
    client.close();
    await window.close();
  }
});

test("a page that reloads in mid-sentence shows all of it, by the run id that it remembers", async () => {
  await page.evaluate(async (url) => {
    const client = graphwire.connect(url);
    const run = await client.run("conformance.talk", { words: 5000 }, { modes: ["messages"] });
    sessionStorage.setItem("run", run.id);
    for await (const _ of run) if (run.messages.some(({ text }) => text.length > 100)) break;
  }, gateway.url);
  await page.reload();
  const said = await page.evaluate(async (url) => {
    const client = graphwire.connect(url);
    const run = await client.attach(sessionStorage.getItem("run")!, { modes: ["messages"] });
    const lengths = new Set<number>();
    for await (const _ of run) lengths.add(run.messages[0]?.text.length ?? 0);
    return { texts: run.messages.map(({ text }) => text).sort(), steps: lengths.size };
  }, gateway.url);
  const words = (side: string) => upTo(5000).map((number) => `${side}${number} `);
  expect(said).toEqual({ texts: [words("l").join(""), words("r").join("")], steps: 5001 });
});

test("a page that reloads in mid-stream continues behind the position that it remembers", async () => {
  const run = await count(gateway.url, 300);
  const before = await page.evaluate(
    async ([url, id]) => {
      const client = graphwire.connect(url);
      const run = await client.attach(id, { modes: ["custom"] });
      const taken: number[] = [];
      for await (const event of run) {
        if (event.mode === "custom") taken.push((event.data as { i: number }).i);
        if (taken.length === 50) break;
      }
      sessionStorage.setItem("position", JSON.stringify(run.position));
      return taken;
    },
    [gateway.url, run] as const,
  );
  await page.reload();
  const after = await page.evaluate(
    async ([url, id]) => {
      const client = graphwire.connect(url);
      const start = JSON.parse(sessionStorage.getItem("position")!);
      for await (const event of await client.attach(id, { modes: ["custom"], start }))
        if (event.mode === "custom") numbers.push((event.data as { i: number }).i);
      return numbers;
    },
    [gateway.url, run] as const,
  );
  expect([...before, ...after]).toEqual(upTo(300));
  expect(before).toHaveLength(50);
});

test.skipIf(!existsSync("/proc/self/fd"))(
  "a page that is closed in mid-stream leaves nothing in the server",
  async () => {
    const sockets = () =>
      readdirSync(`/proc/${gateway.process.pid}/fd`).flatMap((fd) => {
        try {
          return readlinkSync(`/proc/${gateway.process.pid}/fd/${fd}`).startsWith("socket:") ? [fd] : [];
        } catch {
          return []; // closed meanwhile
        }
      }).length;
    const before = sockets();
    const ids = await page.evaluate(async (url) => {
      const client = graphwire.connect(url);
      const endless = { count: 1e6, burst: 1, pause_s: 0.01 };
      const kept = await client.run("conformance.counter", endless, { modes: ["custom"] });
      const left = await client.run("conformance.counter", endless, {
        modes: ["custom"],
        onDisconnect: "cancel",
      });
      for await (const { mode } of left) if (mode === "custom") break;
      return { kept: kept.id, left: left.id };
    }, gateway.url);
    expect(sockets()).toBe(before + 1);
    await page.close();
    await expect.poll(sockets).toBe(before);
    const client = connect(gateway.url, { webSocket });
    await expect(client.result(ids.left)).rejects.toMatchObject({ name: "RunCancelled" });
    const statuses: { [run: string]: string } = {};
    for await (const { run, status } of client.runs()) statuses[run] = status;
    expect(statuses[ids.kept]).toBe("running"); // as it was asked to: it belongs to the server
    await client.cancel(ids.kept);
    client.close();
  },
);

test("a page of another origin is refused, and its console says what to do", async () => {
  await page.goto(site.url("/", "app.example"));
  const { state, reason } = await page.evaluate(async (url) => {
    const client = graphwire.connect(url);
    await client.opened().catch(() => {});
    return client.connection;
  }, gateway.url);
  expect({ state, reason }).toEqual({ state: "closed", reason: expect.stringContaining("allowed_origins") });
  expect(said).toEqual([expect.stringMatching(/^warning: graphwire: .*4403.*allowed_origins/)]);
});

test("a page that finds no server says so in the console, with the address that it tried", async () => {
  await page.evaluate(() => {
    graphwire.connect("ws://127.0.0.1:9/ws");
  });
  await expect.poll(() => said.join("\n")).toMatch(/^warning: .*no connection to ws:\/\/127.0.0.1:9\/ws/m);
});
