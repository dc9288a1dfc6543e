/** The titles of threads in the list of runs, without a server. About `src/parts/titles.ts`. */

import type { Client, ThreadWatchItem } from "graphwire";
import { expect, it, vi } from "vitest";
import { titlesOf } from "../src/parts/titles";

it("knows no title that went while nobody looked", async () => {
  vi.useFakeTimers();
  vi.stubGlobal("requestAnimationFrame", (frame: () => void) => setTimeout(frame, 16));
  try {
    const { client, say } = watched();
    const titles = titlesOf(client);
    const leave = titles.subscribe(() => undefined);
    await say(titled("a", "Old"));
    await say({ status: "synced", cut: 0 } as ThreadWatchItem);
    expect(titles.state.of("chat", "a")).toBe("Old");
    leave();
    await vi.advanceTimersByTimeAsync(5000);
    titles.subscribe(() => undefined);
    await say({ status: "synced", cut: 0 } as ThreadWatchItem);
    expect(titles.state.of("chat", "a")).toBeUndefined();
  } finally {
    vi.unstubAllGlobals();
    vi.useRealTimers();
  }
});

const titled = (thread: string, title: string) =>
  ({ status: "idle", graph: "chat", thread, metadata: { title } }) as unknown as ThreadWatchItem;

/** A client whose latest watch of threads yields what `say` is given. */
function watched() {
  let give: (item: ThreadWatchItem) => void = () => undefined;
  const client = {
    async *watchThreads() {
      for (;;)
        yield await new Promise<ThreadWatchItem>((resolve) => {
          give = resolve;
        });
    },
  } as unknown as Client;
  const say = async (item: ThreadWatchItem) => {
    await vi.advanceTimersByTimeAsync(1);
    give(item);
    await vi.advanceTimersByTimeAsync(50);
  };
  return { client, say };
}
