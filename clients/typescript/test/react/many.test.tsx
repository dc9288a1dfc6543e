// @vitest-environment happy-dom
/** Very many stores on one page: some change in a frame, the others in the next ones, and none is left out. */

import { expect, test, vi } from "vitest";
import { Store } from "../../src/react/store.js";

class Count extends Store<number> {
  value = 0;
  protected start(): void {}
  protected stop(): void {}
  protected read(): number {
    return this.value;
  }
}

test("a frame publishes sixteen stores, each in its turn, and what changes meanwhile once", () => {
  const frames: FrameRequestCallback[] = [];
  const hold = vi.spyOn(globalThis, "requestAnimationFrame").mockImplementation((show) => frames.push(show));
  const stores = Array.from({ length: 40 }, () => new Count(0));
  const published: number[] = [];
  const ends = stores.map((store, index) => store.subscribe(() => published.push(index)));
  const change = () => {
    for (const store of stores) {
      store.value += 1;
      store.changed();
    }
  };
  const frame = () => {
    const before = published.length;
    for (const show of frames.splice(0)) show(0);
    return published.slice(before);
  };
  const numbers = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => from + index);
  change();
  expect(frame()).toEqual(numbers(0, 16));
  change(); // those that were published are behind those that wait
  expect(frame()).toEqual(numbers(16, 32));
  expect(stores[20]?.state).toBe(2);
  expect(frame()).toEqual([...numbers(32, 40), ...numbers(0, 8)]);
  expect(frame()).toEqual(numbers(8, 16));
  expect(frames).toEqual([]);
  expect(stores.map(({ state }) => state)).toEqual(stores.map(() => 2));
  for (const end of ends) end();
  hold.mockRestore();
});
