/** A page in Chromium with the client, before a real gateway. */

import type { Browser } from "playwright";
import { afterAll, beforeAll, expect, test } from "vitest";
import { VERSION } from "../../src/index.js";
import { bundle, launch, PACKAGE, Site } from "../chromium.js";

let browser: Browser;
let site: Site;

beforeAll(async () => {
  browser = await launch();
  const script = 'import * as graphwire from "./graphwire.js"; Object.assign(window, { graphwire })';
  const page = `<!doctype html><title>a page</title><script type="module">${script}</script>`;
  site = await Site.serve(PACKAGE, { "/": page, "/graphwire.js": bundle("src/index.ts") });
}, 60_000);

afterAll(async () => {
  await browser.close();
  site.stop();
});

test("a page imports the client", async () => {
  const page = await browser.newPage();
  await page.goto(site.url());
  expect(await page.evaluate("graphwire.VERSION")).toBe(VERSION);
});
