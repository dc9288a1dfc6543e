/** What the log of a run records: its modes, and whether subgraphs. And the row of the run in the server's list. */

import { type Client, type Mode, Refused, type RunRow } from "graphwire";
import { useEffect, useState } from "react";

/** What there is to subscribe to: what the server was asked to record, and what it always does. */
export interface Recorded {
  readonly modes: readonly Mode[];
  readonly subgraphs: boolean;
}

const ALL: Mode[] = ["values", "updates", "messages", "custom", "tasks", "checkpoints", "debug"];
const LIFE: Mode[] = ["lifecycle", "interrupt"];

/**
 * Ask what a run records. A subscription to everything is refused for nearly every run, and the refusal says it.
 *
 * Throws `Refused` for a run that cannot be shown.
 */
async function recordedOf(client: Client, run: string): Promise<Recorded> {
  try {
    const all = await client.attach(run, {
      modes: [...ALL, ...LIFE],
      namespaces: [["**"]],
      start: "now",
      window: 1,
    });
    all.detach();
    return { modes: [...ALL, ...LIFE], subgraphs: true };
  } catch (error) {
    const recorded = error instanceof Refused ? error.details.recorded : undefined;
    if (typeof recorded !== "object" || recorded === null) throw error;
    const { modes, subgraphs } = recorded as { modes?: unknown; subgraphs?: unknown };
    if (!Array.isArray(modes)) throw error;
    return { modes: [...(modes as Mode[]), ...LIFE], subgraphs: subgraphs === true };
  }
}

/** What is known of something that is asked for once. */
export interface Asked<T> {
  readonly value: T | undefined;
  readonly error: Error | undefined;
  /** Ask again. */
  readonly retry: () => void;
}

/** Ask what a run records, once for each client, run and `retry`. */
export function useRecorded(client: Client, run: string): Asked<Recorded> {
  return useAsked(`${run}`, client, () => recordedOf(client, run));
}

/** How many rows to look through: the row of a run is not asked for by its id, and the newest are listed first. */
const MOST_ROWS = 2000;

async function rowOf(client: Client, run: string, signal: AbortSignal): Promise<RunRow | undefined> {
  for await (const row of client.runs({ limit: MOST_ROWS, signal })) if (row.run === run) return row;
  return undefined;
}

/** The row of a run; it is read again when `isOver` changes, or a `status` comes that it does not have. */
export function useRow(client: Client, run: string, when: string): Asked<RunRow | undefined> {
  return useAsked(`${run} ${when}`, client, (signal) => rowOf(client, run, signal));
}

/** Ask for something when `key` or `client` changes. What was known is shown until the new answer is there. */
export function useAsked<T>(
  key: string | undefined,
  client: Client,
  ask: (signal: AbortSignal) => Promise<T>,
): Asked<T> {
  const [known, setKnown] = useState<{ value?: T | undefined; error?: Error }>({});
  const [attempt, setAttempt] = useState(0);
  // `key` says what `ask` depends on.
  useEffect(() => {
    if (key === undefined) return;
    const abort = new AbortController();
    ask(abort.signal).then(
      (value) => abort.signal.aborted || setKnown({ value }),
      (error: Error) => abort.signal.aborted || setKnown({ error }),
    );
    return () => abort.abort();
  }, [key, client, attempt]);
  return { value: known.value, error: known.error, retry: () => setAttempt((count) => count + 1) };
}
