/**
 * What the frame says of the connection, and what it keeps and counts.
 *
 * @vitest-environment happy-dom
 */

import { ConnectionClosed } from "graphwire";
import { expect, test, vi } from "vitest";
import { countIn, traffic } from "../src/counted";
import { codeOf, connectionWords, healthNow } from "../src/frame/words";
import { forget, keep, kept } from "../src/kept";

const known = { wasConnected: true, isDraining: false, health: undefined, origin: "https://app.example" };
const waiting = (reason: string, more = {}) =>
  connectionWords({ state: "waiting", reason, retryMs: 1 }, { ...known, ...more });
const closed = (code: number) =>
  connectionWords({ state: "closed", reason: "r", error: new ConnectionClosed(code, "r") }, known);

test("a lost connection says that runs continue; a server that was never there says how to start it", () => {
  expect(waiting("close code 1006")).toMatchObject({
    title: "The connection is lost.",
    now: expect.stringContaining("Runs continue"),
  });
  expect(waiting("no connection to x", { wasConnected: false })).toMatchObject({
    title: "The server cannot be reached.",
    todo: expect.stringContaining("graphwire serve"),
  });
});

test("each reason has its own words", () => {
  const titles = [
    waiting("close code 1012").title,
    waiting("no connection", { health: "draining" }).title,
    waiting("close code 1013").title,
    waiting("close code 4429").title,
    waiting("close code 1009").title,
    waiting("no connection", { health: "up" }).title,
    waiting("no connection", { health: "other" }).title,
    waiting("nothing arrived from x within 10000 ms").title,
  ];
  expect(titles[0]).toBe(titles[1]);
  expect(new Set(titles).size).toBe(7);
  expect(
    connectionWords({ state: "connected", reason: "welcome" }, { ...known, isDraining: true }).word,
  ).toBe("Stopping");
  expect(codeOf("close code 4401: no")).toBe(4401);
  expect(codeOf("nothing arrived")).toBeUndefined();
});

test("a refused origin names itself and the option that allows it", () => {
  expect(closed(4403).todo).toContain("graphwire serve --allow-origin https://app.example");
  expect(closed(4400).todo).toContain("Reload the page");
  expect(closed(4401).word).toBe("Signed out");
  expect(closed(4999)).toMatchObject({ now: "r" });
});

test("the health check tells a server that is away from one that only refuses WebSockets", async () => {
  const answer = (status: number, text: string) => healthNow(async () => new Response(text, { status }));
  expect(await answer(200, "ready\n")).toBe("up");
  expect(await answer(503, "draining\n")).toBe("draining");
  expect(await answer(502, "bad gateway")).toBe("away");
  expect(await answer(200, "<html>")).toBe("other");
  expect(await healthNow(() => Promise.reject(new TypeError()))).toBe("away");
});

test("what is kept is found again, and forgotten everywhere", () => {
  expect(keep("a", "1", "device")).toBe(true);
  expect(kept("a")).toBe("1");
  expect(localStorage.getItem("a")).toBe("1");
  keep("a", "2", "tab");
  expect([localStorage.getItem("a"), kept("a")]).toEqual([null, "2"]);
  forget("a");
  expect(kept("a")).toBeUndefined();
});

test("a browser whose storage is blocked remembers until the page is left", () => {
  const blocked = () => {
    throw new DOMException("blocked", "SecurityError");
  };
  vi.stubGlobal("localStorage", undefined);
  vi.stubGlobal("sessionStorage", { getItem: blocked, setItem: blocked, removeItem: blocked });
  try {
    expect(keep("b", "1", "tab")).toBe(false);
    expect(kept("b")).toBe("1");
    forget("b");
    expect(kept("b")).toBeUndefined();
  } finally {
    vi.unstubAllGlobals();
  }
});

test("messages are counted in bytes, and gaps by the frame, not by what people write", () => {
  const before = traffic();
  const messages = [
    '[{"type":"gap","sub":1},{"type":"snapshot","sub":1},{"type":"gap","sub":2}]',
    JSON.stringify({ type: "event", data: 'ä "type":"gap"' }),
  ];
  for (const message of messages) countIn(message);
  const after = traffic();
  expect([
    after.gaps - before.gaps,
    after.snapshots - before.snapshots,
    after.heals - before.heals,
    after.messagesIn - before.messagesIn,
  ]).toEqual([2, 1, 1, 2]);
  countIn('{"type":"snapshot","sub":3}'); // how a view begins: no gap was there
  expect(traffic().heals).toBe(after.heals);
  expect(after.bytesIn - before.bytesIn).toBe(
    messages.reduce((sum, each) => sum + Buffer.byteLength(each), 0),
  );
  expect(after.isDraining).toBe(false);
  countIn('{"type":"goaway","reason":"draining","deadline_s":30,"after_ms":0}');
  expect(traffic().isDraining).toBe(true);
});
