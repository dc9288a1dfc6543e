/**
 * The threads of a graph, of a client that fails at first.
 *
 * @vitest-environment happy-dom
 */

import { act, cleanup, renderHook } from "@testing-library/react";
import { type Client, Refused, type ThreadWatchItem } from "graphwire";
import { afterEach, expect, test, vi } from "vitest";
import { useThreads } from "../src/chat/threads_store";

afterEach(() => {
  cleanup();
  vi.useRealTimers();
});

const row = {
  graph: "g",
  thread: "t",
  status: "completed",
  updated_at: "2026",
} as unknown as ThreadWatchItem;

/** A client whose first watches fail; it counts them. */
function failing(...errors: Error[]) {
  const client = {
    watched: 0,
    async *threads() {},
    async *watchThreads() {
      client.watched += 1;
      const error = errors.shift();
      if (error) throw error;
      yield row;
      await new Promise(() => {});
    },
  };
  return client;
}

const pass = (ms: number) => act(() => vi.advanceTimersByTimeAsync(ms));

test("a watch that the server could not open is opened again, and its error goes", async () => {
  vi.useFakeTimers();
  const busy = new Refused("unavailable", "the saver is away", "after");
  const client = failing(busy, busy);
  const { result, unmount } = renderHook(() => useThreads(client as unknown as Client, "g", {}));
  await pass(100);
  expect(result.current.error).toBe(busy);
  await pass(7000);
  expect(client.watched).toBe(3);
  expect(result.current.error).toBeUndefined();
  expect(result.current.rows.map(({ thread }) => thread)).toEqual(["t"]);
  unmount();
});

test("a watch that is refused for good is not, nor is one that nobody shows any more", async () => {
  vi.useFakeTimers();
  const never = new Refused("not_found", "no such graph", "never");
  const forbidden = failing(never);
  const { result } = renderHook(() => useThreads(forbidden as unknown as Client, "g", {}));
  const left = failing(new Refused("unavailable", "the saver is away", "after"));
  const { unmount } = renderHook(() => useThreads(left as unknown as Client, "g", {}));
  await pass(100);
  unmount();
  await pass(60_000);
  expect([forbidden.watched, left.watched]).toEqual([1, 1]);
  expect(result.current.error).toBe(never);
});

test("without a filter nothing is watched", async () => {
  vi.useFakeTimers();
  const client = failing();
  const { result } = renderHook(() => useThreads(client as unknown as Client, "g", undefined));
  await pass(100);
  expect([client.watched, result.current.rows]).toEqual([0, []]);
});
