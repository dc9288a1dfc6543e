/** The chat in Chromium, before a real gateway with the demo's graphs and one whose answers wait, ask or fail. */

import { connect } from "graphwire";
import type { Locator } from "playwright";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { webSocket } from "../../typescript/test/gateway.js";
import { Chat } from "./chat_page";

/** How many threads a watch lists. */
const LISTED = 20;

let chat: Chat;

beforeAll(async () => {
  const demo = ["chat", "research"].map((name) => `${name}=graphwire_gateway.demo.graphs:${name}`);
  chat = await Chat.start(...demo, "talk=./chat.py:chat", `GRAPHWIRE_LIMITS__MAX_WATCH_RUNS=${LISTED}`);
});
afterAll(() => chat.stop());
beforeEach(() => chat.begin());
afterEach(() => chat.end());

const length = async () => (await chat.text()).length;

test("a graph is picked, and its answer streams into a thread named after the first words", async () => {
  await chat.page.goto(`${chat.base}/#/chat`);
  await chat.page.getByRole("link", { name: /^chat.*conversation/s }).click();
  await chat.say("A poem about the sea");
  await expect.poll(length).toBeGreaterThan(10);
  const early = await length();
  await expect.poll(length).toBeGreaterThan(early);
  await expect.poll(() => chat.page.getByRole("button", { name: "Stop", exact: true }).count()).toBe(1);
  expect(await chat.box().inputValue()).toBe("");
  await chat.threads().filter({ hasText: "A poem about the sea" }).waitFor();
  expect(new URL(chat.page.url()).hash).toMatch(/^#\/chat\/chat\/[\w-]+$/);
  await chat.ended();
  await expect
    .poll(() =>
      chat.page
        .getByRole("status")
        .filter({ hasText: /^Assistant: / })
        .count(),
    )
    .toBe(1);
});

test("a reload in mid-sentence goes on, and a second tab shows the same", async () => {
  await chat.talk("chat");
  await chat.say("A poem about old maps");
  await expect.poll(length).toBeGreaterThan(20);
  const before = (await chat.text()).trim();
  await chat.page.reload();
  await expect.poll(length).toBeGreaterThan(before.length);
  expect(await chat.text()).toContain(before);
  const other = await chat.opened(new URL(chat.page.url()).hash);
  await Promise.all([chat.ended(), chat.ended(other)]);
  expect(await chat.text(other)).toBe(await chat.text());
  await chat.say("And a joke", other);
  await chat.own().filter({ hasText: "And a joke" }).waitFor();
  await expect.poll(() => chat.answers().count()).toBe(2);
});

test("a question is answered, and a message that is written meanwhile waits for the answer", async () => {
  await chat.talk("chat");
  await chat.say("Write a mail about cats");
  const question = chat.page.getByText("Send this mail?");
  await question.first().waitFor();
  await chat.threads().filter({ hasText: "Waits for you" }).waitFor();
  await chat.say("A joke about cats");
  await chat.page.getByText("Queued until the question above is answered.").waitFor();
  expect(await question.count()).toBeGreaterThan(0);
  await chat.page.reload();
  await question.first().waitFor();
  await chat.page.getByText("Queued until the question above is answered.").waitFor();
  await answerYes();
  await chat.page.getByText("Sent a mail about cats").first().waitFor();
  await chat.own().filter({ hasText: "A joke about cats" }).waitFor();
  await expect.poll(() => question.count()).toBe(0);
  await chat.ended();
});

/** Press what the form of a question offers for yes. */
async function answerYes(): Promise<void> {
  const form = chat.page.locator(".question").first();
  const yes = form.getByRole("button", { name: /^(yes|approve|send)/i }).first();
  if (await yes.count()) {
    await yes.click();
    return;
  }
  await form.getByRole("textbox").first().fill("true");
  await form.getByRole("button").last().click();
}

test("stop ends an answer at once, and what was written so far is shown as not kept", async () => {
  await chat.talk("talk");
  await chat.say("hold it");
  await chat.page.getByText("I hold").first().waitFor();
  await chat.page.keyboard.press("Escape");
  await chat.page.getByText("The run was stopped.").waitFor();
  await chat.page.getByText("Not saved in the thread").first().waitFor();
  expect(await chat.page.getByText("I hold").count()).toBeGreaterThan(0);
  await chat.page.reload();
  await chat.page.getByText("The run was stopped.").waitFor();
  await chat.page.getByText("Not saved in the thread").first().waitFor();
});

test("a run that fails says so in place, and is tried again", async () => {
  await chat.talk("talk");
  await chat.say("fail now");
  await chat.page.getByText("The run failed.").waitFor();
  const failed = () =>
    chat.page.locator(".chat-end").getByRole("link", { name: "Open the run" }).getAttribute("href");
  const before = await failed();
  await chat.page.getByRole("button", { name: "Try again" }).click();
  await expect.poll(failed).not.toBe(before);
  await chat.page.getByText("The run failed.").waitFor();
  expect(await chat.own().count()).toBe(1);
});

test("a message while a run is at work is sent behind it, or in its place", async () => {
  await chat.talk("talk");
  await chat.say("hold it");
  await chat.page.getByText("I hold").first().waitFor();
  await chat.say("second");
  await chat.page.getByText("Queued until the current run ends.").waitFor();
  await chat.page.getByRole("button", { name: "Take it back" }).click();
  await expect.poll(() => chat.box().inputValue()).toBe("second");
  await chat.page.getByRole("button", { name: "Stop and send" }).click();
  await chat.page.getByText("I say yes").first().waitFor();
  await chat.ended();
  expect(await chat.own().allTextContents()).toEqual([
    expect.stringContaining("hold it"),
    expect.stringContaining("second"),
  ]);
});

test("an earlier message is edited, and an answer is made anew, each as a branch", async () => {
  await chat.talk("talk");
  await chat.say("one");
  await chat.ended();
  await chat.say("two");
  await expect.poll(() => chat.own().count()).toBe(2);
  await chat.ended();
  await chat.own().first().getByRole("button", { name: "Edit" }).click();
  const editor = chat.page.getByRole("textbox", { name: "Edited message" });
  await expect.poll(() => isInView(editor)).toBe(true);
  await editor.fill("uno");
  await editor.press("Enter");
  await chat.own().filter({ hasText: "uno" }).waitFor();
  await expect.poll(() => chat.own().count()).toBe(1);
  await chat.ended();
  await chat.page.reload();
  await chat.own().filter({ hasText: "uno" }).waitFor();
  await chat.ended();
  const [before] = await ids();
  await chat.page.getByRole("button", { name: "Regenerate" }).last().click();
  await expect.poll(async () => (await ids())[0] !== before).toBe(true);
  await chat.ended();
  expect([await chat.own().count(), await chat.own().textContent()]).toEqual([
    1,
    expect.stringContaining("uno"),
  ]);
});

/** Tell whether the reader sees it without scrolling. */
function isInView(found: Locator): Promise<boolean> {
  return found.evaluate((element) => {
    const { top, bottom } = element.getBoundingClientRect();
    const scroller = element.closest(".messages-scroll")?.getBoundingClientRect();
    return !!scroller && top >= scroller.top && bottom <= scroller.bottom;
  });
}

/** The latest run of the thread that is shown. */
async function ids(): Promise<(string | null)[]> {
  return [
    await chat.page.locator(".thread-head").getByRole("link", { name: "Open the run" }).getAttribute("href"),
  ];
}

test("a thread is renamed in place, found by its title, and deleted after a question", async () => {
  await chat.talk("talk");
  await chat.say("name me");
  await chat.ended();
  const item = chat.threads().filter({ hasText: "name me" });
  await item.getByRole("link").press("F2");
  await chat.page.getByRole("textbox", { name: "Title" }).fill("Whales");
  await chat.page.keyboard.press("Enter");
  await chat.threads().filter({ hasText: "Whales" }).waitFor();
  await chat.page.getByRole("button", { name: "Whales", exact: true }).waitFor(); // the head
  await chat.page.getByRole("searchbox", { name: "Search in titles" }).fill("wHaL");
  await expect.poll(() => chat.threads().count()).toBe(1);
  await chat.page.getByRole("searchbox", { name: "Search in titles" }).fill("no such");
  await chat.page.getByText("No title contains this.").waitFor();
  await chat.page.getByRole("searchbox", { name: "Search in titles" }).fill("");
  await chat.page.getByRole("button", { name: "Actions for this thread" }).click();
  await chat.page.getByRole("menuitem", { name: "Delete…" }).click();
  await chat.page.getByRole("dialog").getByRole("button", { name: "Delete", exact: true }).click();
  await expect.poll(() => chat.threads().filter({ hasText: "Whales" }).count()).toBe(0);
  await expect.poll(() => new URL(chat.page.url()).hash).toBe("#/chat/talk");
});

test("what is typed and not sent is kept for each thread, and composing a script sends nothing", async () => {
  await chat.talk("talk");
  await chat.box().fill("half a thought");
  await chat.page.reload();
  await expect.poll(() => chat.box().inputValue()).toBe("half a thought");
  await chat.box().dispatchEvent("keydown", { key: "Enter", isComposing: true, bubbles: true });
  await chat.box().press("Shift+Enter");
  expect(await chat.box().inputValue()).toBe("half a thought\n");
  expect(await chat.own().count()).toBe(0);
  await chat.box().press("Enter");
  await chat.own().filter({ hasText: "half a thought" }).waitFor();
  await chat.ended();
});

test("a message that the server refuses stays in the box, and says why", async () => {
  await chat.talk("talk");
  const big = "x".repeat(3_000_000);
  await chat.box().fill(big);
  await chat.box().press("Enter");
  await chat.page.getByRole("alert").first().waitFor();
  expect((await chat.box().inputValue()).length).toBe(big.length);
  await chat.box().fill("");
});

test("a graph with fields of its own is a form, and its subagents and state are shown", async () => {
  await chat.page.goto(`${chat.base}/#/chat/research`);
  await chat.page.getByRole("textbox", { name: /topic/i }).fill("whales");
  await chat.page.getByRole("button", { name: "Run", exact: true }).click();
  await chat.page.locator(".subagent").first().waitFor();
  await chat.page.getByRole("heading", { name: "summary" }).waitFor();
  expect(await chat.page.locator(".subagent").count()).toBe(3);
  await chat.page.locator(".subagent summary").first().click();
  await chat.page.getByText("a map with a hole in it").first().waitFor();
  await chat.threads().filter({ hasText: "whales" }).waitFor();
});

test("a reader who has scrolled up is left alone, and led back by a button", async () => {
  await chat.page.setViewportSize({ width: 900, height: 420 });
  await chat.talk("talk");
  await chat.say("long one");
  await chat.ended();
  await chat.say("long two");
  await chat.ended();
  const scroller = chat.page.locator(".messages-scroll");
  const rest = () =>
    scroller.evaluate((element) => element.scrollHeight - element.scrollTop - element.clientHeight);
  await expect.poll(rest).toBeLessThan(25);
  await scroller.hover();
  await chat.page.mouse.wheel(0, -300);
  await expect.poll(rest).toBeGreaterThan(100);
  const top = await scroller.evaluate((element) => element.scrollTop);
  await chat.say("long three");
  await chat.own().filter({ hasText: "long three" }).waitFor({ state: "attached" });
  await chat.ended();
  expect(await scroller.evaluate((element) => element.scrollTop)).toBe(top);
  await chat.page.getByRole("button", { name: "New messages" }).click();
  await expect.poll(rest).toBeLessThan(25);
});

test("a thread is opened with one watch of the graph's threads, which the list and its head share", async () => {
  await chat.talk("chat");
  await chat.say("Once");
  await chat.ended();
  const { hash } = new URL(chat.page.url());
  const tab = await chat.context.newPage();
  const watched: unknown[] = [];
  tab.on("websocket", (socket) =>
    socket.on("framesent", ({ payload }) => {
      const sent = [JSON.parse(String(payload))].flat();
      watched.push(...sent.filter(({ type, what }) => type === "watch" && what === "threads"));
    }),
  );
  await tab.goto(`${chat.base}/${hash}`);
  await tab.locator(".thread-head a.thread-run").waitFor();
  await chat.threads(tab).first().waitFor();
  await tab.getByRole("searchbox").fill("Once");
  await expect.poll(() => watched.length).toBe(2);
  expect(watched).toEqual([
    expect.not.objectContaining({ search: expect.anything() }),
    expect.objectContaining({ search: "Once" }),
  ]);
});

test("a thread that is older than those of the list has its title in the head", async () => {
  const client = connect(chat.gateway.url, { webSocket });
  const messages = [{ type: "human", content: "hello" }];
  for (let number = 0; number <= LISTED; number += 1)
    await client.stateUpdate("chat", `old${number}`, { messages }, { asNode: "__input__" });
  client.close();
  await chat.page.goto(`${chat.base}/#/chat/chat/old0`);
  await chat.page.getByText(/older threads are not shown/).waitFor();
  expect(await chat.threads().filter({ hasText: "old0" }).count()).toBe(0);
  await chat.page.locator(".thread-head .thread-name", { hasText: "old0" }).waitFor();
});
