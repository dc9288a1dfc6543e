/** For each file of tests in Node: print what pages showed when a test failed, and stop what the file started. */

import { afterAll, afterEach, beforeEach } from "vitest";
import { stopAll } from "./at_end.js";
import { forgetPages, reportOfPages } from "./seen_pages.js";

beforeEach(({ task }) => forgetPages(() => task.result?.state === "fail"));

// Hooks of a file run in front of these, which were there first: a page may be closed by now, a server not.
afterEach(async ({ task }) => {
  if (task.result?.state !== "fail") return;
  const report = await reportOfPages();
  if (report) console.warn(`${task.name}\n${report}`);
});

afterAll(stopAll);
