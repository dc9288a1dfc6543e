/** The chat where it is hard: long and hostile threads, questions with schemas, restarts, graphs without threads. */

import { AxeBuilder } from "@axe-core/playwright";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { WebSocket } from "ws";
import { connect } from "../../typescript/src/index.js";
import { Chat } from "./chat_page";

let chat: Chat;
let isCut = false;

beforeAll(async () => {
  const demo = ["chat", "research"].map((name) => `${name}=graphwire_gateway.demo.graphs:${name}`);
  const talks = ["alone", "picky", "team"].map((name) => `${name}=../../console/test/talks.py:${name}`);
  chat = await Chat.start(...demo, ...talks, "talk=./chat.py:chat", "--checkpointer", "./chat.py:saver");
});
afterAll(() => chat.stop());
beforeEach(async () => {
  isCut = false;
  await chat.begin();
});
afterEach(() => chat.end(isCut));

/** Write messages into a thread of the graph `talk`, as if they had been said. */
async function written(thread: string, messages: readonly object[]): Promise<void> {
  const client = connect(chat.gateway.url, { webSocket: WebSocket, onState: () => {} });
  for (let at = 0; at < messages.length; at += 2500)
    await client.stateUpdate(
      "talk",
      thread,
      { messages: messages.slice(at, at + 2500) },
      { asNode: "answer" },
    );
  client.close();
}

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
  await chat.page.goto(`${chat.base}/#/chat/talk/hostile`);
  await chat.page.getByRole("button", { name: "Show all 900,000 characters" }).click();
  await expect.poll(async () => (await chat.answers().last().textContent())?.length).toBeGreaterThan(900_000);
  await chat.page.locator(".tool summary").click();
  const image = chat.page.getByRole("link", { name: "Image: pixel" });
  expect([await image.getAttribute("rel"), await image.getAttribute("target")]).toEqual([
    "noreferrer",
    "_blank",
  ]);
  expect(await chat.page.getByRole("link", { name: "go" }).count()).toBe(0);
  expect(await chat.page.locator("main img").count()).toBe(0);
  await chat.page.getByText("⟦U+202E⟧").waitFor();
  expect(await chat.page.evaluate("window.hurt")).toBeUndefined();
});

test("every view of the chat has names, roles and contrast, in light and dark", async () => {
  const found: string[] = [];
  const look = async (where: string) => {
    for (const colorScheme of ["light", "dark"] as const) {
      await chat.page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
      const { violations } = await new AxeBuilder({ page: chat.page }).analyze();
      for (const { id, nodes } of violations) found.push(`${where} ${colorScheme}: ${id} ${nodes[0]?.html}`);
    }
  };
  await chat.page.goto(`${chat.base}/#/chat`);
  await chat.page.getByRole("link", { name: /^talk/ }).waitFor();
  await look("picker");
  await chat.talk("chat");
  await look("empty");
  await chat.say("A mail about axes");
  await chat.page.getByText("Send this mail?").first().waitFor();
  await chat.box().fill("and then");
  await look("question");
  await chat.talk("talk");
  await chat.say("fail now");
  await chat.page.getByText("The run failed.").waitFor();
  await chat.own().first().getByRole("button", { name: "Edit" }).click();
  await look("failed, editing");
  await chat.page.goto(`${chat.base}/#/chat/research`);
  await chat.page.getByRole("button", { name: "Run", exact: true }).waitFor();
  await look("form");
  expect(found).toEqual([]);
});

test("an answer that its schema refuses is kept and explained, and the right one is taken", async () => {
  await chat.talk("picky");
  await chat.say("hello");
  await chat.page.getByText("How old are you?").first().waitFor();
  const form = chat.page.locator(".question").first();
  await form.getByRole("textbox").or(form.getByRole("spinbutton")).first().fill("-3");
  await form.getByRole("button").last().click();
  await form
    .getByText(/at least|minimum|less than/i)
    .first()
    .waitFor();
  expect(await form.getByRole("textbox").or(form.getByRole("spinbutton")).first().inputValue()).toBe("-3");
  await form.getByRole("textbox").or(form.getByRole("spinbutton")).first().fill("42");
  await form.getByRole("button").last().click();
  await chat.page.getByText("So you are 42.").first().waitFor();
  await chat.ended();
});

test("a question survives a restart of the server, is not dropped by a message, and is answered", async () => {
  isCut = true;
  await chat.talk("talk");
  await chat.say("ask me");
  await chat.page.getByText("sure?").first().waitFor();
  await chat.restart();
  await chat.page.getByText("discards its question").waitFor();
  await chat.say("not now");
  expect(await chat.box().inputValue()).toBe("not now");
  await chat.page.getByText("sure?").first().waitFor();
  const form = chat.page.locator(".question").first();
  await form.getByRole("textbox").first().fill("yes");
  await form.getByRole("button").last().click();
  await chat.page.getByText("I say yes").first().waitFor();
  await chat.ended();
});

test("a graph without a checkpointer runs without a thread, and says so", async () => {
  await chat.page.goto(`${chat.base}/#/chat/alone`);
  await chat.page.getByText("keeps no threads").waitFor();
  for (const text of ["one", "two"]) {
    await chat.page.getByRole("textbox", { name: "Message" }).fill(text);
    await chat.page.getByRole("button", { name: "Run", exact: true }).click();
    await chat.page.getByText("I heard 1").first().waitFor();
  }
  await chat.page.reload();
  await chat.page.getByText("I heard 1").first().waitFor();
});

test("a subagent is apart from the answer, folded, with its name and what it is at", async () => {
  await chat.talk("team");
  await chat.say("look");
  await chat.ended();
  expect(await chat.text()).toBe("That is it.");
  expect(await chat.page.locator(".messages-row > .message-ai").count()).toBe(1);
  const subagent = chat.page.locator(".subagent");
  expect(await subagent.locator("summary").textContent()).toMatch(/^scoutdeep in the archive/);
  expect(await subagent.getByRole("progressbar").isVisible()).toBe(false);
  await subagent.locator("summary").click();
  await subagent.getByRole("progressbar").waitFor();
  await chat.page.getByText("deep in the archive").last().waitFor();
});
