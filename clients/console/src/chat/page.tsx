/** Chat: pick a graph, then a thread, then talk. `#/chat`, `#/chat/GRAPH`, `#/chat/GRAPH/THREAD`. */

import type { frames, ThreadRow } from "graphwire";
import { useConnection } from "graphwire/react";
import { useRef, useState } from "react";
import { go, hrefOf, useAddress } from "../address";
import { useClient } from "../client";
import { Problem } from "../parts/problem";
import { Text } from "../parts/text";
import { Conversation } from "./conversation";
import { FormPane } from "./form_pane";
import { isConversation, newThread, takesThreads } from "./graph_kind";
import { GraphPicker, useGraphs } from "./graphs";
import { ThreadHead } from "./thread_head";
import { ThreadPane } from "./threads";
import { useThreads } from "./threads_store";
import "./chat.css";
import "./threads.css";
import "./thread.css";
import "./composer.css";
import "./form_pane.css";
import "./graphs.css";
import "./narrow.css";

export function ChatPage({ graph: name, thread }: { graph: string | undefined; thread: string | undefined }) {
  const client = useClient();
  const graphs = useGraphs(client);
  const { state } = useConnection(client);
  const graph = graphs.graphs?.find((each) => each.name === name);
  if (name === undefined || (graphs.graphs && !graph) || (graphs.error && !graph))
    return <GraphPicker graphs={graphs} unknown={graphs.graphs ? name : undefined} />;
  if (!graph)
    return (
      <p className="chat-notice chat-center">
        {state === "connected" ? "Loading…" : "Waiting for the server…"}
      </p>
    );
  return takesThreads(graph) ? (
    <Threaded key={graph.name} graph={graph} thread={thread} graphs={graphs.graphs ?? []} />
  ) : (
    <Unthreaded key={graph.name} graph={graph} />
  );
}

/** A graph with threads: the list at the side, one of them beside it. */
function Threaded({
  graph,
  thread,
  graphs,
}: {
  graph: frames.GraphRow;
  thread: string | undefined;
  graphs: readonly frames.GraphRow[];
}) {
  const client = useClient();
  const drawer = useRef<HTMLDialogElement>(null);
  const [isDrawn, setDrawn] = useState(false);
  const [fresh, setFresh] = useState(newThread);
  const [wasUsed, setUsed] = useState(false);
  // A thread that begins here keeps its name, and so all that is typed and sent, when the address learns of it.
  if (thread === fresh && !wasUsed) setUsed(true);
  if (thread === undefined && wasUsed) {
    setFresh(newThread());
    setUsed(false);
  }
  const shown = thread ?? fresh;
  const all = useThreads(client, graph.name, {});
  const isShown = (each: ThreadRow) => each.thread === shown;
  // The list has the newest threads only.
  const isBeyond = all.isSynced && all.cut > 0 && !all.rows.some(isShown);
  const alone = useThreads(client, graph.name, isBeyond ? { thread: shown } : undefined);
  const row = all.rows.find(isShown) ?? alone.rows.find(isShown);
  const error = all.error ?? alone.error;
  const draw = () => {
    setDrawn(true);
    drawer.current?.showModal();
  };
  const side = (onChosen?: () => void) => (
    <>
      <GraphSelect graph={graph} graphs={graphs} />
      <ThreadPane graph={graph.name} all={all} current={thread} onChosen={onChosen} />
    </>
  );
  const Pane = isConversation(graph) ? Conversation : FormPane;
  return (
    <div className="chat">
      <aside className="chat-side" aria-label="Threads">
        {side()}
      </aside>
      <dialog className="chat-drawer" ref={drawer} aria-label="Threads" onClose={() => setDrawn(false)}>
        {isDrawn && (
          <>
            <button type="button" className="chat-close" onClick={() => drawer.current?.close()}>
              Close
            </button>
            {side(() => drawer.current?.close())}
          </>
        )}
      </dialog>
      <section className="chat-main" aria-label="Thread">
        <ThreadHead graph={graph.name} thread={thread} row={row} onDraw={draw} />
        {error && <Problem error={error} />}
        <Pane key={shown} graph={graph} thread={shown} isNew={thread === undefined} row={row} />
      </section>
    </div>
  );
}

function GraphSelect({ graph, graphs }: { graph: frames.GraphRow; graphs: readonly frames.GraphRow[] }) {
  return (
    <div className="chat-graph">
      <select
        aria-label="Graph"
        value={graph.name}
        onChange={(event) => go(hrefOf(event.target.value ? ["chat", event.target.value] : ["chat"]))}
      >
        {graphs.map(({ name }) => (
          <option key={name}>{name}</option>
        ))}
      </select>
      <a href={hrefOf(["chat"])}>All graphs</a>
    </div>
  );
}

/** A graph without threads: each run stands for itself. The address names the one that is shown. */
function Unthreaded({ graph }: { graph: frames.GraphRow }) {
  const run = useAddress().query.get("run") ?? undefined;
  return (
    <div className="chat chat-alone">
      <section className="chat-main" aria-label="Graph">
        <header className="thread-head">
          <a href={hrefOf(["chat"])}>All graphs</a>
          <h1>
            <Text>{graph.name}</Text>
          </h1>
        </header>
        <p className="chat-notice">
          This graph has no checkpointer, so it keeps no threads: each run begins anew and remembers nothing.
          Compile it with one, or start the server with one, to have a conversation.
        </p>
        <FormPane graph={graph} thread={undefined} isNew={false} row={undefined} run={run} />
      </section>
    </div>
  );
}
