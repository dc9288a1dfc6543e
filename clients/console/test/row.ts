/** Rows of runs as a watch shows them, for tests without a server. */

import type { RunRow, Status } from "graphwire";

let rows = 0;

/** Return the row of a run; each was created a second after the one before. */
export function row(run: string, status: Status = "running", more: Partial<RunRow> = {}): RunRow {
  const created_at = `2026-03-01T12:00:${String(rows++ % 60).padStart(2, "0")}Z`;
  const base = {
    run,
    status,
    graph: "chat",
    metadata: {},
    attempt: 1,
    epoch: "e1",
    head: 1,
    modes: [],
    created_at,
  };
  return { ...base, ...more };
}
