/** The frame in Chromium, before real gateways: signing in, a refused origin, a server that goes and comes back. */

import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { AxeBuilder } from "@axe-core/playwright";
import type { Browser, Page } from "playwright";
import type { PreviewServer } from "vite";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { launch } from "../../typescript/test/chromium";
import { served } from "./served";

const PYTHON =
  process.env.GRAPHWIRE_PYTHON ?? fileURLToPath(new URL("../../../.venv/bin/python", import.meta.url));

let folder: string;
let port: number;
let gateway: ChildProcess | undefined;
let site: PreviewServer;
let base: string;
let browser: Browser;
let page: Page;
let errors: string[];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "console-"));
  port = await freePort();
  [site, base] = await served(() => port);
  browser = await launch();
});
afterAll(async () => {
  await browser.close();
  await site.close();
  rmSync(folder, { recursive: true });
});
beforeEach(async () => {
  const context = await browser.newContext();
  page = await context.newPage();
  errors = [];
  page.on("pageerror", ({ message }) => errors.push(message));
  page.on(
    "console",
    (message) => /Content Security Policy/.test(message.text()) && errors.push(message.text()),
  );
});
afterEach(async () => {
  await page.context().close();
  await stop();
  expect(errors).toEqual([]);
});

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address ? address.port : 0));
    });
  });
}

/** Start the gateway with this configuration; it always has the same port. */
async function start(config = ""): Promise<void> {
  const file = join(folder, "graphwire.toml");
  writeFileSync(file, config);
  const args = ["-m", "graphwire", "serve", "chat=graphwire_gateway.demo.graphs:chat"];
  const child = spawn(PYTHON, [...args, "--port", String(port), "--config", file], { cwd: folder });
  gateway = child;
  let said = "";
  await new Promise<void>((resolve, reject) => {
    const listen = (data: Buffer) => {
      said += data;
      if (/ws:\/\//.test(said)) resolve();
    };
    child.stdout.on("data", listen);
    child.stderr.on("data", listen);
    child.once("exit", () => reject(new Error(said)));
  });
}

function stop(): Promise<void> {
  const child = gateway;
  gateway = undefined;
  return new Promise((resolve) => {
    if (!child || child.exitCode !== null) return resolve();
    child.once("exit", () => resolve());
    child.kill("SIGKILL");
  });
}

const word = () => page.locator(".bar-word").textContent();
const connected = () => expect.poll(word).toBe("Connected");

async function isAccessible(): Promise<void> {
  const { violations } = await new AxeBuilder({ page }).analyze();
  expect(violations.map(({ id, nodes }) => [id, ...nodes.map((node) => node.html)])).toEqual([]);
}

test("a wrong token is refused in words, a right one signs in and outlives a reload, and one signs out", async () => {
  await start('[auth]\ntokens = { "secret" = "ann" }\n');
  await page.goto(base);
  await page.getByRole("heading", { name: "Sign in to graphwire" }).waitFor();
  expect(await page.getByRole("alert").textContent()).toBe("");
  await page.getByLabel("Token").fill("wrong");
  await page.keyboard.press("Enter");
  await page.getByText("The server does not accept this token.").waitFor();
  await isAccessible();
  await page.getByLabel("Token").fill("secret");
  await page.getByLabel("Keep on this device").check();
  await page.keyboard.press("Enter");
  await connected();
  await page.reload();
  await connected();
  const other = await page.context().newPage();
  await other.goto(base);
  await other.getByText("Connected", { exact: true }).waitFor();
  await page.getByLabel("Account and settings").click();
  await page.getByText("ann", { exact: true }).waitFor();
  await isAccessible();
  await page.getByRole("menuitem", { name: "Sign out" }).click();
  await page.getByRole("heading", { name: "Sign in to graphwire" }).waitFor();
  expect(
    await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }])),
  ).not.toContain("secret");
});

test("a token that is not kept is forgotten with its tab", async () => {
  await start('[auth]\ntokens = { "secret" = "ann" }\n');
  await page.goto(base);
  await page.getByLabel("Token").fill("secret");
  await page.keyboard.press("Enter");
  await connected();
  const other = await page.context().newPage();
  await other.goto(base);
  await other.getByRole("heading", { name: "Sign in to graphwire" }).waitFor();
});

test("a page of an origin that is not allowed says what allows it, and tries again when asked", async () => {
  await start("[server]\nallowed_origins = []\n");
  await page.goto(base);
  await page.getByText(`graphwire serve --allow-origin ${base}`).waitFor();
  await isAccessible();
  await stop();
  await start();
  await page.getByRole("button", { name: "Connect again" }).click();
  await connected();
});

test("a server that is away is said so, and the page goes on by itself when it is back", async () => {
  await page.goto(`${base}/#/connection`);
  await page.locator(".banner").getByText("The server cannot be reached.").waitFor();
  await start();
  await connected();
  await page.getByText("Server and you").waitFor();
  await expect.poll(() => page.locator(".banner").count()).toBe(0);
  await stop();
  await page.locator(".banner").getByText("Runs continue on the server.").waitFor();
  await isAccessible();
  await start();
  await page.getByRole("button", { name: /Try now/ }).click();
  await connected();
  const reconnects = page.locator(".conn-list > div", { hasText: "Reconnects" }).locator("dd");
  await expect.poll(() => reconnects.textContent()).toBe("1");
});

test("round trips are measured, and keys lead to every page", async () => {
  await start();
  await page.goto(`${base}/#/connection`);
  await expect.poll(() => page.locator(".conn-big dd").textContent()).toMatch(/\d ms$/);
  await page.keyboard.press("?");
  await page.getByRole("dialog", { name: "Keys" }).waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  for (const [key, hash] of Object.entries({ c: "#/chat", n: "#/connection", r: "#/runs" })) {
    await page.keyboard.press("g");
    await page.keyboard.press(key);
    await page.waitForFunction((expected) => location.hash === expected, hash);
  }
});

test("a browser that blocks storage shows the page all the same, and signs in", async () => {
  await page.addInitScript(() => {
    for (const name of ["localStorage", "sessionStorage"])
      Object.defineProperty(window, name, {
        get: () => {
          throw new DOMException("blocked", "SecurityError");
        },
      });
  });
  await start('[auth]\ntokens = { "secret" = "ann" }\n');
  await page.goto(base);
  await page.getByLabel("Token").fill("secret");
  await page.keyboard.press("Enter");
  await connected();
  await page.getByLabel("Account and settings").click();
  await page.getByRole("menuitemradio", { name: "Dark" }).click();
  expect(await page.evaluate(() => document.documentElement.dataset.theme)).toBe("dark");
});

test("a tab that outlives an upgrade of the server offers to reload, and says which part it cannot load", async () => {
  await page.addInitScript(() => {
    window.requestIdleCallback = () => 0; // no part is loaded before it is wanted
  });
  await start();
  await page.goto(`${base}/#/connection`);
  await page.getByText("Connected", { exact: true }).first().waitFor();
  const html = await (await page.request.get(`${base}/`)).text();
  await page.route(`${base}/`, (route) =>
    route.fulfill({
      contentType: "text/html",
      body: html.replace(/assets\/index-[^"]+\.js/, "assets/index-new.js"),
    }),
  );
  await page.route(/assets\/page-/, (route) => route.fulfill({ status: 404, body: "" }));
  await page.getByRole("link", { name: "Chat" }).click();
  await page.getByRole("heading", { name: "This page could not be loaded" }).waitFor();
  const news = page.locator(".banner").getByText("The server has a newer version of this page.");
  await news.waitFor();
  await page.unrouteAll();
  await page.locator(".banner").getByRole("button", { name: "Reload" }).click();
  await page.getByRole("heading", { name: "Graphs" }).waitFor();
  expect(await news.count()).toBe(0);
});

test("after a reconnect the tab asks whether the server has a newer console", async () => {
  await start();
  await page.goto(`${base}/#/connection`);
  await page.getByText("Connected", { exact: true }).first().waitFor();
  const html = await (await page.request.get(`${base}/`)).text();
  const asked: string[] = [];
  let body = html;
  await page.route(`${base}/`, (route) => {
    asked.push(route.request().url());
    return route.fulfill({ contentType: "text/html", body });
  });
  const reconnect = async (count: number) => {
    await stop();
    await page.locator(".bar-state").getByText("Reconnecting").waitFor();
    await start();
    await expect.poll(() => asked.length).toBe(count);
  };
  await reconnect(1);
  expect(await page.locator(".banner-news").count()).toBe(0);
  body = html.replace(/assets\/index-[^"]+\.js/, "assets/index-new.js");
  await reconnect(2);
  await page.locator(".banner").getByText("The server has a newer version of this page.").waitFor();
});

test("a page that was not opened before is there though the server is gone", async () => {
  await start();
  await page.goto(`${base}/#/runs`);
  await connected();
  await expect
    .poll(() =>
      page.evaluate(
        () => performance.getEntriesByType("resource").filter(({ name }) => /\/page-.*js$/.test(name)).length,
      ),
    )
    .toBe(4);
  await stop();
  await page.route(/assets/, (route) => route.abort());
  await page.getByRole("link", { name: "Connection", exact: true }).click();
  await page.getByRole("heading", { name: "Round trip" }).waitFor();
});
