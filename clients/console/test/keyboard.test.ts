/** Every page by the keyboard alone; and axe in each dialog, menu and page that is met on the way, dark and light. */

import AxeBuilder from "@axe-core/playwright";
import { type Client, connect } from "graphwire";
import type { Locator } from "playwright";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { webSocket } from "../../typescript/test/gateway.js";
import { Chat } from "./chat_page";
import { startRecorded } from "./recorded_run";

let site: Chat;
let client: Client;

beforeAll(async () => {
  const names = ["chat", "journey", "longjob"];
  const graphs = names.map((name) => `${name}=graphwire_gateway.demo.graphs:${name}`);
  site = await Chat.start(...graphs, "steps=../../console/test/hard.py:steps");
  client = connect(site.gateway.url, { webSocket });
});
afterAll(async () => {
  client?.close();
  await site?.stop();
});
beforeEach(() => site.begin());
afterEach(() => site.end());

const press = (...keys: string[]) =>
  keys.reduce((before, key) => before.then(() => site.page.keyboard.press(key)), Promise.resolve());
const type = (text: string) => site.page.keyboard.type(text);
const button = (name: string | RegExp, of: Locator = site.page.locator("body")) =>
  of.getByRole("button", { name, exact: true });
const dialog = (name: string | RegExp) => site.page.getByRole("dialog", { name });
const isFocused = (what: Locator) => what.evaluate((element) => element === document.activeElement);

/** Go on with Tab until `what` has the focus, as somebody does who has nothing else. */
async function tabTo(what: Locator): Promise<void> {
  await what.waitFor();
  for (let count = 0; count < 60; count += 1) {
    if (await isFocused(what)) return;
    await press("Tab");
  }
  throw new Error(`60 times Tab do not lead to ${what}`);
}

/** Wait for the keyboard to be where it is said to be, without a key. */
async function hasFocus(what: Locator): Promise<void> {
  await expect.poll(() => isFocused(what)).toBe(true);
}

/** axe finds nothing, in either scheme. */
async function isClean(): Promise<void> {
  for (const colorScheme of ["light", "dark"] as const) {
    await site.page.emulateMedia({ colorScheme });
    const { violations } = await new AxeBuilder({ page: site.page }).analyze();
    const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`);
    expect([colorScheme, ...found]).toEqual([colorScheme]);
  }
}

/** Open a dialog by its button, close it by Escape, which gives the focus back, and open it again. */
async function opensAndCloses(opener: Locator, opened: Locator): Promise<void> {
  await tabTo(opener);
  await press("Enter");
  await opened.waitFor();
  await isClean();
  await press("Escape");
  await opened.waitFor({ state: "detached" });
  await hasFocus(opener);
  await press("Enter");
  await opened.waitFor();
}

test("runs are started, found, answered, cancelled and opened, without a pointer", async () => {
  const { page } = site;
  await page.goto(`${site.base}/#/runs`);
  await page.getByText("No runs yet").waitFor();
  await isClean();
  const form = dialog("Start a run");
  await opensAndCloses(button("Start a run").first(), form);
  await tabTo(form.getByLabel("Graph", { exact: true }));
  await type("longjob");
  await tabTo(form.getByLabel(/^Topic/));
  await press("Control+a");
  await type("kites");
  await tabTo(form.getByLabel(/^Seconds/));
  await press("Control+a");
  await type("600");
  await tabTo(button("Start", form));
  await press("Enter");
  await form.waitFor({ state: "detached" });
  await page.getByRole("article").getByRole("link", { name: "Open the run" }).waitFor();

  const asking = await startRecorded(client, "journey", { place: "Crete" }, { thread: "crete" });
  const rows = page.locator("[data-run]");
  const row = page.locator(`[data-run="${asking}"]`);
  await row.getByText("Waits for you").waitFor();
  await press("/");
  await type("journey");
  await expect.poll(() => rows.count()).toBe(1);
  await press("Escape");
  await expect.poll(() => rows.count()).toBe(2);
  await tabTo(page.getByRole("button", { name: /^Waits for you/ }));
  await press("Enter");
  await expect.poll(() => rows.count()).toBe(1);
  await press("j");
  await hasFocus(row);
  await tabTo(button(/^More about/, row));
  await press("Enter");
  await page.getByRole("menuitem", { name: "Only this thread" }).waitFor();
  await isClean();
  await press("Escape");
  await hasFocus(button(/^More about/, row));
  await press("a");
  const question = row.locator("form").first();
  await question.waitFor();
  await isClean();
  await tabTo(button("Answer", question));
  await press("Enter");
  await expect.poll(() => rows.count()).toBe(0); // it waits no more
  await client.result(asking);

  await tabTo(page.getByRole("button", { name: /^Running/ }));
  await press("Enter"); // beside what waits
  const job = page.locator("[data-run]", { hasText: "longjob" });
  await job.waitFor();
  await press("Home");
  await hasFocus(job);
  const run = String(await job.getAttribute("data-run"));
  await press("x");
  const cancelling = dialog(/^Cancel/);
  await opensAndCloses(button("Cancel 1"), cancelling);
  await tabTo(button("Cancel one run", cancelling));
  await press("Enter");
  await cancelling.waitFor({ state: "detached" });
  await expect(client.result(run)).rejects.toMatchObject({ name: "RunCancelled" });
  await page.emulateMedia({ colorScheme: null });
});

test("a run is looked through, copied, run again, forked and its keys are listed, without a pointer", async () => {
  const { page } = site;
  const run = await startRecorded(client, "steps", { number: 5 }, { thread: "keys" });
  await client.result(run);
  await page.goto(`${site.base}/#/runs`);
  const row = page.locator(`[data-run="${run}"]`);
  await row.waitFor();
  while (!(await isFocused(row))) await press("j");
  await press("Enter");
  await page
    .getByRole("button", { name: /^double done/ })
    .first()
    .waitFor();
  await isClean();
  await press("?");
  await dialog("Keys").waitFor();
  await isClean();
  await press("Escape");
  await dialog("Keys").waitFor({ state: "detached" });
  for (const [opener, title] of [
    ["Copy as…", "Copy"],
    ["Run again…", "Run again"],
  ] as const) {
    const opened = dialog(new RegExp(`^${title}`));
    await opensAndCloses(button(opener), opened);
    await press("Escape");
    await opened.waitFor({ state: "detached" });
  }
  await tabTo(page.getByRole("button", { name: /^double done/ }).first());
  await press("Enter");
  await isClean();
  for (const tab of ["Messages", "Events", "State"]) {
    await tabTo(page.getByRole("link", { name: tab, exact: true }));
    await press("Enter");
    await page.locator(`nav [aria-current=page]`, { hasText: tab }).waitFor();
    await isClean();
  }
  await page.goto(`${site.base}/#/run/${run}?tab=state&of=thread`);
  await tabTo(page.getByRole("button", { name: /before add/ }).last());
  await press("Enter");
  const forking = dialog("Fork from this checkpoint");
  await opensAndCloses(button("Fork from here…"), forking);
  await tabTo(button("Fork", forking));
  await press("Enter");
  await page.waitForFunction(
    (old) => /^#\/run\/run-/.test(location.hash) && !location.hash.includes(old),
    run,
  );
  await page.locator(".run-head").getByText("Completed").waitFor();
});

test("a chat is begun, stopped, renamed and deleted, and settings are changed, without a pointer", async () => {
  const { page } = site;
  await page.goto(`${site.base}/#/runs`);
  const graphs = page.getByRole("heading", { name: "Graphs" });
  while (!(await graphs.isVisible())) await press("g", "c"); // keys are heard once the page is there
  await isClean();
  await tabTo(page.locator('main a[href="#/chat/chat"]').first());
  await press("Enter");
  await tabTo(site.box());
  await type("A poem about the sea");
  await press("Enter");
  await tabTo(button("Stop"));
  await press("Enter");
  await button("Stop").waitFor({ state: "detached" });
  await isClean();
  const item = site.threads().first();
  const menu = button(/^Actions for/, item);
  await tabTo(menu);
  await press("Enter");
  await page.getByRole("menuitem", { name: "Delete…" }).waitFor();
  await isClean();
  await press("Escape");
  await hasFocus(menu);
  await press("Enter");
  await page.getByRole("menuitem", { name: "Delete…" }).waitFor();
  while (!(await isFocused(page.getByRole("menuitem", { name: "Delete…" })))) await press("ArrowDown");
  await press("Enter");
  const deleting = page.getByRole("dialog");
  await deleting.waitFor();
  await isClean();
  await press("Escape");
  await deleting.waitFor({ state: "detached" });
  await hasFocus(menu);

  const account = button("Account and settings");
  await tabTo(account);
  await press("Enter");
  await page.getByRole("menuitemradio", { name: "Dark" }).waitFor();
  await isClean();
  await press("Escape");
  await hasFocus(account);
  await press("g", "n");
  await page.getByRole("heading", { name: "Round trip" }).waitFor();
  await isClean();
});
