/** `npm run bench:page`: measure the pages of a hundred runs, each for SECONDS, and print a table. */

import { loadavg } from "node:os";
import { launch } from "../chromium.js";
import { Gateway } from "../gateway.js";
import { type Cost, Hundred } from "./measure.js";

const SECONDS = Number(process.env.SECONDS ?? 20);
const PAGES = (process.env.PAGES ?? "core.ts,hooks.tsx").split(",");

const gateway = await Gateway.start("tokens=./hundred/tokens.py:tokens", "--port", "0");
const browser = await launch();
const rows: { [page: string]: Cost } = {};
try {
  for (const entry of PAGES) {
    const hundred = await Hundred.open(browser, entry, gateway.url);
    await hundred.shows(100);
    rows[entry] = await hundred.measure(SECONDS);
    await hundred.close();
    console.log(entry, rows[entry]);
  }
} finally {
  await browser.close();
  await gateway.stop();
}
console.log(`load ${loadavg().map((load) => load.toFixed(1))}`);
