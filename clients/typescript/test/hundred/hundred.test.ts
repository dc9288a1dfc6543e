/** A hundred runs on a page, for some seconds; `npm run bench:page` measures them for longer, and more of them. */

import type { Browser } from "playwright";
import { afterAll, beforeAll, expect, test } from "vitest";
import { launch } from "../chromium.js";
import { Gateway } from "../gateway.js";
import { Hundred } from "./measure.js";

let browser: Browser;
let gateway: Gateway;

beforeAll(async () => {
  browser = await launch();
  gateway = await Gateway.start("tokens=./hundred/tokens.py:tokens", "--port", "0");
}, 120_000);

afterAll(async () => {
  await browser?.close();
  await gateway?.stop();
});

// The goals are 8 ms and 50 ms, for a machine that has nothing else to do; CPU time grows on a busy one, by its caches.
test.each(["core.ts", "hooks.tsx"])(
  "%s shows a hundred runs over one socket, cheaply",
  async (entry) => {
    const hundred = await Hundred.open(browser, entry, gateway.url);
    try {
      await hundred.ends(10);
      const before = await hundred.heapMb();
      const cost = await hundred.measure(5);
      await hundred.ends(40);
      const grown = (await hundred.heapMb()) - before;
      expect(cost).toMatchObject({ runsShown: 100, sockets: 1, errors: [] });
      expect(cost.shareMs, JSON.stringify(cost)).toBeLessThan(24);
      expect(cost.taskMs, JSON.stringify(cost)).toBeLessThan(150);
      expect(grown).toBeLessThan(3); // megabytes, in thirty runs and more
    } finally {
      await hundred.close();
    }
  },
  240_000,
);
