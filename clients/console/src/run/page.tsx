/** The page of one run. One subscription to all that the run records feeds every part of it. */

import type { Client, frames, RunRow } from "graphwire";
import { type RunView, useConnection, useRun } from "graphwire/react";
import { useEffect } from "react";
import { hrefOf, useAddress } from "../address";
import { useClient } from "../client";
import { EventsTab } from "./events_tab";
import { GraphTab } from "./graph_tab";
import { Header } from "./header";
import { isOver, logOf, type RunLog, useLog } from "./log";
import { MessagesTab } from "./messages_tab";
import { type Recorded, useAsked, useRecorded, useRow } from "./recorded";
import { StateTab } from "./state_tab";
import { Unavailable } from "./unavailable";
import "./run.css";
import "./graph.css";
import "./waterfall.css";
import "./tabs.css";
import "./events.css";
import "./dialogs.css";
import "./narrow.css";

/** What every part of the page gets. */
export interface Viewed {
  readonly client: Client;
  readonly id: string;
  readonly recorded: Recorded;
  readonly view: RunView;
  readonly log: RunLog;
  /** The row of the run in the server's list, and the row of its graph; undefined while, or if, they are not known. */
  readonly row: RunRow | undefined;
  readonly graph: frames.GraphRow | undefined;
}

const TABS = [
  { name: "graph", title: "Graph" },
  { name: "messages", title: "Messages" },
  { name: "state", title: "State" },
  { name: "events", title: "Events" },
] as const;

export function RunPage({ id }: { id: string }) {
  const client = useClient();
  const recorded = useRecorded(client, id);
  if (recorded.error) return <Unavailable id={id} error={recorded.error} retry={recorded.retry} />;
  if (!recorded.value)
    return (
      <p className="run-loading" aria-busy="true">
        Loading the run…
      </p>
    );
  return <Shown client={client} id={id} recorded={recorded.value} />;
}

function Shown({ client, id, recorded }: Pick<Viewed, "client" | "id" | "recorded">) {
  const view = useRun(client, id, {
    modes: [...recorded.modes],
    ...(recorded.subgraphs && { namespaces: [["**"]] }),
    values: client.server?.features.includes("patch") ? "patch" : "full",
  });
  const log = logOf(view, recorded.modes);
  const { state } = useConnection(client);
  useEffect(() => {
    if (state !== "connected") log.isLive = false;
  }, [state, log]);
  // The row is read again when the run begins and when it ends.
  const when = view.status === "queued" ? "queued" : isOver(view.status) ? "over" : "begun";
  const row = useRow(client, id, view.status ? when : "new").value;
  const graph = useAsked(row?.graph, client, (signal) => graphOf(client, row?.graph, signal)).value;
  const { query } = useAddress();
  const tab = TABS.find(({ name }) => name === query.get("tab"))?.name ?? "graph";
  if (view.error && !view.status) return <Unavailable id={id} error={view.error} />;
  const viewed: Viewed = { client, id, recorded, view, log, row, graph };
  return (
    <article className="run" aria-label={`Run ${id}`}>
      <Header {...viewed} />
      <nav className="run-tabs" aria-label="Parts of the run">
        {TABS.map(({ name, title }) => (
          <a
            key={name}
            href={hrefOf(["run", id], { tab: name })}
            aria-current={name === tab ? "page" : undefined}
          >
            {title}
          </a>
        ))}
        <CaughtUp view={view} log={log} />
      </nav>
      <Lost log={log} />
      <div className="run-body">
        {tab === "graph" && <GraphTab {...viewed} />}
        {tab === "messages" && <MessagesTab {...viewed} />}
        {tab === "state" && <StateTab {...viewed} />}
        {tab === "events" && <EventsTab {...viewed} />}
      </div>
    </article>
  );
}

/** Whether all that there is has been shown. */
function CaughtUp({ view, log }: { view: RunView; log: RunLog }) {
  useLog(log);
  const isDone = isOver(view.status) && view.isCaughtUp;
  return (
    <span className="run-caught" data-caught={view.isCaughtUp}>
      {isDone ? "complete" : view.isCaughtUp ? "caught up" : "catching up…"}
      <span className="run-count">{eventsText(log.taken)}</span>
    </span>
  );
}

function eventsText(count: number): string {
  return count === 1 ? "1 event" : `${count.toLocaleString("en")} events`;
}

/** What stays lost. */
function Lost({ log }: { log: RunLog }) {
  useLog(log);
  if (!log.gaps) return null;
  const gaps = log.entries.flatMap(({ event }) => (event.mode === "gap" ? [event] : []));
  const lost = [...new Set(gaps.flatMap((gap) => gap.lost))];
  const last = gaps.at(-1);
  return (
    <p className="run-note" role="note">
      {last?.reason === "evicted"
        ? `The server no longer has the events up to number ${last.uptoSeq} (its limits log_events, log_bytes, log_ttl_s)`
        : "The server started a new log of this run"}
      ; a snapshot replaces them.
      {lost.length > 0 && ` Their data of ${lost.join(", ")} is lost.`}
    </p>
  );
}

async function graphOf(
  client: Client,
  name: string | undefined,
  signal: AbortSignal,
): Promise<frames.GraphRow | undefined> {
  for await (const graph of client.graphs({ signal })) if (graph.name === name) return graph;
  return undefined;
}
