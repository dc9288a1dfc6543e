/** A page that makes a client whenever something renders is told so, once. */

import { afterEach, beforeEach, expect, test, vi } from "vitest";

const page = { visibilityState: "visible", addEventListener() {} };
const warn = vi.spyOn(console, "warn");
const socket = class {
  close() {}
  send() {}
};

beforeEach(() => {
  vi.resetModules(); // what was counted before
  vi.useFakeTimers({ toFake: ["performance"] });
  warn.mockReset().mockImplementation(() => {});
});

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

/** Make a client of each address, `ms` apart. */
async function connectAll(ms: number, urls: string[]): Promise<void> {
  const { connect } = await import("../src/index.js");
  for (const url of urls) {
    connect(url, { webSocket: socket, onState: () => {} }).close();
    vi.advanceTimersByTime(ms);
  }
}

const times = (count: number, url = "ws://a/ws") => Array.from({ length: count }, () => url);

test("many clients of one address in a row are named once", async () => {
  vi.stubGlobal("document", page);
  await connectAll(10, times(9));
  expect(warn).not.toHaveBeenCalled();
  await connectAll(10, times(50));
  expect(warn.mock.calls).toEqual([
    [expect.stringMatching(/10 clients of ws:\/\/a\/ws .*outside components/)],
  ]);
});

test("neither a few at a time, nor as many of several addresses, nor a program's are", async () => {
  vi.stubGlobal("document", page);
  await connectAll(1200, times(30));
  await connectAll(
    1,
    times(9, "ws://b/ws").flatMap((url) => [url, "ws://c/ws"]),
  );
  vi.stubGlobal("document", undefined);
  await connectAll(1, times(30, "ws://d/ws"));
  expect(warn).not.toHaveBeenCalled();
});
