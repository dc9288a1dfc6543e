/** All runs of the page, live: one watch, a second one where the first leaves active runs out, and older ones on request. */

import type { Client, RunRow, Status } from "graphwire";
import { useWatch, type WatchFilter, type WatchState } from "graphwire/react";
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { ACTIVE } from "./query";
import { Rates } from "./rates";
import { merged, Steady } from "./steady";

export interface Board {
  readonly rows: readonly RunRow[];
  readonly isSynced: boolean;
  readonly error: Error | undefined;
  /** How many older runs match and are not among `rows`. */
  readonly left: number;
  /** Whether each run that has not ended is among `rows`. */
  readonly hasAllActive: boolean;
  readonly rates: Rates;
  readonly older: Older;
}

export interface Where {
  readonly graph: string | undefined;
  readonly thread: string | undefined;
  readonly status: readonly Status[];
}

export function useBoard(client: Client, { graph, thread, status }: Where): Board {
  const filter = useMemo(
    (): WatchFilter => ({ ...(graph && { graphs: [graph] }), ...(thread && { thread }), progress: true }),
    [graph, thread],
  );
  const [all, allNow] = useSteadyWatch(client, filter);
  // A server lists its newest runs only. An older one that waits for an answer must not be missed.
  const wanted = useMemo(
    () => ({ ...filter, status: [...new Set([...ACTIVE, ...status])] }),
    [filter, status],
  );
  const [more, moreNow] = useSteadyWatch(all.cut ? client : undefined, wanted);
  const live = useMemo(() => merged(all.rows, more.rows), [all.rows, more.rows]);
  const older = useOlder(client, graph, thread, live);
  const rates = useMemo(() => new Rates(), []);
  const rows = useMemo(() => merged(live, older.rows), [live, older.rows]);
  const isSynced = all.isSynced && (!all.cut || more.isSynced);
  useEffect(() => {
    if (!isSynced) return;
    const sample = () => rates.sample(merged(allNow.latest, moreNow.latest), performance.now());
    sample();
    const timer = setInterval(sample, 1000);
    return () => clearInterval(timer);
  }, [rates, allNow, moreNow, isSynced]);
  return {
    rows,
    isSynced,
    error: all.error ?? more.error,
    left: older.isAll ? 0 : Math.max(0, all.rows.length + all.cut - rows.length),
    hasAllActive: !all.cut || !more.cut,
    rates,
    older,
  };
}

function useSteadyWatch(client: Client | undefined, filter: WatchFilter): [WatchState, Steady] {
  const steady = useMemo(() => new Steady(), [client, filter]);
  return [useWatch(client, filter, steady.select), steady];
}

export interface Older {
  /** Runs that the watch leaves out, as they were when they were loaded. */
  readonly rows: readonly RunRow[];
  readonly isBusy: boolean;
  readonly isAll: boolean;
  readonly problem: Error | undefined;
  readonly load: () => void;
  readonly forget: (runs: readonly string[]) => void;
}

const NONE: readonly RunRow[] = [];
const PAGE = 200;

function useOlder(
  client: Client,
  graph: string | undefined,
  thread: string | undefined,
  known: readonly RunRow[],
): Older {
  const [state, setState] = useState({
    rows: NONE,
    isBusy: false,
    isAll: false,
    problem: undefined as Error | undefined,
  });
  const list = useRef<AsyncGenerator<RunRow, void, undefined> | undefined>(undefined);
  const isKnown = useRef(known);
  useEffect(() => {
    isKnown.current = known;
  });
  useEffect(() => {
    list.current = client.runs({ ...(graph && { graph }), ...(thread && { thread }) });
    setState({ rows: NONE, isBusy: false, isAll: false, problem: undefined });
    return () => {
      list.current = undefined;
    };
  }, [client, graph, thread]);
  const load = useCallback(async () => {
    const from = list.current;
    if (!from) return;
    setState((state) => ({ ...state, isBusy: true, problem: undefined }));
    const seen = new Set(isKnown.current.map(({ run }) => run));
    const rows: RunRow[] = [];
    let isAll = false;
    let problem: Error | undefined;
    try {
      while (rows.length < PAGE && !isAll) {
        const { done, value } = await from.next();
        if (done) isAll = true;
        else if (!seen.has(value.run)) rows.push(value);
      }
    } catch (error) {
      problem = error as Error;
      isAll = false;
    }
    if (list.current !== from) return; // another filter meanwhile
    if (problem) list.current = client.runs({ ...(graph && { graph }), ...(thread && { thread }) });
    setState((state) => ({ rows: merged([...state.rows, ...rows]), isBusy: false, isAll, problem }));
  }, [client, graph, thread]);
  const forget = useCallback((runs: readonly string[]) => {
    const gone = new Set(runs);
    setState((state) => ({ ...state, rows: state.rows.filter(({ run }) => !gone.has(run)) }));
  }, []);
  return useMemo(() => ({ ...state, load, forget }), [state, load, forget]);
}
