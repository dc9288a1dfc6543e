/** One event of a run by its `seq`: from what the page keeps, else read again from the server's log. */

import type { Client, Event } from "graphwire";
import { useLog } from "./log";
import type { Viewed } from "./page";
import { type Recorded, useAsked } from "./recorded";

interface Found {
  readonly event: Event | undefined;
  readonly isLoading: boolean;
}

/** Return the event `seq`; a cursor at the event before it brings it back if the page has let it go. */
export function useEvent({ client, id, view, log, recorded }: Viewed, seq: number | undefined): Found {
  useLog(log);
  const kept = log.at(seq);
  const epoch = view.run?.position?.epoch;
  const isAsked = seq !== undefined && !kept && epoch !== undefined;
  const key = isAsked ? `${id} ${epoch} ${seq}` : undefined;
  const read = useAsked(key, client, (signal) =>
    eventOf(client, id, recorded, epoch ?? "", seq ?? 0, signal),
  );
  if (kept) return { event: kept, isLoading: false };
  return {
    event: read.value?.seq === seq ? read.value : undefined,
    isLoading: isAsked && !read.value && !read.error,
  };
}

async function eventOf(
  client: Client,
  id: string,
  { modes, subgraphs }: Recorded,
  epoch: string,
  seq: number,
  signal: AbortSignal,
): Promise<Event> {
  const run = await client.attach(id, {
    modes: [...modes],
    ...(subgraphs && { namespaces: [["**"]] }),
    start: { epoch, seq: seq - 1 },
    window: 1,
    signal,
  });
  for await (const event of run) {
    if (event.seq === seq) return event;
    break; // a gap: it is gone
  }
  throw new Error("the log does not have it any more");
}
