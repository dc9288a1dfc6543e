/** The examples for React, built as their readers build them, in Chromium before the demo's graphs. */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, Page } from "playwright";
import { build } from "vite";
import { afterAll, beforeAll, expect, test } from "vitest";
import { launch, PACKAGE, Site } from "../chromium.js";
import { Gateway } from "../gateway.js";

let browser: Browser;
let gateway: Gateway;
let folder: string;
/** Where each example is served; built once, before the tests: a busy machine takes most of a minute for one. */
const addresses = new Map<string, string>();
const sites: Site[] = [];
const errors: string[] = [];

beforeAll(async () => {
  const graphs = ["joke_and_poem", "research", "longjob", "chat"];
  const served = graphs.map((name) => `${name}=graphwire_gateway.demo.graphs:${name}`);
  [browser, gateway, folder] = await Promise.all([
    launch(),
    Gateway.start(...served, "--port", "0"),
    mkdtemp(join(tmpdir(), "examples-")),
  ]);
  for (const name of ["react-dashboard", "react-chat"]) addresses.set(name, await built(name));
}, 240_000);

afterAll(async () => {
  for (const site of sites) site.stop();
  await Promise.all([browser.close(), gateway.stop(), rm(folder, { recursive: true })]);
});

/** Build an example against the sources of this package; return the address at which it is served. */
async function built(name: string): Promise<string> {
  const root = join(PACKAGE, "examples", name);
  const outDir = join(folder, name);
  const alias = [
    { find: /^graphwire$/, replacement: join(PACKAGE, "src/index.ts") },
    { find: /^graphwire\/react$/, replacement: join(PACKAGE, "src/react/index.ts") },
  ];
  await build({ root, logLevel: "warn", resolve: { alias }, build: { outDir, emptyOutDir: true } });
  const site = await Site.serve(outDir);
  sites.push(site);
  return `${site.url("/index.html")}?server=${encodeURIComponent(gateway.url)}`;
}

function addressOf(name: string): string {
  return addresses.get(name) ?? "";
}

async function opened(url: string): Promise<Page> {
  const page = await browser.newPage({ viewport: { width: 1200, height: 800 } });
  page.on("pageerror", (error) => errors.push(String(error)));
  page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
  await page.goto(url);
  return page;
}

test("a dashboard starts ten runs, shows several at once, answers and cancels, on one socket", async () => {
  const url = addressOf("react-dashboard");
  const page = await browser.newPage({ viewport: { width: 1200, height: 800 } });
  let sockets = 0;
  page.on("websocket", () => {
    sockets += 1;
  });
  page.on("pageerror", (error) => errors.push(String(error)));
  await page.goto(url);
  await page.getByText("No runs yet").waitFor();
  await page.getByRole("button", { name: "Start ten" }).click();
  await expect.poll(() => page.locator(".row").count()).toBe(10);
  for (const title of ["the sea", "tea", "old maps"])
    await page.locator(".row", { hasText: title }).locator(".title").click();
  const text = (title: string) => page.locator(".panel", { hasText: title }).locator(".body").textContent();
  await expect.poll(async () => (await text("old maps"))?.length).toBeGreaterThan(30);
  await expect
    .poll(async () => Number(await page.locator("progress").getAttribute("value")))
    .toBeGreaterThan(0);
  const question = page.locator(".question").first();
  await expect.poll(() => page.locator(".question").count()).toBe(2);
  await question.getByRole("button", { name: "Yes" }).click();
  await expect.poll(() => page.locator(".question").count()).toBe(1);
  const job = page.locator(".row", { hasText: "the sea" });
  await job.getByRole("button", { name: "Cancel" }).click();
  await expect.poll(() => job.textContent()).toContain("cancelled");
  const other = await opened(url);
  await expect.poll(() => other.locator(".row").count()).toBe(10);
  await other.close();
  expect([sockets, errors]).toEqual([1, []]);
  await page.close();
}, 120_000);

test("a chat streams, goes on after a reload in mid-sentence, asks, is answered and stopped", async () => {
  errors.length = 0;
  const page = await opened(addressOf("react-chat"));
  const said = page.locator("article");
  const ask = async (text: string) => {
    await page.getByLabel("Message").fill(text);
    await page.getByRole("button", { name: "Send", exact: true }).click();
  };
  const stop = page.getByRole("button", { name: "Stop" });
  await page.getByRole("button", { name: "New chat", exact: true }).click();
  await page.getByText("Ask for a joke").waitFor();
  await ask("A poem about the sea");
  const answer = page.locator(".ai").last();
  await expect.poll(async () => (await answer.textContent())?.length).toBeGreaterThan(20);
  const before = String(await answer.textContent());
  await page.reload(); // in mid-sentence
  await expect.poll(async () => (await answer.textContent())?.length).toBeGreaterThan(before.length);
  expect(String(await answer.textContent()).startsWith(before)).toBe(true);
  await stop.waitFor({ state: "detached" }); // it has ended
  await ask("Write a mail about cats");
  await page.getByRole("button", { name: "Send it" }).click();
  await page.getByText("Sent a mail about cats").waitFor();
  await expect.poll(() => said.count()).toBe(6);
  await stop.click();
  await page.locator(".dot.cancelled").waitFor();
  await page.reload();
  await page.getByText("Sent a mail about cats").waitFor();
  expect(await page.locator("aside li").first().textContent()).toContain("A poem about the sea");
  expect(errors).toEqual([]);
  await page.close();
}, 120_000);

test("what is sent while a chat asks is kept until it is answered, and threads are there in every browser", async () => {
  errors.length = 0;
  const url = addressOf("react-chat");
  const page = await opened(url);
  const write = async (text: string) => {
    await page.getByLabel("Message").fill(text);
    await page.getByLabel("Message").press("Enter");
  };
  await page.getByRole("button", { name: "New chat", exact: true }).click();
  await write("Write a mail about dogs");
  await page.getByText("Send this mail?").waitFor();
  await write("And a joke about tea");
  await write("No, never mind");
  const queued = page.locator("article.queued");
  await expect.poll(() => queued.allTextContents()).toHaveLength(2);
  expect((await queued.allTextContents())[0]).toMatch(/^And a joke about tea.*waits for your answer/);
  await page.reload();
  await expect.poll(() => queued.count()).toBe(2);
  await queued.last().getByRole("button", { name: "Take back" }).click();
  await expect.poll(() => queued.count()).toBe(1);
  // The runs of the dashboard are of this user, too.
  const title = { hasText: "Write a mail about dogs" };
  await page.locator("aside li", title).getByText("needs you").waitFor();
  await page.getByRole("button", { name: "Do not" }).click();
  await page.getByText("Sent no mail about dogs").waitFor();
  // Behind the answer, which ends, it is sent.
  await expect
    .poll(() => page.locator(".human").allTextContents(), { timeout: 30_000 })
    .toEqual(["Write a mail about dogs", "And a joke about tea"]);
  await expect.poll(() => queued.count()).toBe(0);
  const elsewhere = await browser.newContext();
  const other = await elsewhere.newPage();
  await other.goto(url);
  const row = other.locator("aside li", title);
  await row.getByRole("button").click();
  await other.getByText("Sent no mail about dogs").waitFor();
  expect(errors).toEqual([]);
  await Promise.all([page.close(), elsewhere.close()]);
}, 120_000);
