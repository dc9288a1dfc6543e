/** The page of a run in Chromium, as a person uses it, before a real gateway with the demo's graphs. */

import AxeBuilder from "@axe-core/playwright";
import { type Client, connect, type Mode } from "graphwire";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { webSocket } from "../../typescript/test/gateway.js";
import { Chat } from "./chat_page";

let site: Chat;
let client: Client;

beforeAll(async () => {
  const names = ["research", "journey", "longjob"];
  site = await Chat.start(...names.map((name) => `${name}=graphwire_gateway.demo.graphs:${name}`));
  client = connect(site.gateway.url, { webSocket });
});
afterAll(async () => {
  client?.close();
  await site?.stop();
});
beforeEach(() => site.begin());
afterEach(() => site.end()); // no error, no violation of the policy, no request to anybody else

const ALL: Mode[] = ["values", "updates", "messages", "custom", "tasks"];
const until = (isSo: () => unknown) => vi.waitFor(isSo, { timeout: 60_000, interval: 50 });

/** Start a run that records everything, unless `more` says otherwise; return its id. */
async function start(graph: string, input: object, more: object = {}): Promise<string> {
  const record = { modes: ALL, subgraphs: true };
  const run = await client.run(graph, input, { modes: ["lifecycle"], record, ...more });
  run.detach();
  return run.id;
}

const show = (run: string, query = "") => site.page.goto(`${site.base}/#/run/${run}${query}`);
const tab = (name: string) => site.page.getByRole("link", { name, exact: true }).click();
const picture = () => site.page.getByRole("region", { name: "The graph" });
const node = (name: RegExp) => picture().getByRole("button", { name });
const head = () => site.page.locator(".run-head");

async function isAccessible(): Promise<void> {
  const { violations } = await new AxeBuilder({ page: site.page }).analyze();
  expect(violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`)).toEqual([]);
}

test("nodes are lit as they work, those of nested subgraphs too, and each task shows what went in and came out", async () => {
  // The code of the drawing is loaded with another run, so that this one does not begin unseen.
  await show(await start("longjob", { topic: "lamps", steps: 1, seconds: 0.1 }));
  await node(/^report done/).waitFor();
  const run = await start("research", { topic: "lighthouses" });
  await show(run);
  await head().getByRole("heading", { name: "research" }).waitFor();
  await node(/^plan running/).waitFor();
  await node(/^read running, 3 times/).waitFor();
  await node(/^summarize not run/).waitFor();
  await node(/^summarize done/).waitFor();
  await head().getByText("Completed").waitFor();
  await site.page.locator(".run-caught", { hasText: /^complete/ }).waitFor();

  // A subgraph is closed and opened.
  const inner = picture().getByRole("button", { name: "Subgraph of library" });
  await inner.click();
  expect(await node(/^read /).count()).toBe(0);
  await inner.click();
  await node(/^read done, 3 times/).waitFor();
  await isAccessible();

  const tasks = site.page.getByRole("region", { name: "Timeline of the nodes" });
  expect(await tasks.getByRole("button", { name: /^researcher done/ }).count()).toBe(3);
  await tasks
    .getByRole("button", { name: /^library done/ })
    .first()
    .click();
  const panel = site.page.getByRole("complementary", { name: "One task" });
  await panel.getByText("question").first().waitFor();
  await panel.getByText("sources").waitFor();
  expect(await panel.getByRole("heading").allTextContents()).toEqual(["library", "Input", "Result"]);
  await isAccessible();
});

test("what was said, the states and what they changed, and every event as it came", async () => {
  const run = await start("research", { topic: "tides" }, { thread: "tides" });
  const { summary } = (await client.result(run)) as { summary: string };
  await show(run);
  await tab("Messages");
  const groups = site.page.getByRole("navigation", { name: "Messages by graph" });
  await groups.getByRole("button", { name: /^researcher 2/ }).click();
  await until(async () => expect(await site.page.locator(".message-body").count()).toBe(1));
  await groups.getByRole("button", { name: /^Main graph/ }).click();
  await until(async () => {
    const said = await site.page.locator(".message-body").allTextContents();
    expect(said.length).toBe(2); // the plan and the summary
    expect(said[1]).toContain(summary.slice(0, 40));
  });
  await isAccessible();

  await tab("State");
  await site.page.getByText("summary").first().waitFor();
  await site.page.getByRole("button", { name: /^2 after plan/ }).click();
  await site.page.locator(".run-changes").getByText("questions").waitFor();
  await isAccessible();
  await site.page.getByRole("button", { name: "Checkpoints of the thread" }).click();
  await site.page.getByRole("button", { name: /before plan/ }).click();
  await isAccessible();

  await tab("Events");
  const rows = site.page.getByRole("region", { name: "Events" });
  await rows.getByRole("button", { name: /lifecycle.*completed/ }).waitFor();
  await site.page.getByRole("checkbox", { name: "tasks" }).check();
  await until(async () => expect(await rows.getByRole("button", { name: /messages/ }).count()).toBe(0));
  await site.page.getByRole("searchbox").fill("harbour records");
  await rows
    .getByRole("button", { name: /look_up ended/ })
    .first()
    .click();
  await rows.getByText("the blue notebook").first().waitFor();
  // The address has it all.
  await site.page.reload();
  await rows
    .getByRole("button", { name: /look_up ended/ })
    .first()
    .waitFor();
  expect(await site.page.getByRole("checkbox", { name: "tasks" }).isChecked()).toBe(true);
  await isAccessible();
  await site.page.getByRole("searchbox").fill("no event says this");
  await site.page.getByText("No event matches.").waitFor();
});

test("a question is answered above the graph, and the run continues", async () => {
  const run = await start("journey", { place: "Crete" }, { thread: "crete" });
  await show(run);
  await head().getByText("Who travels to Crete, and how?").waitFor();
  await node(/^book waits for an answer/).waitFor();
  await isAccessible();
  await head().getByRole("button", { name: "Answer" }).click();
  await head().getByText("Completed").waitFor();
  await node(/^write_ticket done/).waitFor();
  expect(await head().getByText("Who travels to Crete").count()).toBe(0);
});

test("a run is cancelled once one has confirmed it, and says why it ended", async () => {
  const run = await start("longjob", { topic: "maps", seconds: 60 });
  await show(run);
  await node(/^collecting running/).waitFor();
  await head().getByRole("button", { name: "Cancel…" }).click();
  const dialog = site.page.getByRole("dialog", { name: "Cancel this run?" });
  await dialog.waitFor();
  await isAccessible();
  await dialog.getByRole("button", { name: "Cancel the run" }).click();
  await head().getByText("cancelled in the console").waitFor();
  await node(/^collecting stopped with the run/).waitFor();
});

test("a run that was started in the console is run again with its input, edited", async () => {
  await site.page.goto(`${site.base}/#/runs`);
  await site.page.getByRole("button", { name: "Start a run" }).first().click();
  const form = site.page.getByRole("dialog", { name: "Start a run" });
  await form.getByLabel("Graph", { exact: true }).selectOption("longjob");
  await form.getByLabel(/^Topic/).fill("kites");
  await form.getByRole("button", { name: "Start", exact: true }).click();
  await until(async () => expect(new URL(site.page.url()).hash).toContain("open="));
  const [first] = await runsOf("longjob");
  await show(String(first));
  await head().getByRole("button", { name: "Run again…" }).click();
  const again = site.page.getByRole("dialog", { name: "Run again" });
  const topic = again.getByLabel(/^Topic/);
  await until(async () => expect(await topic.inputValue()).toBe("kites"));
  await isAccessible();
  await topic.fill("sails");
  await again.getByRole("button", { name: "Run", exact: true }).click();
  await until(() => expect(new URL(site.page.url()).hash).toMatch(/^#\/run\/run-/));
  await node(/^collecting running/).waitFor();
  const second = decodeURIComponent(new URL(site.page.url()).hash.replace("#/run/", ""));
  await client.cancel(String(first));
  expect(await client.result(second)).toMatchObject({ topic: "sails" });
});

test("a run without a thread, of another program, is run again with the input that its first state tells", async () => {
  const first = await start("longjob", { topic: "gulls", steps: 1, seconds: 0.1 });
  await client.result(first);
  await show(first);
  await head().getByRole("button", { name: "Run again…" }).click();
  const again = site.page.getByRole("dialog", { name: "Run again" });
  await again.getByText(/taken from the run’s first state, before any node/).waitFor();
  expect(await again.getByLabel(/^Topic/).inputValue()).toBe("gulls");
  await isAccessible();
  await again.getByRole("button", { name: "Run", exact: true }).click();
  await until(() => expect(new URL(site.page.url()).hash).toMatch(/^#\/run\/run-/));
  const second = decodeURIComponent(new URL(site.page.url()).hash.replace("#/run/", ""));
  expect(await client.result(second)).toEqual(await client.result(first));
});

test("a run that records nothing says so, and what would", async () => {
  const run = await start(
    "longjob",
    { topic: "x", seconds: 0.1 },
    { record: { modes: [], subgraphs: false } },
  );
  await client.result(run);
  await show(run);
  await head().getByText("Completed").waitFor();
  await node(/^collecting not recorded/).waitFor();
  await site.page.getByText('record = ["tasks"]').waitFor();
  await tab("Messages");
  await site.page.getByText("does not record mode").waitFor();
  await tab("State");
  await site.page.getByText('record = ["values"]').waitFor();
  await tab("Events");
  await site.page.getByRole("button", { name: /lifecycle.*completed/ }).waitFor();
  await isAccessible();
});

test("an unknown run is said plainly", async () => {
  await show("nobody-started-it");
  await site.page.getByRole("heading", { name: "There is no such run" }).waitFor();
  expect(await site.page.getByRole("link", { name: "Go to all runs" }).getAttribute("href")).toBe("#/runs");
  await isAccessible();
});

async function runsOf(graph: string): Promise<string[]> {
  const ids: string[] = [];
  for await (const row of client.runs({ graph, limit: 5 })) ids.push(row.run);
  return ids;
}
