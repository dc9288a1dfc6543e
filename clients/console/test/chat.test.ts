/** The chat in Chromium, before a real gateway with the demo's graphs and one whose answers wait, ask or fail. */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AxeBuilder } from "@axe-core/playwright";
import type { Browser, BrowserContext, Page } from "playwright";
import type { PreviewServer } from "vite";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { WebSocket } from "ws";
import { connect } from "../../typescript/src/index.js";
import { launch } from "../../typescript/test/chromium.js";
import { Gateway } from "../../typescript/test/gateway.js";
import { served } from "./served";

let browser: Browser;
let gateway: Gateway;
let console_: PreviewServer;
let base: string;
let folder: string;
let context: BrowserContext;
let page: Page;
let errors: string[];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "console-chat-"));
  process.env.CHAT_DB = join(folder, "chat.db");
  const demo = ["chat", "research"].map((name) => `${name}=graphwire_gateway.demo.graphs:${name}`);
  [browser, gateway] = await Promise.all([
    launch(),
    Gateway.start(...demo, "talk=./chat.py:chat", "--port", "0"),
  ]);
  [console_, base] = await served(join(folder, "built"), () => gateway.port);
}, 120_000);

afterAll(async () => {
  await Promise.all([browser.close(), gateway.stop(), console_.close()]);
  await rm(folder, { recursive: true });
});

beforeEach(async () => {
  context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
  errors = [];
  page = await opened("");
});

afterEach(async () => {
  await context.close();
  expect(errors).toEqual([]);
});

async function opened(hash: string): Promise<Page> {
  const tab = await context.newPage();
  tab.setDefaultTimeout(15_000);
  tab.on("pageerror", (error) => errors.push(String(error)));
  tab.on("console", (message) => message.type() === "error" && errors.push(message.text()));
  tab.on("request", (request) => {
    if (!request.url().startsWith(base) && !request.url().startsWith("data:"))
      errors.push(`asked ${request.url()}`);
  });
  await tab.goto(`${base}/${hash}`);
  return tab;
}

const box = (tab = page) => tab.getByRole("textbox", { name: "Message", exact: true });
const answers = (tab = page) => tab.getByRole("article", { name: "Assistant said" });
const own = (tab = page) => tab.getByRole("article", { name: "You said" });
const threads = (tab = page) => tab.locator(".chat-side .thread-item");

async function say(text: string, tab = page): Promise<void> {
  await box(tab).fill(text);
  await box(tab).press("Enter");
}

async function talk(graph: string): Promise<void> {
  await page.goto(`${base}/#/chat/${graph}`);
  await box().waitFor();
}

const length = async (tab = page) =>
  (await answers(tab).last().locator(".message-body").textContent())?.length ?? 0;
const ended = (tab = page) =>
  tab.getByRole("button", { name: "Regenerate" }).last().waitFor({ timeout: 30_000 });

test("a graph is picked, and its answer streams into a thread named after the first words", async () => {
  await page.goto(`${base}/#/chat`);
  await page.getByRole("link", { name: /^chat.*conversation/s }).click();
  await say("A poem about the sea");
  await expect.poll(() => length()).toBeGreaterThan(10);
  const early = await length();
  await expect.poll(() => length()).toBeGreaterThan(early);
  await expect.poll(() => page.getByRole("button", { name: "Stop", exact: true }).count()).toBe(1);
  expect(await box().inputValue()).toBe("");
  await threads().filter({ hasText: "A poem about the sea" }).waitFor();
  expect(new URL(page.url()).hash).toMatch(/^#\/chat\/chat\/[\w-]+$/);
  await ended();
  await expect
    .poll(() =>
      page
        .getByRole("status")
        .filter({ hasText: /^Assistant: / })
        .count(),
    )
    .toBe(1);
}, 60_000);

test("a reload in mid-sentence goes on, and a second tab shows the same", async () => {
  await talk("chat");
  await say("A poem about old maps");
  await expect.poll(() => length()).toBeGreaterThan(20);
  const before = String(await answers().last().locator(".message-body").textContent()).trim();
  await page.reload();
  await expect.poll(() => length()).toBeGreaterThan(before.length);
  const flat = (text: string) => text.replace(/\s+/g, " ");
  expect(flat(String(await answers().last().locator(".message-body").textContent()))).toContain(
    flat(before).slice(0, 20),
  );
  const other = await opened(new URL(page.url()).hash);
  await Promise.all([ended(), ended(other)]);
  const text = (tab: Page) => answers(tab).last().locator(".message-body").textContent();
  expect(await text(other)).toBe(await text(page));
  await say("And a joke", other);
  await own().filter({ hasText: "And a joke" }).waitFor();
  await expect.poll(() => answers().count()).toBe(2);
}, 90_000);

test("a question is answered, and a message that is written meanwhile waits for the answer", async () => {
  await talk("chat");
  await say("Write a mail about cats");
  const question = page.getByText("Send this mail?");
  await question.first().waitFor();
  await threads().filter({ hasText: "needs an answer" }).waitFor();
  await say("A joke about cats");
  await page.getByText("Waits for the answer above.").waitFor();
  expect(await question.count()).toBeGreaterThan(0);
  await page.reload();
  await question.first().waitFor();
  await page.getByText("Waits for the answer above.").waitFor();
  await answerYes();
  await page.getByText("Sent a mail about cats").first().waitFor();
  await own().filter({ hasText: "A joke about cats" }).waitFor();
  await expect.poll(() => question.count(), { timeout: 20_000 }).toBe(0);
  await ended();
}, 90_000);

/** Press what the form of a question offers for yes. */
async function answerYes(): Promise<void> {
  const form = page.locator(".question").first();
  const yes = form.getByRole("button", { name: /^(yes|approve|send)/i }).first();
  if (await yes.count()) {
    await yes.click();
    return;
  }
  await form.getByRole("textbox").first().fill("true");
  await form.getByRole("button").last().click();
}

test("stop ends an answer at once, and what was written so far is shown as not kept", async () => {
  await talk("talk");
  await say("hold it");
  await page.getByText("I hold").first().waitFor();
  await page.keyboard.press("Escape");
  await page.getByText("The run was stopped.").waitFor();
  await page.getByText("The thread does not keep this text").first().waitFor();
  expect(await page.getByText("I hold").count()).toBeGreaterThan(0);
  await page.reload();
  await page.getByText("The run was stopped.").waitFor();
  await page.getByText("The thread does not keep this text").first().waitFor();
}, 60_000);

test("a run that fails says so in place, and is tried again", async () => {
  await talk("talk");
  await say("fail now");
  await page.getByText("The run failed.").waitFor();
  const failed = () => page.getByRole("link", { name: "Look at the run" }).getAttribute("href");
  const before = await failed();
  await page.getByRole("button", { name: "Try again" }).click();
  await expect.poll(failed).not.toBe(before);
  await page.getByText("The run failed.").waitFor();
  expect(await own().count()).toBe(1);
}, 60_000);

test("a message while a run is at work is sent behind it, or in its place", async () => {
  await talk("talk");
  await say("hold it");
  await page.getByText("I hold").first().waitFor();
  await say("second");
  await page.getByText("Waits for the run at work.").waitFor();
  await page.getByRole("button", { name: "Take it back" }).click();
  await expect.poll(() => box().inputValue()).toBe("second");
  await page.getByRole("button", { name: "Stop it, send now" }).click();
  await page.getByText("I say yes").first().waitFor();
  await ended();
  expect(await own().allTextContents()).toEqual([
    expect.stringContaining("hold it"),
    expect.stringContaining("second"),
  ]);
}, 60_000);

test("an earlier message is edited, and an answer is made anew, each as a branch", async () => {
  await talk("talk");
  await say("one");
  await ended();
  await say("two");
  await expect.poll(() => own().count()).toBe(2);
  await ended();
  await own().first().getByRole("button", { name: "Edit" }).click();
  const editor = page.getByRole("textbox", { name: "Edited message" });
  await editor.fill("uno");
  await editor.press("Enter");
  await own().filter({ hasText: "uno" }).waitFor();
  await expect.poll(() => own().count()).toBe(1);
  await ended();
  await page.reload();
  await own().filter({ hasText: "uno" }).waitFor();
  await ended();
  const [before] = await ids();
  await page.getByRole("button", { name: "Regenerate" }).last().click();
  await expect.poll(async () => (await ids())[0] !== before).toBe(true);
  await ended();
  expect([await own().count(), await own().textContent()]).toEqual([1, expect.stringContaining("uno")]);
}, 90_000);

/** The latest run of the thread that is shown. */
async function ids(): Promise<(string | null)[]> {
  return [await page.locator(".thread-head").getByRole("link", { name: "Run" }).getAttribute("href")];
}

test("a thread is renamed in place, found by its title, and deleted after a question", async () => {
  await talk("talk");
  await say("name me");
  await ended();
  const item = threads().filter({ hasText: "name me" });
  await item.getByRole("link").press("F2");
  await page.getByRole("textbox", { name: "Title" }).fill("Whales");
  await page.keyboard.press("Enter");
  await threads().filter({ hasText: "Whales" }).waitFor();
  await page.getByRole("button", { name: "Whales", exact: true }).waitFor(); // the head
  await page.getByRole("searchbox", { name: "Search in titles" }).fill("wHaL");
  await expect.poll(() => threads().count()).toBe(1);
  await page.getByRole("searchbox", { name: "Search in titles" }).fill("no such");
  await page.getByText("No title contains this.").waitFor();
  await page.getByRole("searchbox", { name: "Search in titles" }).fill("");
  await page.getByRole("button", { name: "Actions for this thread" }).click();
  await page.getByRole("menuitem", { name: "Delete…" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Delete", exact: true }).click();
  await expect.poll(() => threads().filter({ hasText: "Whales" }).count()).toBe(0);
  await expect.poll(() => new URL(page.url()).hash).toBe("#/chat/talk");
}, 60_000);

test("what is typed and not sent is kept for each thread, and composing a script sends nothing", async () => {
  await talk("talk");
  await box().fill("half a thought");
  await page.reload();
  await expect.poll(() => box().inputValue()).toBe("half a thought");
  await box().dispatchEvent("keydown", { key: "Enter", isComposing: true, bubbles: true });
  await box().press("Shift+Enter");
  expect(await box().inputValue()).toBe("half a thought\n");
  expect(await own().count()).toBe(0);
  await box().press("Enter");
  await own().filter({ hasText: "half a thought" }).waitFor();
  await ended();
}, 60_000);

test("a message that the server refuses stays in the box, and says why", async () => {
  await talk("talk");
  const big = "x".repeat(3_000_000);
  await box().fill(big);
  await box().press("Enter");
  await page.getByRole("alert").first().waitFor();
  expect((await box().inputValue()).length).toBe(big.length);
  await box().fill("");
}, 60_000);

test("a graph with fields of its own is a form, and its subagents and state are shown", async () => {
  await page.goto(`${base}/#/chat/research`);
  await page.getByRole("textbox", { name: /topic/i }).fill("whales");
  await page.getByRole("button", { name: "Run", exact: true }).click();
  await page.locator(".subagent").first().waitFor();
  await page.getByRole("heading", { name: "summary" }).waitFor({ timeout: 40_000 });
  expect(await page.locator(".subagent").count()).toBe(3);
  await page.locator(".subagent summary").first().click();
  await page.getByText("a map with a hole in it").first().waitFor();
  await threads().filter({ hasText: "whales" }).waitFor();
}, 90_000);

/** Write messages into a thread of the graph `talk`, as if they had been said. */
async function written(thread: string, messages: readonly object[]): Promise<void> {
  const client = connect(gateway.url, { webSocket: WebSocket, onState: () => {} });
  for (let at = 0; at < messages.length; at += 2500)
    await client.stateUpdate(
      "talk",
      thread,
      { messages: messages.slice(at, at + 2500) },
      { asNode: "answer" },
    );
  client.close();
}

test("of 10,000 messages only those in view are in the page, and all can be reached", async () => {
  const sides = ["human", "ai"];
  const all = Array.from({ length: 10_000 }, (_, n) => ({
    type: sides[n % 2],
    id: `m${n}`,
    content: `number ${n} ${"word ".repeat(n % 40)}`,
  }));
  await written("many", all);
  await page.goto(`${base}/#/chat/talk/many`);
  await page.getByText("number 9999").waitFor();
  expect(await page.locator(".messages-row").count()).toBeLessThan(60);
  const scroller = page.locator(".messages-scroll");
  await scroller.evaluate((element) => element.scrollTo(0, element.scrollHeight / 2));
  await expect.poll(() => page.locator(".messages-row").first().textContent()).toMatch(/number [456]\d\d\d/);
  await scroller.evaluate((element) => element.scrollTo(0, 0));
  await page.getByText("number 0", { exact: true }).waitFor();
  await say("short");
  await page.getByRole("button", { name: "New messages" }).click();
  await own().filter({ hasText: "short" }).waitFor();
  await ended();
  expect(await page.locator(".messages-row").count()).toBeLessThan(60);
}, 90_000);

test("hostile messages do nothing, load nothing, and are cut if they are large", async () => {
  const html =
    '<img src="https://evil.example/x.png" onerror="window.hurt = 1"><script>window.hurt = 1</script>';
  await written("hostile", [
    { type: "human", id: "h1", content: html },
    {
      type: "ai",
      id: "a1",
      content: `${html}\n\n![pixel](https://evil.example/p.png) [go](javascript:window.hurt=1)`,
    },
    { type: "ai", id: "a2", content: `x\u202egnp.exe ${html}`, name: html },
    { type: "ai", id: "a3", content: "", tool_calls: [{ id: "t", name: html, args: { html } }] },
    { type: "tool", id: "t1", tool_call_id: "t", content: html },
    { type: "ai", id: "a4", content: "y".repeat(900_000) },
  ]);
  await page.goto(`${base}/#/chat/talk/hostile`);
  await page.getByRole("button", { name: "Show all 900,000 characters" }).click();
  await expect.poll(async () => (await answers().last().textContent())?.length).toBeGreaterThan(900_000);
  await page.locator(".tool summary").click();
  const image = page.getByRole("link", { name: "Image: pixel" });
  expect([await image.getAttribute("rel"), await image.getAttribute("target")]).toEqual([
    "noreferrer",
    "_blank",
  ]);
  expect(await page.getByRole("link", { name: "go" }).count()).toBe(0);
  expect(await page.locator("img").count()).toBe(0);
  await page.getByText("⟦U+202E⟧").waitFor();
  expect(await page.evaluate("window.hurt")).toBeUndefined();
}, 60_000);

test("every view of the chat has names, roles and contrast, in light and dark", async () => {
  const found: string[] = [];
  const look = async (where: string) => {
    for (const colorScheme of ["light", "dark"] as const) {
      await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
      const { violations } = await new AxeBuilder({ page }).analyze();
      for (const { id, nodes } of violations) found.push(`${where} ${colorScheme}: ${id} ${nodes[0]?.html}`);
    }
  };
  await page.goto(`${base}/#/chat`);
  await page.getByRole("link", { name: /^talk/ }).waitFor();
  await look("picker");
  await talk("chat");
  await look("empty");
  await say("A mail about axes");
  await page.getByText("Send this mail?").first().waitFor();
  await box().fill("and then");
  await look("question");
  await talk("talk");
  await say("fail now");
  await page.getByText("The run failed.").waitFor();
  await own().first().getByRole("button", { name: "Edit" }).click();
  await look("failed, editing");
  await page.goto(`${base}/#/chat/research`);
  await page.getByRole("button", { name: "Run", exact: true }).waitFor();
  await look("form");
  expect(found).toEqual([]);
}, 90_000);

test("a reader who has scrolled up is left alone, and led back by a button", async () => {
  await page.setViewportSize({ width: 900, height: 420 });
  await talk("talk");
  await say("long one");
  await ended();
  await say("long two");
  await ended();
  const scroller = page.locator(".messages-scroll");
  const rest = () =>
    scroller.evaluate((element) => element.scrollHeight - element.scrollTop - element.clientHeight);
  await expect.poll(rest).toBeLessThan(25);
  await scroller.hover();
  await page.mouse.wheel(0, -300);
  await expect.poll(rest).toBeGreaterThan(100);
  const top = await scroller.evaluate((element) => element.scrollTop);
  await say("long three");
  await own().filter({ hasText: "long three" }).waitFor({ state: "attached" });
  await ended();
  expect(await scroller.evaluate((element) => element.scrollTop)).toBe(top);
  await page.getByRole("button", { name: "New messages" }).click();
  await expect.poll(rest).toBeLessThan(25);
}, 90_000);
