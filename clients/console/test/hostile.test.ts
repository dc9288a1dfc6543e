/** The console before what is hostile, large or deep: nothing runs, nothing is asked for elsewhere, nothing takes long. */

import { type Client, connect } from "graphwire";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { webSocket } from "../../typescript/test/gateway.js";
import { costOf } from "../../typescript/test/hundred/measure.js";
import { Chat } from "./chat_page";
import { startRecorded } from "./recorded_run";

/** What no task of a page may take, in milliseconds of CPU time. */
const LONGEST_MS = 200;
/** A busy server takes seconds to read a thread of 10,000 messages. */
const PATIENCE_MS = 60_000;
const HTML = '<img src="//evil.example/x.png" onerror="window.hurt = 1"><script>window.hurt = 1</script>';
const HOSTILE = `${HTML} x\u202egnp.exe\u200b\u2066`;

let site: Chat;
let client: Client;

beforeAll(async () => {
  const graphs = ["words", "asks", "hostile"].map((name) => `${name}=../../console/test/hard.py:${name}`);
  site = await Chat.start(...graphs);
  client = connect(site.gateway.url, { webSocket });
});
afterAll(async () => {
  client?.close();
  await site?.stop();
});
beforeEach(() => site.begin());
afterEach(async () => {
  for (const tab of site.context.pages()) expect(await tab.evaluate("window.hurt")).toBeUndefined();
  await site.end(); // no dialog, no error, no violation of the policy, no request to anybody else
});

const until = (isSo: () => unknown) => vi.waitFor(isSo, { timeout: 60_000, interval: 50 });
const show = (hash: string) => site.page.goto(`${site.base}/${hash}`);

const start = (graph: string, input: object, more?: object) => startRecorded(client, graph, input, more);

/** Do it, and return the longest task of the page meanwhile. */
async function longestTask(act: () => Promise<void>): Promise<number> {
  const categories = ["devtools.timeline", "disabled-by-default-devtools.timeline", "__metadata"];
  await site.browser.startTracing(site.page, { categories });
  let trace: Buffer;
  try {
    await act();
    // The cost is counted by frames, and a page at rest draws few.
    await site.page.evaluate(async () => {
      for (let frame = 0; frame < 12; frame += 1)
        await new Promise((resolve) => {
          document.documentElement.style.setProperty("--frame", String(frame));
          requestAnimationFrame(resolve);
        });
    });
  } finally {
    trace = await site.browser.stopTracing();
  }
  return costOf(JSON.parse(String(trace)).traceEvents).taskMs;
}

/** Look at what is shown: nothing hostile is an element, and what would not be seen is a mark, in attributes too. */
async function isHarmless(where: string, isShown = true): Promise<void> {
  if (isShown)
    await until(async () =>
      expect([where, await site.page.textContent("body")]).toEqual([
        where,
        expect.stringContaining("U+202E"),
      ]),
    );
  const found = await site.page.evaluate(() => {
    const raw = /[\u202e\u200b\u2066]/;
    const found: string[] = [];
    if (raw.test(document.title)) found.push(`title ${document.title}`);
    for (const element of document.querySelectorAll("*")) {
      if (element.matches("main img, main script, iframe, object")) found.push(element.outerHTML);
      for (const { name, value } of element.attributes)
        if ((raw.test(value) && !name.startsWith("data-")) || name.startsWith("on"))
          found.push(`${element.tagName} ${name}=${value}`);
      for (const node of element.childNodes)
        if (node.nodeType === Node.TEXT_NODE && raw.test(node.textContent ?? ""))
          found.push(`${element.tagName}.${element.className}: ${node.textContent}`);
    }
    return found;
  });
  expect([where, ...found]).toEqual([where]);
}

test("a thread of 10,000 messages is opened, and streams, without a task that is felt", async () => {
  for (let at = 0; at < 10_000; at += 2500) {
    const messages = Array.from({ length: 2500 }, (_, n) => ({
      type: ["human", "ai"][n % 2],
      id: `m${at + n}`,
      content: `number ${at + n} ${"word ".repeat(n % 40)}`,
    }));
    await client.stateUpdate("words", "many", { messages }, { asNode: "speak" });
  }
  const opened = await longestTask(async () => {
    await show("#/chat/words/many");
    await site.page.getByText("number 9999").waitFor({ timeout: PATIENCE_MS });
  });
  expect(await site.page.locator(".messages-row").count()).toBeLessThan(60);
  const scroller = site.page.locator(".messages-scroll");
  await scroller.evaluate((element) => element.scrollTo(0, element.scrollHeight / 2));
  await until(async () =>
    expect(await site.page.locator(".messages-row").first().textContent()).toMatch(/number [456]\d\d\d/),
  );
  await scroller.evaluate((element) => element.scrollTo(0, 0));
  await site.page.getByText("number 0", { exact: true }).waitFor();
  await site.page.getByRole("button", { name: "To the end" }).click();
  const streamed = await longestTask(async () => {
    await site.say("60 at 30");
    await site.page.getByText("w0059").last().waitFor({ timeout: PATIENCE_MS });
    await site.ended();
  });
  expect(await site.page.locator(".messages-row").count()).toBeLessThan(60);
  expect(Math.max(opened, streamed)).toBeLessThan(LONGEST_MS);
});

test("hostile names, titles, metadata, errors, questions, tools and states do nothing on any page", async () => {
  const metadata = { title: HOSTILE, [HOSTILE]: HOSTILE };
  const [fine, failed, asking, tools] = [
    await start("hostile", { how: "fine" }, { thread: "fine", metadata }),
    await start("hostile", { how: "fail" }, { thread: "failed", metadata }),
    await start("asks", { messages: [{ type: "human", content: "hostile" }] }, { thread: "ask", metadata }),
    await start("asks", { messages: [{ type: "human", content: "tools" }] }, { thread: "tools", metadata }),
  ];
  await Promise.all([fine, failed, tools].map((run) => client.result(run).catch(() => {})));
  for (const thread of ["fine", "failed"]) await client.threadUpdate("hostile", thread, { title: HOSTILE });
  for (const thread of ["ask", "tools"]) await client.threadUpdate("asks", thread, { title: HOSTILE });

  await show(`#/runs?open=${[fine, failed, asking, tools].join(",")}`);
  for (const run of [fine, failed, asking, tools])
    await site.page.locator(`.runs-panels article`).nth([fine, failed, asking, tools].indexOf(run)).waitFor();
  await site.page
    .locator(`[data-run="${asking}"]`)
    .getByRole("button", { name: "Answer", exact: true })
    .click();
  await isHarmless("the list, and at its side");
  await site.page
    .locator(`[data-run="${fine}"]`)
    .getByRole("button", { name: /^More about/ })
    .click();
  await site.page.getByRole("menuitem", { name: "Delete" }).click();
  await site.page.getByRole("dialog").waitFor();
  await isHarmless("deleting a run");
  await site.page.keyboard.press("Escape");
  await site.page.getByRole("dialog").waitFor({ state: "detached" });
  await show("#/runs");
  await site.page.getByRole("button", { name: "Start a run" }).first().click();
  await site.page.getByRole("dialog").getByLabel("Graph", { exact: true }).selectOption("hostile");
  await isHarmless("starting a run");

  for (const run of [fine, failed, asking, tools])
    for (const tab of ["graph", "messages", "state", "state&of=thread", "events"]) {
      if (tab === "messages" && run !== tools) continue;
      await show(`#/run/${run}?tab=${tab}`);
      await site.page.locator(`article[aria-label="Run ${run}"]`).waitFor();
      if (tab === "graph") await site.page.locator(".react-flow__node").first().waitFor();
      if (tab === "events") {
        const rows = site.page.getByRole("region", { name: "Events" }).getByRole("button");
        await rows.first().waitFor();
        for (let row = 0; row < Math.min(4, await rows.count()); row += 1) await rows.nth(row).click();
      }
      if (tab === "messages") await site.page.locator(".tool summary").first().click();
      if (tab === "graph" && run === failed) {
        await site.page.locator(".run-waterfall button").first().click();
        await site.page.getByText("Input").first().waitFor();
      }
      if (tab.startsWith("state")) {
        // What is hostile may be in what is closed.
        await site.page.locator(".run-detail .json").first().waitFor();
        for (const _ of [1, 2, 3, 4]) {
          const closed = site.page.locator('.run-detail .json-toggle[aria-expanded="false"]');
          if (await closed.count()) await closed.first().click();
        }
      }
      const isFar = run === tools && tab !== "messages" && tab !== "events"; // deep within, or closed
      await isHarmless(`run ${tab} ${run}`, !isFar);
    }
  await show(`#/run/${fine}`);
  for (const [button, dialog] of [
    ["Copy as…", "dialog"],
    ["Run again…", "dialog"],
  ] as const) {
    await site.page.getByRole("button", { name: button }).click();
    await site.page.getByRole(dialog).waitFor();
    await isHarmless(button);
    await site.page.keyboard.press("Escape");
    await site.page.getByRole(dialog).waitFor({ state: "detached" });
  }

  await show("#/chat");
  await isHarmless("the graphs");
  for (const thread of ["fine", "failed"]) {
    await show(`#/chat/hostile/${thread}`);
    await site.page.locator("main a[href^='#/run/']").first().waitFor();
    await isHarmless(`the form, ${thread}`);
  }
  await show("#/chat/asks/ask");
  await site.page.locator(".question").waitFor({ timeout: PATIENCE_MS });
  await isHarmless("a question in the chat");
  await show("#/chat/asks/tools");
  await site.page.locator(".tool summary").first().click();
  await isHarmless("a call of a tool in the chat");
});

test("1 MiB in one message streams, is shown cut, and all of it when asked", async () => {
  await show("#/chat/words");
  const longest = await longestTask(async () => {
    await site.say("large");
    await site.ended();
    await site.page.reload();
    await site.page.getByRole("button", { name: "Show all 1,048,576 characters" }).waitFor();
  });
  const run = decodeURIComponent(
    String(await site.page.locator(".thread-head a.thread-run").getAttribute("href")),
  );
  await show(`${run}?tab=messages`);
  await site.page.getByRole("button", { name: "Show all 1,048,576 characters" }).click();
  await until(async () =>
    expect((await site.page.locator(".message-body").last().textContent())?.length).toBeGreaterThan(
      1_048_575,
    ),
  );
  expect(longest).toBeLessThan(LONGEST_MS);
});

test("10,000 events are all there on each part of a run's page, few of them as rows, and no task is felt", async () => {
  const run = await start("hostile", { how: "many" });
  await client.result(run);
  const costs: { [tab: string]: number } = {};
  for (const tab of ["graph", "messages", "state", "events"]) {
    costs[tab] = await longestTask(async () => {
      await show(`#/run/${run}?tab=${tab}`);
      await site.page.reload();
      await site.page.locator(".run-caught", { hasText: /^complete10,0\d\d events$/ }).waitFor();
    });
    expect(await site.page.locator("main *").count()).toBeLessThan(3000);
  }
  const rows = site.page.getByRole("region", { name: "Events" });
  costs.search = await longestTask(async () => {
    await site.page.getByRole("searchbox").fill("number: 9999");
    await site.page.getByRole("searchbox").fill("9999");
    await site.page.getByText(/^2 of 10,0\d\d events/).waitFor();
  });
  await rows.getByRole("button").last().click(); // the first is the event of that number
  await rows.locator(".run-event-open").getByText("9999").waitFor();
  for (const [where, ms] of Object.entries(costs))
    expect([where, ms < LONGEST_MS || ms]).toEqual([where, true]);
});

test("a state that is nested 200 deep is opened level by level, and says where the server cut it", async () => {
  const run = await start("hostile", { how: "deep" }, { thread: "deep" });
  await client.result(run);
  await show(`#/run/${run}?tab=state`);
  const tree = site.page.locator(".run-detail .json").last();
  await tree.getByRole("button", { name: /deep/ }).first().click();
  for (let level = 0; level < 80; level += 1) {
    if (await tree.getByText("cut: nested deeper than the server sends").count()) break;
    await tree.locator('.json-toggle[aria-expanded="false"]').last().click();
  }
  await tree.getByText("cut: nested deeper than the server sends").waitFor();
  expect(await site.page.evaluate(() => document.documentElement.scrollWidth <= innerWidth)).toBe(true);
});
