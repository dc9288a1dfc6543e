/** What is done to many runs at once, without a page and without a server. */

import { type Client, Refused } from "graphwire";
import { expect, test } from "vitest";
import { activeRuns, cancelRun, deleteRun, forEach } from "../src/runs/bulk";
import { row } from "./row";

test("each run is asked for once, few at a time, and what is refused is named with its reason", async () => {
  let open = 0;
  let most = 0;
  const counts: number[] = [];
  const runs = Array.from({ length: 50 }, (_, index) => `r${index}`);
  const outcome = await forEach(
    runs,
    async (run) => {
      most = Math.max(most, ++open);
      await Promise.resolve();
      open -= 1;
      if (run === "r7") throw new Refused("not_found", "no such run");
    },
    (count) => counts.push(count),
  );
  expect(most).toBeLessThanOrEqual(16);
  expect(outcome.done).toEqual(runs.filter((run) => run !== "r7"));
  expect(outcome.failed).toEqual([{ run: "r7", why: "no such run (not_found)" }]);
  expect(counts).toEqual(Array.from({ length: 50 }, (_, index) => index + 1));
});

test("a request that came too early is made again", async () => {
  let tries = 0;
  const outcome = await forEach(["r"], async () => {
    tries += 1;
    if (tries < 3) throw new Refused("rate_limited", "slowly", "after", 1);
  });
  expect([tries, outcome.done]).toEqual([3, ["r"]]);
});

test("a run that ended otherwise was not cancelled, and one that is gone is deleted", async () => {
  const client = {
    cancel: async (run: string) => ({ ran: "completed", waits: "cancelled", runs: "running" })[run],
    delete: async ({ run }: { run: string }) => {
      throw new Refused(run === "gone" ? "not_found" : "forbidden", run);
    },
  } as unknown as Client;
  const outcome = await forEach(["ran", "waits", "runs"], (run) => cancelRun(client, run));
  expect(outcome.failed).toEqual([{ run: "ran", why: "it had ended already: completed" }]);
  await expect(deleteRun(client, "gone")).resolves.toBeUndefined();
  await expect(deleteRun(client, "other")).rejects.toThrow("forbidden");
});

test("all that match are asked of the server, of the statuses that can be cancelled", async () => {
  const asked: unknown[] = [];
  const client = {
    async *runs(filter: object) {
      asked.push(filter);
      yield* [row("a"), row("b", "completed")];
    },
  } as unknown as Client;
  const active = await activeRuns(client, { graph: "chat", status: ["failed", "running"] });
  expect(active.map(({ run }) => run)).toEqual(["a"]);
  expect(asked).toEqual([{ graph: "chat", status: ["running"] }]);
  expect(await activeRuns(client, { status: ["failed"] })).toEqual([]);
  expect(asked).toHaveLength(1);
});
