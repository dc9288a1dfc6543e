/** What the console shows through cut networks, in a second tab, of 300 runs, and of what a server has let go. */

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Client, connect } from "graphwire";
import type { Page } from "playwright";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { Gateway, webSocket } from "../../typescript/test/gateway.js";
import { Chat } from "./chat_page";

/** A server that keeps 200 events of a run, and begins lists with 20 runs. */
const SMALL = "[limits]\nlog_events = 200\nlog_min_age_s = 0\nmax_watch_runs = 20\n";
const graphs = ["words", "asks"].map((name) => `${name}=../../console/test/hard.py:${name}`);

let site: Chat;
let small: Gateway;
let client: Client;
let isCut = false;

beforeAll(async () => {
  site = await Chat.start(...graphs);
  const file = join(site.folder, "small.toml");
  writeFileSync(file, SMALL);
  small = await Gateway.start(...graphs, "--port", "0", "--config", file);
  client = connect(site.gateway.url, { webSocket });
});
afterAll(async () => {
  client?.close();
  await Promise.all([site?.stop(), small?.stop()]);
});
beforeEach(async () => {
  isCut = false;
  await site.begin();
});
afterEach(async () => {
  site.line.mend();
  site.line.gateway = site.gateway.url;
  await site.end(isCut);
});

const until = (isSo: () => unknown) => vi.waitFor(isSo, { timeout: 60_000, interval: 50 });
const numbered = (count: number) =>
  Array.from({ length: count }, (_, number) => `w${String(number).padStart(4, "0")}`).join(" ");
/** The run of the thread that a tab shows. */
const runOf = async (tab: Page) => {
  const link = tab.locator(".thread-head a.thread-run");
  return decodeURIComponent(String(await link.getAttribute("href")).replace("#/run/", ""));
};
const connected = (tab: Page) => tab.locator(".bar-word", { hasText: /^Connected$/ }).waitFor();
const said = (tab: Page) => tab.locator(".message-ai .message-body").last();
const textOf = async (tab: Page) => String(await said(tab).textContent()).trim();
const fact = (name: string, tab = site.page) =>
  tab.locator(".conn-list > div", { hasText: name }).first().locator("dd").textContent();

/** Watch what a tab shows of the answer: `wrong` has each text that was no beginning of the right one. */
async function watched(tab: Page, right: string): Promise<() => Promise<string[]>> {
  await tab.evaluate((right) => {
    const wrong: string[] = [];
    const look = () => {
      const shown = [...document.querySelectorAll(".message-ai .message-body")].at(-1)?.textContent ?? "";
      if (shown && !right.startsWith(shown.trim())) wrong.push(shown);
    };
    new MutationObserver(look).observe(document, { subtree: true, childList: true, characterData: true });
    Object.assign(window, { wrong });
  }, right);
  return () => tab.evaluate(() => (window as unknown as { wrong: string[] }).wrong);
}

test("a text that the network cuts three times completes exactly in the chat and on the run's page, and each reconnect is counted", async () => {
  isCut = true;
  const right = numbered(500);
  await site.talk("words");
  await site.say("500 at 25");
  await said(site.page).waitFor();
  const other = await site.opened(`#/run/${encodeURIComponent(await runOf(site.page))}?tab=messages`);
  await said(other).waitFor();
  const tabs = [site.page, other];
  const wrong = await Promise.all(tabs.map((tab) => watched(tab, right)));
  for (const _ of [1, 2, 3]) {
    const before = (await textOf(site.page)).length;
    await until(async () => expect((await textOf(site.page)).length).toBeGreaterThan(before + 40));
    site.line.cut();
    await site.page.locator(".bar-word", { hasNotText: /^Connected$/ }).waitFor();
    site.line.mend();
    await Promise.all(tabs.map(connected));
  }
  expect((await textOf(site.page)).length).toBeLessThan(right.length); // else nothing was cut
  await site.ended();
  for (const tab of tabs) await until(async () => expect(await textOf(tab)).toBe(right));
  for (const isWrong of wrong) expect(await isWrong()).toEqual([]);
  await site.page.getByRole("link", { name: "Connection", exact: true }).click();
  await until(async () => expect(await fact("Reconnects")).toBe("3"));
});

test("an answer that is given in one tab closes the question in the others: chat, run, list", async () => {
  await site.talk("asks");
  await site.say("ask me");
  await site.page.getByText("Who comes?").first().waitFor();
  const hash = new URL(site.page.url()).hash;
  const run = await runOf(site.page);
  const [chat, page, list] = [
    await site.opened(hash),
    await site.opened(`#/run/${encodeURIComponent(run)}`),
    await site.opened("#/runs"),
  ] as const;
  for (const tab of [chat, page]) await tab.locator(".question").getByText("Who comes?").waitFor();
  const row = list.locator(`[data-run="${run}"]`);
  await row.getByRole("button", { name: "Answer", exact: true }).click();
  await row.getByText("Who comes?").first().waitFor();
  await page.locator(".question").getByRole("textbox").fill("Ann");
  await page.locator(".question").getByRole("button", { name: "Answer", exact: true }).click();
  for (const tab of [site.page, chat]) {
    await tab.getByText("It is Ann.", { exact: true }).waitFor();
    await until(async () => expect(await tab.locator(".question").count()).toBe(0));
  }
  await page.locator(".run-head").getByText("Completed").waitFor();
  expect(await page.locator(".question").count()).toBe(0);
  await row.getByText("Completed").waitFor();
  expect(await row.locator(".question").count()).toBe(0);
  await list.close();

  // A text that one tab asks for streams in both, and in the head of the run's page.
  await site.talk("words");
  await site.say("60 at 30");
  await site.page.waitForURL(/chat\/words\//);
  const second = await site.opened(new URL(site.page.url()).hash);
  await said(second).waitFor();
  await Promise.all([site.ended(), site.ended(second)]);
  for (const tab of [site.page, second]) expect(await textOf(tab)).toBe(numbered(60));
});

test("of 300 runs the list counts each, draws those in view, and keeps their order while they run", async () => {
  const many = (graph: string, input: object, count: number) =>
    Promise.all(
      Array.from({ length: count }, async (_, number) => {
        const id = `${graph.split(".")[1]}-${number}`;
        (
          await client.run(graph, input, { run: id, modes: ["lifecycle"], record: { modes: ["custom"] } })
        ).detach();
        return id;
      }),
    );
  const busy = await many("conformance.counter", { count: 1e6, burst: 10, pause_s: 0.2 }, 60);
  const [asking, done, failed] = [
    await many("conformance.ask", { topic: "x" }, 40),
    await many("conformance.echo", { value: 1 }, 100),
    await many("conformance.fails", { after: 1 }, 100),
  ] as const;
  await Promise.all([...done, ...failed].map((run) => client.result(run).catch(() => {})));
  await site.page.goto(`${site.base}/#/runs`);
  const chip = (name: string) => site.page.getByRole("button", { name: new RegExp(`^${name} `) });
  // Runs of other tests are there, too: the server's own list says how many.
  const counted = async () => {
    const counts: { [status: string]: number } = {};
    for await (const { status } of client.runs()) counts[status] = (counts[status] ?? 0) + 1;
    return counts;
  };
  const areRight = () =>
    until(async () => {
      const { interrupted, running, completed, failed, cancelled = 0 } = await counted();
      const shown: string[] = [];
      for (const name of ["Waits for you", "Running", "Completed", "Failed", "Cancelled"])
        shown.push(String((await chip(name).textContent())?.replace(/\D/g, "")));
      expect(shown.map(Number)).toEqual([interrupted, running, completed, failed, cancelled]);
      expect(Number(interrupted) + Number(running)).toBeGreaterThanOrEqual(asking.length);
    });
  await areRight();

  const seen = new Map<number, string | null>();
  const total = (await counted()).interrupted! + busy.length + 200;
  const look = async () => {
    const rows = await site.page
      .locator("[data-run]")
      .evaluateAll((rows) =>
        rows.map((row) => [Number(row.ariaRowIndex), row.getAttribute("data-run")] as const),
      );
    expect(rows.length).toBeLessThan(60);
    for (const [place, run] of rows) {
      expect([place, seen.get(place) ?? run]).toEqual([place, run]); // no row has moved
      seen.set(place, run);
    }
  };
  const scroller = site.page.locator(".runs-scroll");
  const through = async () => {
    await scroller.evaluate((element) => element.scrollTo(0, 0));
    for (let isEnd = false; !isEnd; ) {
      await look();
      isEnd = await scroller.evaluate(async (element) => {
        const before = element.scrollTop;
        element.scrollBy(0, element.clientHeight * 0.8);
        await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
        return element.scrollTop === before;
      });
    }
    await look();
  };
  await through();
  expect(new Set(seen.values()).size).toBe(seen.size);
  expect(seen.size).toBeGreaterThanOrEqual(total);
  expect([...busy, ...asking, ...done, ...failed].filter((run) => ![...seen.values()].includes(run))).toEqual(
    [],
  );
  // The runs go on meanwhile, and no row moves.
  const head = async () => {
    for await (const row of client.runs({ status: ["running"] })) if (row.run === busy[0]) return row.head;
    return 0;
  };
  const before = await head();
  await until(async () => expect(await head()).toBeGreaterThan(before));
  await through();

  await Promise.all(busy.slice(0, 10).map((run) => client.cancel(run)));
  await Promise.all(busy.slice(0, 10).map((run) => client.result(run).catch(() => {})));
  await areRight();
  await Promise.all([...busy, ...asking].map((run) => client.cancel(run).catch(() => {})));
});

test("a list that the server cuts says so, counts what it cannot know as such, and loads the rest", async () => {
  site.line.gateway = small.url;
  const direct = connect(small.url, { webSocket });
  (await direct.run("conformance.slow", {}, { run: "old", modes: ["lifecycle"] })).detach();
  for (let number = 0; number < 30; number += 1)
    await (
      await direct.run("conformance.echo", { value: 1 }, { run: `r${number}`, modes: ["lifecycle"] })
    ).result();
  await site.page.goto(`${site.base}/#/connection`);
  await site.page.goto(`${site.base}/#/runs`);
  await site.page.reload();
  await site.page.getByText("10 older runs are not listed").waitFor();
  // One that has not ended is there, however old it is.
  await site.page.getByText("All that have not ended are here.").waitFor();
  await site.page.getByRole("button", { name: /^Running 1$/ }).click();
  await site.page.locator('[data-run="old"]').waitFor();
  await site.page.getByRole("button", { name: /^Running 1$/ }).click();
  const completed = site.page.getByRole("button", { name: /^Completed / });
  expect(await completed.textContent()).toMatch(/20\+$/);
  await site.page.getByRole("button", { name: "Load older runs" }).click();
  await site.page.getByText("10 older runs were loaded").waitFor();
  await until(async () => expect((await completed.textContent())?.replace(/\D/g, "")).toBe("30"));
  await direct.cancel("old");
  direct.close();
});

test("a page that missed more than the server keeps says what is gone, and its text is whole again", async () => {
  isCut = true;
  site.line.gateway = small.url;
  await site.page.goto(`${site.base}/#/chat/words`);
  await site.page.reload();
  const right = numbered(900);
  await site.say("900 at 150");
  await said(site.page).waitFor();
  const run = await runOf(site.page);
  const other = await site.opened(`#/run/${encodeURIComponent(run)}?tab=messages`);
  await said(other).waitFor();
  const direct = connect(small.url, { webSocket });
  const head = async () => {
    for await (const row of direct.runs({ graph: "words" })) if (row.run === run) return row.head;
    return 0;
  };
  site.line.cut();
  const before = await head();
  await until(async () => expect(await head()).toBeGreaterThan(before + 300));
  site.line.mend();
  await Promise.all([site.page, other].map(connected));
  await other.getByText(/The server no longer has the events up to number \d+/).waitFor();
  await site.ended();
  for (const tab of [site.page, other]) await until(async () => expect(await textOf(tab)).toBe(right));
  await other.locator(".run-caught", { hasText: /^complete/ }).waitFor();
  await other.getByRole("link", { name: "Connection", exact: true }).click();
  await until(async () => expect(Number(await fact("Gaps", other))).toBeGreaterThan(0));
  direct.close();
});
