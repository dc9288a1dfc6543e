/** A run that records all that the console can show. */

import type { Client, Mode } from "graphwire";

const ALL: Mode[] = ["values", "updates", "messages", "custom", "tasks", "checkpoints"];

/** Start it, and leave it to the server; return its id. */
export async function startRecorded(
  client: Client,
  graph: string,
  input: object,
  more = {},
): Promise<string> {
  const run = await client.run(graph, input, {
    modes: ["lifecycle"],
    record: { modes: ALL, subgraphs: true },
    ...more,
  });
  run.detach();
  return run.id;
}
