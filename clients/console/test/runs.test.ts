/** The Runs page, driven like a person does, before a real gateway. */

import AxeBuilder from "@axe-core/playwright";
import { type Client, connect } from "graphwire";
import type { Browser, BrowserContext, Page } from "playwright";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { launch } from "../../typescript/test/chromium.js";
import { Gateway, webSocket } from "../../typescript/test/gateway.js";
import { ConsoleSite } from "./site";

let gateway: Gateway;
let site: ConsoleSite;
let browser: Browser;
let context: BrowserContext;
let page: Page;
let client: Client;
let errors: string[];

beforeAll(async () => {
  gateway = await Gateway.start("tokens=./hundred/tokens.py:tokens", "--port", "0");
  site = await ConsoleSite.open(gateway.url);
  browser = await launch();
  client = connect(gateway.url, { webSocket });
});

afterAll(async () => {
  await browser?.close();
  client?.close();
  await site?.close();
  await gateway?.stop();
});

beforeEach(async () => {
  // axe opens a page of its own in the context.
  context = await browser.newContext({ viewport: { width: 1400, height: 900 } });
  page = await context.newPage();
  errors = [];
  page.on("pageerror", (error) => errors.push(error.message));
  page.on("console", (message) => {
    // A browser reports each attempt to connect while the line is cut.
    if (message.type() === "error" && !message.text().startsWith("WebSocket connection to"))
      errors.push(message.text());
  });
});

afterEach(async () => {
  await context.close();
  const left: string[] = [];
  for await (const { run, status } of client.runs()) {
    if (["queued", "running", "interrupted"].includes(status)) await client.cancel(run);
    left.push(run);
  }
  for (const run of left) await client.result(run).catch(() => {});
  for (const run of left) await client.delete({ run });
  expect(errors).toEqual([]);
});

/** Start a run by its id, and stop receiving. */
async function start(graph: string, input: object, run: string, more: object = {}): Promise<void> {
  (await client.run(graph, input, { run, modes: ["lifecycle"], ...more })).detach();
}

const rowOf = (run: string) => page.locator(`[data-run="${run}"]`);
const order = () =>
  page.locator("[data-run]").evaluateAll((rows) => rows.map((row) => row.getAttribute("data-run")));
/** Wait until it is true, as long as a busy machine may take. */
const until = (isSo: () => unknown) => vi.waitFor(isSo, { timeout: 60_000, interval: 50 });
const chip = (name: string) => page.getByRole("button", { name: new RegExp(`^${name} `) });

test("two runs are opened at the side and both stream, over one socket; the address brings both back", async () => {
  let sockets = 0;
  page.on("websocket", () => {
    sockets += 1;
  });
  const record = { record: { modes: ["messages", "updates"] } };
  for (const run of ["left", "right"]) await start("tokens", { words: 100_000, rate: 20 }, run, record);
  await page.goto(site.url("#/runs"));
  for (const run of ["left", "right"])
    await rowOf(run)
      .getByRole("button", { name: /at the side/ })
      .click();
  const textOf = (run: string) => page.getByRole("article", { name: run }).getByRole("log").textContent();
  const streams = async (run: string) => {
    const before = ((await textOf(run)) ?? "").length;
    await vi.waitFor(async () => expect(((await textOf(run)) ?? "").length).toBeGreaterThan(before + 30));
  };
  await Promise.all(["left", "right"].map(streams));
  expect(page.url()).toContain("open=left%2Cright");
  expect(sockets).toBe(1);
  // The line of the list is drawn of the same runs' progress.
  await vi.waitFor(async () => expect(await rowOf("left").locator("path[d^=M]").count()).toBeGreaterThan(0));
  await page.reload();
  await Promise.all(["left", "right"].map(streams));
  await page.getByRole("button", { name: "Close left" }).click();
  await until(() => expect(page.url()).toMatch(/open=right$/));
});

test("a question comes first, and is answered where it is listed", async () => {
  await start("conformance.ask", { topic: "cats" }, "asks");
  await start("conformance.slow", {}, "slow");
  await page.goto(site.url("#/runs"));
  await rowOf("slow").waitFor();
  await until(async () => expect(await order()).toEqual(["asks", "slow"]));
  await rowOf("asks").getByText("cats").waitFor();
  await rowOf("asks").getByRole("button", { name: "Answer", exact: true }).click();
  await answer("asks", "dogs");
  await rowOf("asks").getByText("Completed").waitFor();
  expect(await client.result("asks")).toMatchObject({ answer: "dogs" });
});

test("an answer that its schema refuses is shown where and why, and can be mended", async () => {
  await start("conformance.asks", {}, "two");
  await page.goto(site.url("#/runs"));
  await rowOf("two").getByRole("button", { name: "Answer", exact: true }).click();
  // Its two nodes ask at the same time, so that either question may be the first.
  await answer("two", "one", "left?");
  await rowOf("two").getByText("One answer is sent").waitFor();
  await answer("two", "seven");
  await rowOf("two")
    .getByRole("alert")
    .getByText(/whole number/)
    .waitFor();
  expect(await rowOf("two").getByRole("textbox").inputValue()).toBe("seven");
  await answer("two", "7");
  await rowOf("two").getByText("Completed").waitFor();
  expect(await client.result("two")).toEqual({ left: "one", right: 7 });
});

test("three of four runs are selected with Shift and cancelled, and the dialog says which", async () => {
  for (const run of ["one", "two", "three", "four"]) await start("conformance.slow", {}, run);
  await page.goto(site.url("#/runs?sort=oldest"));
  await until(async () => expect(await order()).toEqual(["one", "two", "three", "four"]));
  await rowOf("one").getByRole("checkbox").click();
  await rowOf("three")
    .getByRole("checkbox")
    .click({ modifiers: ["Shift"] });
  const bar = page.getByRole("region", { name: "Selected runs" });
  await bar.getByText("3 selected").waitFor();
  await bar.getByRole("button", { name: "Cancel 3" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("heading", { name: "Cancel 3 runs?" }).waitFor();
  const named = await dialog.getByRole("listitem").allInnerTexts();
  expect(named.map((text) => text.split(/\s/)[0])).toEqual(["one", "two", "three"]);
  await dialog.getByRole("button", { name: "Cancel 3 runs" }).click();
  await dialog.waitFor({ state: "detached" });
  await until(async () => expect(await chip("Cancelled").textContent()).toMatch(/3$/));
  expect(await chip("Running").textContent()).toMatch(/1$/);
  await rowOf("four").getByText("Running").waitFor();
});

test("all that match are cancelled, and what could not be is named", async () => {
  for (const run of ["one", "two"]) await start("conformance.slow", {}, run);
  await start("tokens", { words: 100_000, rate: 1 }, "other");
  await page.goto(site.url("#/runs?graph=conformance.slow"));
  await until(async () => expect((await order()).sort()).toEqual(["one", "two"]));
  await page.getByRole("button", { name: "All runs of the list" }).click();
  await page.getByRole("menuitem", { name: /^Cancel all/ }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("heading", { name: "Cancel 2 runs?" }).waitFor();
  // Somebody deletes one of them while the question stands.
  await client.cancel("two");
  await client.result("two").catch(() => {});
  await client.delete({ run: "two" });
  await dialog.getByRole("button", { name: "Cancel 2 runs" }).click();
  await dialog.getByText("1 of 2 runs are cancelled").waitFor();
  expect(await dialog.getByRole("listitem").allInnerTexts()).toEqual([
    expect.stringMatching(/^two .*not_found/s),
  ]);
  await expect(client.result("one")).rejects.toMatchObject({ name: "RunCancelled" });
  await page.keyboard.press("Escape");
});

test("the keyboard alone filters, moves, selects, opens at the side, answers and opens", async () => {
  await start("conformance.slow", {}, "slow");
  await start("conformance.ask", { topic: "keys" }, "asks");
  await page.goto(site.url("#/runs"));
  await until(async () => expect(await order()).toEqual(["asks", "slow"]));
  await page.keyboard.press("j");
  await until(async () =>
    expect(await page.evaluate(() => document.activeElement?.getAttribute("data-run"))).toBe("asks"),
  );
  await page.keyboard.press("j");
  await page.keyboard.press("x");
  expect(await rowOf("slow").getAttribute("aria-selected")).toBe("true");
  await page.keyboard.press("o");
  await page.getByRole("article", { name: "slow" }).waitFor();
  await page.keyboard.press("Control+a");
  await page.getByText("2 selected").waitFor();
  await page.keyboard.press("Escape");
  await page.keyboard.press("k");
  await page.keyboard.press("a");
  await answer("asks", "yes");
  await rowOf("asks").getByText("Completed").waitFor();
  await until(async () =>
    expect(await page.evaluate(() => document.activeElement?.getAttribute("data-run"))).toBe("asks"),
  );
  await page.keyboard.press("2");
  await until(async () => expect(await order()).toEqual(["slow"]));
  await page.keyboard.press("/");
  await page.keyboard.type("nothing like it");
  await page.getByText("No run matches").waitFor();
  await page.keyboard.press("Escape");
  await rowOf("slow").waitFor();
  await rowOf("slow").focus();
  await page.keyboard.press("Enter");
  await until(() => expect(page.url()).toContain("#/run/slow"));
});

test("a lost connection marks the rows until the list is complete again", async () => {
  await start("conformance.slow", {}, "slow");
  await page.goto(site.url("#/runs"));
  await rowOf("slow").waitFor();
  site.line.cut();
  await page.getByText("The connection is lost").waitFor();
  expect(await page.locator("[data-stale]").count()).toBe(1);
  await start("conformance.slow", {}, "meanwhile");
  site.line.mend();
  await rowOf("meanwhile").waitFor();
  await page.getByText("The connection is lost").waitFor({ state: "detached" });
  expect(await page.locator("[data-stale]").count()).toBe(0);
});

test("no runs yet: the page says how to start one, and starts one", async () => {
  await page.goto(site.url());
  await page.getByText("No runs yet").waitFor();
  expect(await page.getByText(/graphwire.connect\("ws:/).textContent()).toContain("client.run(");
  await page.getByRole("button", { name: "Start a run" }).last().click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Graph").selectOption("conformance.slow");
  await dialog.getByRole("button", { name: "Start", exact: true }).click();
  await dialog.waitFor({ state: "detached" });
  await chip("Running").getByText("1").waitFor();
  await page.getByRole("article").waitFor();
});

test("axe finds nothing in the list, in a question, at the side, in dialogs, in an empty page; dark, light and on a phone", async () => {
  const found: string[] = [];
  const check = async (where: string) => {
    const { violations } = await new AxeBuilder({ page }).analyze();
    for (const { id, nodes } of violations) found.push(`${where}: ${id} ${nodes[0]?.html.slice(0, 200)}`);
  };
  await page.goto(site.url("#/runs"));
  await page.getByText("No runs yet").waitFor();
  await check("empty");
  await start("conformance.asks", {}, "asks", { metadata: { title: "Two questions" } });
  await start("conformance.fails", { after: 1 }, "fails");
  await start("tokens", { words: 100_000, rate: 20 }, "streams", { record: { modes: ["messages"] } });
  await rowOf("asks").getByRole("button", { name: "Answer", exact: true }).click();
  await rowOf("asks").locator("form").first().waitFor();
  await rowOf("streams").getByRole("checkbox").click();
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme });
    await check(`list ${colorScheme}`);
  }
  await page.goto(site.url("#/runs?open=streams,asks,fails"));
  await page
    .getByRole("article", { name: "streams" })
    .getByText(/w\d{4}/)
    .waitFor();
  await page
    .getByRole("article", { name: "fails" })
    .getByText("The server’s log has the traceback")
    .waitFor();
  await check("side");
  await page.setViewportSize({ width: 360, height: 740 });
  await check("phone");
  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(360);
  await page.getByRole("button", { name: /^Open runs/ }).click();
  await check("side on a phone");
  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(360);
  await page.setViewportSize({ width: 1400, height: 900 });
  await page.getByRole("button", { name: "Start a run" }).click();
  await page.getByRole("dialog").getByLabel("Graph").waitFor();
  await check("start");
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  await page
    .locator("[data-run=streams]")
    .getByRole("button", { name: /^More about/ })
    .click();
  await page.getByRole("menuitem", { name: "Cancel" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Cancel one run" }).waitFor();
  await check("cancel");
  expect(found).toEqual([]);
});

/** Give an answer in the row of a run: to the question, or to the only one. */
async function answer(run: string, text: string, question?: string): Promise<void> {
  const form = rowOf(run).getByRole("group", question ? { name: question } : {});
  await form.getByRole("textbox").fill(text);
  await form.getByRole("button", { name: /^(Send|Answer)/ }).click();
}
