/** `examples/page.html`, the example without a build step, before the demo's chat. */

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Browser, Page } from "playwright";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { bundle, launch, PACKAGE, Site } from "../chromium.js";
import { CuttingProxy, Gateway } from "../gateway.js";

vi.setConfig({ testTimeout: 60_000 });
let browser: Browser;
let site: Site;
let gateway: Gateway;

beforeAll(async () => {
  browser = await launch();
  site = await Site.serve(PACKAGE, { "/dist/graphwire.min.js": bundle("src/index.ts"), "/favicon.ico": "" });
  gateway = await Gateway.start("chat=graphwire_gateway.demo.graphs:chat", "--port", "0");
}, 120_000);

afterAll(async () => {
  await browser?.close();
  await gateway?.stop();
  site?.stop();
});

/** Open the page, which fails the test with what its console says. */
async function opened(server = gateway.url): Promise<{ page: Page; said: string[] }> {
  const page = await browser.newPage();
  const said: string[] = [];
  page.on("console", (message) => said.push(message.text()));
  page.on("pageerror", (error) => said.push(String(error)));
  await page.goto(site.url(`/examples/page.html?server=${encodeURIComponent(server)}`));
  return { page, said };
}

const texts = (page: Page) => page.locator("li").allTextContents();

async function write(page: Page, text: string): Promise<void> {
  await page.getByLabel("Message").fill(text);
  await page.getByRole("button", { name: "Send" }).click();
}

/** Wait until the run has ended: a reader may write again. */
const ended = (page: Page) => page.locator("input:enabled").waitFor();

/** Keep a picture of the page in the folder SCREENSHOTS, if that is set. */
async function picture(page: Page, name: string): Promise<void> {
  const folder = process.env.SCREENSHOTS;
  if (!folder) return;
  mkdirSync(folder, { recursive: true });
  await page.screenshot({ path: join(folder, `${name}.png`) });
}

test("an answer arrives word by word, and a reload in mid-sentence shows all of it and goes on", async () => {
  const { page, said } = await opened();
  await write(page, "tell me about cats");
  await page.waitForFunction(() => (document.querySelectorAll("li")[1]?.textContent ?? "").length > 10);
  await picture(page, "writing");
  const before = await texts(page);
  await page.reload();
  await page.locator("li").nth(1).waitFor();
  await ended(page);
  const after = await texts(page);
  expect(after).toHaveLength(2);
  expect(after[0]).toBe("tell me about cats");
  expect(after[1]?.startsWith(before[1] as string)).toBe(true);
  expect(after[1]!.length).toBeGreaterThan(before[1]!.length);
  await page.reload();
  await page.locator("li").nth(1).waitFor();
  await ended(page);
  expect(await texts(page)).toEqual(after);
  await page.setViewportSize({ width: 390, height: 700 });
  await page.emulateMedia({ colorScheme: "dark" });
  await picture(page, "phone-dark");
  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(390);
  expect(said).toEqual([]);
  await page.close();
});

test("a lost connection is shown, and the answer goes on where it was", async () => {
  const proxy = await CuttingProxy.start(gateway.port, (connection) => ({
    bytes: connection ? Number.POSITIVE_INFINITY : 4000,
    stall: () => 0,
  }));
  const { page, said } = await opened(proxy.url);
  const states = page.locator("#connection");
  await page.evaluate(() => {
    const status = document.getElementById("connection")!;
    new MutationObserver(() => console.debug(status.className)).observe(status, { childList: true });
  });
  await expect.poll(() => states.textContent()).toBe("connected");
  await write(page, "tell me about tea");
  await ended(page);
  const shown = await texts(page);
  await page.reload();
  await page.locator("li").nth(1).waitFor();
  await ended(page);
  expect(await texts(page)).toEqual(shown);
  expect(proxy.cuts).toBe(1);
  expect(said.join(" ")).toMatch(/waiting connecting connected/);
  await page.close();
  await proxy.stop();
});

test("Stop ends the run, and New chat forgets the conversation", async () => {
  const { page, said } = await opened();
  await write(page, "tell me about maps");
  await page.waitForFunction(() => (document.querySelectorAll("li")[1]?.textContent ?? "").length > 5);
  await page.getByRole("button", { name: "Stop" }).click();
  await ended(page);
  expect((await texts(page)).at(-1)).toBe("cancelled");
  await page.getByRole("button", { name: "New chat" }).click();
  await page.waitForFunction(() => !document.querySelector("li"));
  expect(said).toEqual([]);
  await page.close();
});

test("a question is asked, also after a reload, and the run continues with the answer", async () => {
  const { page, said } = await opened();
  await write(page, "write a mail about cats");
  await page.getByRole("button", { name: "Yes" }).waitFor();
  await page.reload();
  await page.getByRole("button", { name: "Yes" }).waitFor();
  await picture(page, "question");
  await page.getByRole("button", { name: "Yes" }).click();
  await ended(page);
  expect(await texts(page)).toContain("Sent a mail about cats");
  expect(said).toEqual([]);
  await page.close();
});
