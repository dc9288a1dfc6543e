/** The example with LangChain's useStream, in Chromium before the demo's graphs. */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "vite";
import { afterAll, beforeAll, expect, test } from "vitest";
import { launch, PACKAGE, Site } from "../chromium.js";
import { Gateway } from "../gateway.js";

let outDir: string;

// A busy machine takes as long for this as for all that the page does.
beforeAll(async () => {
  outDir = await mkdtemp(join(tmpdir(), "langchain-"));
  const alias = [
    { find: /^graphwire$/, replacement: join(PACKAGE, "src/index.ts") },
    { find: /^graphwire\/langchain$/, replacement: join(PACKAGE, "src/langchain/index.ts") },
  ];
  const root = join(PACKAGE, "examples", "langchain");
  await build({ root, logLevel: "warn", resolve: { alias }, build: { outDir, minify: false } });
}, 300_000);

afterAll(() => rm(outDir, { recursive: true }));

test("four chats stream at once on one socket, are there after a reload, and ask", async () => {
  const [browser, gateway, site] = await Promise.all([
    launch(),
    Gateway.start("chat=graphwire_gateway.demo.graphs:chat", "--port", "0"),
    Site.serve(outDir),
  ]);
  const page = await browser.newPage({ viewport: { width: 1200, height: 800 } });
  const errors: string[] = [];
  page.on("pageerror", (error) => errors.push(String(error)));
  let sockets = 0;
  page.on("websocket", () => {
    sockets += 1;
  });
  await page.goto(`${site.url("/index.html")}?server=${encodeURIComponent(gateway.url)}`);
  await page.getByRole("button", { name: "Ask all" }).click();
  const streaming = () => page.locator(".streaming").count();
  const answers = () => page.locator("p.ai").count();
  // Three answer at once while the fourth asks.
  await expect.poll(async () => [await streaming(), await answers()]).toEqual([3, 3]);
  expect(sockets).toBe(1);
  await page.reload();
  await expect.poll(answers).toBe(3);
  if (process.env.SHOT) await page.screenshot({ path: process.env.SHOT });
  await page.getByRole("button", { name: "Yes" }).click();
  await expect.poll(() => page.locator("p.tool").textContent()).toContain("Sent a mail about tea");
  await expect.poll(streaming).toBe(0);
  expect(await answers()).toBe(4);
  expect(await page.locator("p.human").count()).toBe(4);
  expect(sockets).toBe(2);
  expect(errors).toEqual([]);
}, 150_000);
