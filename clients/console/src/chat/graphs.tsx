/** Picking a graph: one card for each that the server serves. */

import { type Client, ConnectionClosed, type frames } from "graphwire";
import { useConnection } from "graphwire/react";
import { useEffect, useState } from "react";
import { hrefOf } from "../address";
import { useClient } from "../client";
import { Empty } from "../parts/empty";
import { Problem } from "../parts/problem";
import { Text } from "../parts/text";
import { isConversation, takesThreads } from "./graph_kind";

export interface Graphs {
  readonly graphs: readonly frames.GraphRow[] | undefined;
  readonly error: Error | undefined;
  readonly retry: () => void;
}

/** The graphs that the server serves, asked for anew after each reconnect: it may be another server by then. */
export function useGraphs(client: Client): Graphs {
  const [found, setFound] = useState<{ client: Client; graphs?: frames.GraphRow[]; error?: Error }>();
  const [count, setCount] = useState(0);
  const isConnected = useConnection(client).state === "connected";
  useEffect(() => {
    const controller = new AbortController();
    const { signal } = controller;
    const read = async () => {
      const graphs: frames.GraphRow[] = [];
      for await (const graph of client.graphs({ signal })) graphs.push(graph);
      setFound({ client, graphs });
    };
    read().catch((error) => {
      // A closed connection is said by the frame of the page.
      if (!signal.aborted && !(error instanceof ConnectionClosed)) setFound({ client, error });
    });
    return () => controller.abort();
  }, [client, isConnected, count]);
  const mine = found?.client === client ? found : undefined;
  return { graphs: mine?.graphs, error: mine?.error, retry: () => setCount(count + 1) };
}

/** Show what can be talked to, or run. */
export function GraphPicker({ graphs, unknown }: { graphs: Graphs; unknown?: string | undefined }) {
  const client = useClient();
  const { state } = useConnection(client);
  const { graphs: all, error, retry } = graphs;
  return (
    <div className="picker">
      <h1>{unknown === undefined ? "Graphs" : "This graph is not served"}</h1>
      {unknown !== undefined && all && (
        <p className="chat-notice">
          The server serves no graph “<Text>{unknown}</Text>” to you. It serves these:
        </p>
      )}
      {error && <Problem error={error} retry={retry} />}
      {!all && !error && (
        <p className="chat-notice">{state === "connected" ? "Loading…" : "Waiting for the server…"}</p>
      )}
      {all?.length === 0 && (
        <Empty title="No graphs">
          The server serves no graphs to you. Start it with some: graphwire serve chat=my.module:graph
        </Empty>
      )}
      <ul className="picker-list">
        {sorted(all ?? []).map((graph) => (
          <li key={graph.name}>
            <Card graph={graph} />
          </li>
        ))}
      </ul>
    </div>
  );
}

/** Conversations come first; otherwise the order is the server's. */
function sorted(graphs: readonly frames.GraphRow[]): readonly frames.GraphRow[] {
  return [...graphs.filter(isConversation), ...graphs.filter((graph) => !isConversation(graph))];
}

function Card({ graph }: { graph: frames.GraphRow }) {
  const { name, description, nodes } = graph;
  const about = [
    isConversation(graph) ? "conversation" : "form",
    takesThreads(graph) ? undefined : "no threads",
    `${nodes.length} ${nodes.length === 1 ? "node" : "nodes"}`,
  ];
  return (
    <a className="picker-card" href={hrefOf(["chat", name])}>
      <b className="picker-name">
        <Text>{name}</Text>
      </b>
      <span className="picker-text">
        <Text>{description ?? `Nodes: ${nodes.join(", ")}`}</Text>
      </span>
      <span className="picker-about">{about.filter(Boolean).join(" · ")}</span>
    </a>
  );
}
