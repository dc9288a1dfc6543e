/** Doing the same to many runs, one request each, so that what is refused is known by name. */

import { type Client, Refused, type RunFilter, type RunRow } from "graphwire";
import { ACTIVE, isActive } from "./query";

export interface Outcome {
  readonly done: readonly string[];
  /** What was not done, and why. */
  readonly failed: readonly { readonly run: string; readonly why: string }[];
}

/** How many requests are open at a time: far below what a server allows. */
const AT_ONCE = 16;
const LONGEST_WAIT_MS = 10_000;

/** Do `act` to each of the runs, in their order; a request that came too early is made again. */
export async function forEach(
  runs: readonly string[],
  act: (run: string) => Promise<unknown>,
  onProgress: (count: number) => void = () => {},
): Promise<Outcome> {
  const outcomes: (string | undefined)[] = [];
  let next = 0;
  let count = 0;
  const work = async () => {
    while (next < runs.length) {
      const index = next++;
      outcomes[index] = await attempt(() => act(runs[index]!));
      onProgress(++count);
    }
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, runs.length) }, work));
  return {
    done: runs.filter((_, index) => outcomes[index] === undefined),
    failed: runs.flatMap((run, index) => {
      const why = outcomes[index];
      return why === undefined ? [] : [{ run, why }];
    }),
  };
}

/** Return why it failed; undefined if it did not. */
async function attempt(act: () => Promise<unknown>): Promise<string | undefined> {
  for (;;) {
    try {
      await act();
      return undefined;
    } catch (error) {
      if (error instanceof Refused && error.retry === "after" && error.code === "rate_limited")
        await new Promise((resolve) => setTimeout(resolve, Math.min(error.afterMs ?? 1000, LONGEST_WAIT_MS)));
      else return error instanceof Error ? error.message : String(error);
    }
  }
}

/** Cancel a run. Throws if it has ended otherwise meanwhile. */
export async function cancelRun(client: Client, run: string): Promise<void> {
  const status = await client.cancel(run);
  if (status === "completed" || status === "failed") throw new Error(`it had ended already: ${status}`);
}

/** Delete a run. One that is gone already is deleted. */
export async function deleteRun(client: Client, run: string): Promise<void> {
  try {
    await client.delete({ run });
  } catch (error) {
    if (!(error instanceof Refused) || error.code !== "not_found") throw error;
  }
}

/** List every run that matches and has not ended, also those that a watch leaves out. */
export async function activeRuns(client: Client, { status, ...filter }: RunFilter): Promise<RunRow[]> {
  const wanted = status?.length ? status.filter((each) => ACTIVE.includes(each)) : [...ACTIVE];
  const rows: RunRow[] = [];
  if (!wanted.length) return rows;
  for await (const row of client.runs({ ...filter, status: wanted })) if (isActive(row)) rows.push(row);
  return rows;
}
