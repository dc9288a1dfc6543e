/** The graphs that the server offers, with their schemas. */

import type { Client, frames } from "graphwire";
import { useEffect, useMemo, useState } from "react";

export interface Graphs {
  readonly rows: readonly frames.GraphRow[];
  readonly names: readonly string[];
  readonly isLoading: boolean;
  readonly problem: Error | undefined;
}

export function useGraphs(client: Client): Graphs {
  const [state, setState] = useState({
    rows: [] as readonly frames.GraphRow[],
    isLoading: true,
    problem: undefined as Error | undefined,
  });
  useEffect(() => {
    const abort = new AbortController();
    const take = async () => {
      const rows: frames.GraphRow[] = [];
      for await (const row of client.graphs({ signal: abort.signal })) rows.push(row);
      return rows.sort((a, b) => (a.name < b.name ? -1 : 1));
    };
    take().then(
      (rows) => !abort.signal.aborted && setState({ rows, isLoading: false, problem: undefined }),
      (problem) => !abort.signal.aborted && setState({ rows: [], isLoading: false, problem }),
    );
    return () => abort.abort();
  }, [client]);
  return useMemo(() => ({ ...state, names: state.rows.map(({ name }) => name) }), [state]);
}
