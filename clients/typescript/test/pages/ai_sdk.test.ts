/** The example with the AI SDK's useChat, in Chromium before its own agent. */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "vite";
import { expect, test } from "vitest";
import { launch, PACKAGE, Site } from "../chromium.js";
import { Gateway } from "../gateway.js";

const ROOT = join(PACKAGE, "examples", "ai-sdk");

test("chats stream beside each other on one socket, go on after a reload, use tools, ask and stop", async () => {
  const [browser, gateway, outDir] = await Promise.all([
    launch(),
    Gateway.start(`agent=${join(ROOT, "graph.py")}:agent`, "--port", "0"),
    mkdtemp(join(tmpdir(), "ai-sdk-")),
  ]);
  const alias = [
    { find: /^graphwire$/, replacement: join(PACKAGE, "src/index.ts") },
    { find: /^graphwire\/ai$/, replacement: join(PACKAGE, "src/ai.ts") },
  ];
  await build({ root: ROOT, logLevel: "error", resolve: { alias }, build: { outDir, minify: false } });
  const site = await Site.serve(outDir);
  const page = await browser.newPage({ viewport: { width: 1200, height: 800 } });
  const errors: string[] = [];
  page.on("pageerror", (error) => errors.push(String(error)));
  let sockets = 0;
  page.on("websocket", () => {
    sockets += 1;
  });
  const say = async (text: string) => {
    await page.getByPlaceholder("Say something").fill(text);
    await page.getByRole("button", { name: "Send" }).click();
  };
  const stop = page.getByRole("button", { name: "Stop" });
  const streaming = page.locator(".row i.streaming");
  await page.goto(`${site.url("/index.html")}?server=${encodeURIComponent(gateway.url)}`);

  await say("hello");
  const story = page.locator("article.assistant p").first();
  const told = async () => (await story.textContent())?.length ?? 0;
  await expect.poll(told).toBeGreaterThan(30);
  await page.getByRole("button", { name: "New chat" }).first().click();
  await say("look up cats");
  await page.locator("progress").waitFor();
  expect(await streaming.count()).toBe(2);
  await page.getByText("Done. The tool says").waitFor();

  await page.getByRole("button", { name: "hello" }).click();
  const before = String(await story.textContent());
  await page.reload(); // in mid-sentence
  await expect.poll(told).toBeGreaterThan(before.length);
  expect(String(await story.textContent()).startsWith(before)).toBe(true);
  await stop.waitFor({ state: "detached" });
  expect((await story.textContent())?.match(/wave after wave/g)).toHaveLength(12);

  await say("delete notes.txt");
  await page.getByRole("button", { name: "Approve" }).click();
  await page.getByText("Done. The tool says: notes.txt is deleted").waitFor();
  await stop.waitFor({ state: "detached" });
  await say("and again");
  await expect.poll(() => page.locator("article.assistant").last().textContent()).toContain("and again");
  await stop.click();
  await stop.waitFor({ state: "detached" });
  expect(await page.locator("article.assistant").last().textContent()).not.toMatch(/(wave after wave.*){12}/);
  expect(await page.locator(".error").count()).toBe(0);
  expect([sockets, errors]).toEqual([2, []]);
  site.stop();
  await Promise.all([browser.close(), gateway.stop(), rm(outDir, { recursive: true })]);
}, 300_000);
