/** What people do in the console beside talking: answer what is refused, name threads, mend failures, go on, fork. */

import AxeBuilder from "@axe-core/playwright";
import { type Client, connect } from "graphwire";
import type { Locator, Page } from "playwright";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { webSocket } from "../../typescript/test/gateway.js";
import { Chat } from "./chat_page";
import { startRecorded } from "./recorded_run";

let site: Chat;
let client: Client;

beforeAll(async () => {
  const hard = ["asks", "steps", "pauses", "careful"];
  const graphs = hard.map((name) => `${name}=../../console/test/hard.py:${name}`);
  site = await Chat.start(...graphs, "talk=./chat.py:chat");
  client = connect(site.gateway.url, { webSocket });
});
afterAll(async () => {
  client?.close();
  await site?.stop();
});
beforeEach(() => site.begin());
afterEach(() => site.end());

const until = (isSo: () => unknown) => vi.waitFor(isSo, { timeout: 60_000, interval: 50 });
const hash = () => new URL(site.page.url()).hash;
const show = (run: string, query = "") => site.page.goto(`${site.base}/#/run/${run}${query}`);
const rowOf = (run: string, tab = site.page) => tab.locator(`[data-run="${run}"]`);

const start = (graph: string, input: object, more?: object) => startRecorded(client, graph, input, more);

const saying = (content: string) => ({ messages: [{ type: "human", content }] });

async function isAccessible(tab: Page = site.page): Promise<void> {
  const { violations } = await new AxeBuilder({ page: tab }).analyze();
  expect(violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`)).toEqual([]);
}

/** Give the same name twice, which only the server refuses; then mend one of them. */
async function answerTwice(form: Locator): Promise<void> {
  for (const _ of [1, 2]) await form.getByRole("button", { name: "Add to Names" }).click();
  const names = form.getByRole("textbox");
  await names.nth(0).fill("Ann");
  await names.nth(1).fill("Ann");
  await form.getByRole("button", { name: "Answer", exact: true }).click();
  const alert = form.getByRole("alert");
  await alert.getByText("names", { exact: true }).waitFor(); // where
  await alert
    .getByText(/unique|repeat|twice|once|same/i)
    .first()
    .waitFor(); // why
  expect([await names.nth(0).inputValue(), await names.nth(1).inputValue()]).toEqual(["Ann", "Ann"]);
  await isAccessible(form.page());
  await names.nth(1).fill("Bob");
  await form.getByRole("button", { name: "Answer", exact: true }).click();
}

test("an answer that only the server can refuse is shown where and why, is kept, and is mended: chat, run, list", async () => {
  await site.talk("asks");
  await site.say("strict");
  await answerTwice(site.page.locator(".question"));
  await site.page.getByText("It is {'names': ['Ann', 'Bob']}.", { exact: true }).waitFor();

  for (const where of ["run", "list"]) {
    const run = await start("asks", saying("strict"), { thread: `strict-${where}` });
    if (where === "run") await show(run);
    else await site.page.goto(`${site.base}/#/runs`);
    if (where === "list") await rowOf(run).getByRole("button", { name: "Answer", exact: true }).click();
    await answerTwice(site.page.locator(".question"));
    const messages = [{}, { content: "It is {'names': ['Ann', 'Bob']}." }];
    await until(async () => expect(await client.result(run)).toMatchObject({ messages }));
  }
});

test("a question of 1 MiB is shown cut, all of it when asked, and is answered", async () => {
  const run = await start("asks", saying("large"), { thread: "large" });
  await site.page.goto(`${site.base}/#/runs`);
  await rowOf(run)
    .getByText(/a question of 1\.0 MiB|too large for a row/)
    .waitFor();
  await rowOf(run).getByRole("button", { name: "Answer", exact: true }).click();
  await rowOf(run).getByRole("link", { name: "Open the run to read and answer it" }).click();
  for (const page of ["run", "chat"]) {
    if (page === "chat") await site.page.goto(`${site.base}/#/chat/asks/large`);
    const question = site.page.locator(".question");
    await question.getByText("Is this good?").waitFor();
    expect((await question.textContent())?.length).toBeLessThan(10_000);
    await question.getByRole("button", { name: "show all 1,048,576 characters" }).click();
    await until(async () => expect((await question.textContent())?.length).toBeGreaterThan(1_048_576));
  }
  await site.page.locator(".question").getByRole("button", { name: "Yes", exact: true }).click();
  await site.page.getByText("It is True.", { exact: true }).waitFor();
});

test("a thread that is renamed in one tab has the new name in the other's list, head and rows", async () => {
  await site.talk("talk");
  await site.say("name me");
  await site.ended();
  const run = (await client.runs({ graph: "talk" }).next()).value?.run ?? "";
  const [chat, list] = [await site.opened(hash()), await site.opened("#/runs")];
  await rowOf(run, list).getByText("name me").waitFor();
  await site.page.getByRole("button", { name: "name me", exact: true }).click();
  await site.page.getByRole("textbox", { name: "Title" }).fill("Whales");
  await site.page.keyboard.press("Enter");
  await chat.getByRole("button", { name: "Whales", exact: true }).waitFor(); // the head
  await site.threads(chat).filter({ hasText: "Whales" }).waitFor();
  await rowOf(run, list).getByText("Whales").waitFor();
  await site.threads(chat).getByRole("button", { name: "Actions for Whales" }).click();
  await chat.getByRole("menuitem", { name: "Delete…" }).click();
  await isAccessible(chat);
  await chat.getByRole("dialog").getByRole("button", { name: "Delete", exact: true }).click();
  await until(async () => expect(await site.threads().filter({ hasText: "Whales" }).count()).toBe(0));
});

test("a failed run says in its row, on its page and in the chat what went wrong and what to do", async () => {
  const run = await start("talk", saying("fail, please"), {
    thread: "failing",
    metadata: { title: "It fails" },
  });
  await client.result(run).catch(() => {});
  await site.page.goto(`${site.base}/#/runs?status=failed`);
  await rowOf(run).getByText("It fails").waitFor();
  expect(await rowOf(run).getByRole("gridcell").nth(4).textContent()).toMatch(/ValueError|failed|internal/);
  await isAccessible();
  await rowOf(run).getByRole("link", { name: "It fails" }).click();
  const problem = site.page.locator(".run-head .problem");
  await problem.waitFor();
  const text = String(await problem.textContent());
  expect(text).toMatch(/ValueError|failed/);
  expect(text).toMatch(/The server’s log has the traceback: look for [0-9a-f]{12}/);
  await site.page
    .getByRole("button", { name: /^answer failed/ })
    .first()
    .waitFor();
  await isAccessible();
  await site.page.goto(`${site.base}/#/chat/talk/failing`);
  await site.page.getByText("The run failed.").waitFor();
  await site.page.getByRole("button", { name: "Try again" }).waitFor();
});

test("a breakpoint is said to be one, and is passed: in the chat, on the run's page, in the list", async () => {
  await site.talk("careful");
  await site.say("go");
  await site.page
    .getByText(/paused at a breakpoint/)
    .first()
    .waitFor();
  await isAccessible();
  await site.page.getByRole("button", { name: "Continue", exact: true }).click();
  await site.page.getByText("Behind the breakpoint.", { exact: true }).waitFor();

  const onPage = await start("pauses", { number: 3 }, { thread: "p1" });
  await show(onPage);
  await site.page
    .getByText(/paused at a breakpoint/)
    .first()
    .waitFor();
  await site.page
    .getByRole("button", { name: /^add not run/ })
    .first()
    .waitFor();
  await isAccessible();
  await site.page.getByRole("button", { name: "Continue", exact: true }).click();
  await site.page.locator(".run-head").getByText("Completed").waitFor();
  expect(await client.result(onPage)).toEqual({ number: 7, done: ["double", "add"] });

  const inList = await start(
    "steps",
    { number: 4 },
    { thread: "p2", options: { interrupt_before: ["add"] } },
  );
  await site.page.goto(`${site.base}/#/runs`);
  await rowOf(inList).getByText("paused at a breakpoint").waitFor();
  await rowOf(inList).getByRole("button", { name: "Answer", exact: true }).click();
  await isAccessible();
  await rowOf(inList).getByRole("button", { name: "Continue", exact: true }).click();
  await rowOf(inList).getByText("Completed").waitFor();
  expect(await client.result(inList)).toEqual({ number: 9, done: ["double", "add"] });
});

test("a run forks from a checkpoint with what comes next and with a new input, each to its end", async () => {
  const first = await start("steps", { number: 5 }, { thread: "forked" });
  expect(await client.result(first)).toMatchObject({ number: 11 });
  await show(first, "?tab=state&of=thread");
  const fork = async () => {
    await site.page
      .getByRole("button", { name: /before add/ })
      .last()
      .click();
    await site.page.getByRole("button", { name: "Fork from here…" }).click();
    return site.page.getByRole("dialog", { name: "Fork from this checkpoint" });
  };
  const forked = async () => {
    const shown = () => decodeURIComponent(hash().replace(/^#\/run\/([^?]*).*/, "$1"));
    await until(() => expect([first, ""]).not.toContain(shown()));
    await site.page.locator(".run-head").getByText("Completed").waitFor();
    return client.result(shown());
  };
  const dialog = await fork();
  await isAccessible();
  await dialog.getByRole("button", { name: "Fork", exact: true }).click();
  // Only what follows the checkpoint runs again.
  expect(await forked()).toEqual({ number: 11, done: ["double", "add"] });
  await site.page
    .getByRole("button", { name: /^add done/ })
    .first()
    .waitFor();

  await show(first, "?tab=state&of=thread");
  const other = await fork();
  await other.getByRole("radio", { name: "a new input" }).check();
  await other.getByLabel(/^Number/).fill("20");
  await other.getByRole("button", { name: "Fork", exact: true }).click();
  expect(await forked()).toMatchObject({ number: 41 });
  expect((await client.state("steps", "forked")).values).toMatchObject({ number: 41 });
});

test("a run that others started is run again with its input, edited, to its end", async () => {
  const first = await start("steps", { number: 6 }, { thread: "again" });
  expect(await client.result(first)).toMatchObject({ number: 13 });
  await show(first);
  await site.page.getByRole("button", { name: "Run again…" }).click();
  const dialog = site.page.getByRole("dialog", { name: "Run again" });
  const number = dialog.getByLabel(/^Number/);
  await until(async () => expect(await number.inputValue()).toBe("6"));
  await number.fill("8");
  await dialog.getByRole("button", { name: "Run", exact: true }).click();
  await until(() => expect(hash()).toMatch(/^#\/run\/run-/));
  await site.page.locator(".run-head").getByText("Completed").waitFor();
  expect(await client.result(decodeURIComponent(hash().replace("#/run/", "")))).toMatchObject({ number: 17 });
});
