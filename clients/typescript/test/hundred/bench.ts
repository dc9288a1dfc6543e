/**
 * `npm run bench:page`: measure the pages of a hundred runs, and print a table.
 *
 * SECONDS says for how long each is traced (20), PAGES which ones (core.ts,hooks.tsx). With MINUTES each runs on for so
 * long, and its heap is printed every minute.
 */

import { loadavg } from "node:os";
import { launch } from "../chromium.js";
import { Gateway } from "../gateway.js";
import { type Cost, Hundred } from "./measure.js";

const { SECONDS = "20", MINUTES = "0", PAGES = "core.ts,hooks.tsx" } = process.env;

const gateway = await Gateway.start("tokens=./hundred/tokens.py:tokens", "--port", "0");
const browser = await launch();
const rows: { [page: string]: Cost } = {};
try {
  for (const entry of PAGES.split(",")) {
    const hundred = await Hundred.open(browser, entry, gateway.url);
    await hundred.shows(100);
    rows[entry] = await hundred.measure(Number(SECONDS));
    for (let minute = 0; minute < Number(MINUTES); minute += 1) {
      console.log(`${entry}: ${(await hundred.heapMb()).toFixed(1)} MB after ${minute} minutes`);
      await new Promise((resolve) => setTimeout(resolve, 60_000));
    }
    if (Number(MINUTES)) console.log(`${entry}: ${(await hundred.heapMb()).toFixed(1)} MB at the end`);
    await hundred.close();
  }
} finally {
  await browser.close();
  await gateway.stop();
}
console.table(
  Object.fromEntries(
    Object.entries(rows).map(([page, { errors, ...numbers }]) => [
      page,
      Object.fromEntries(Object.entries(numbers).map(([name, value]) => [name, Math.round(value * 10) / 10])),
    ]),
  ),
);
console.log(
  "errors:",
  Object.values(rows).flatMap(({ errors }) => errors),
);
console.log(`load ${loadavg().map((load) => load.toFixed(1))}`);
