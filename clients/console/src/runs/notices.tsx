/** What there is to say about the list as a whole: why it is empty, old, refused, or not all there is. */

import { useConnection } from "graphwire/react";
import { memo, useEffect, useState } from "react";
import { SERVER, useClient } from "../client";
import { Copy } from "../parts/copy";
import { Empty } from "../parts/empty";
import { Problem } from "../parts/problem";
import type { Board } from "./board";
import { isNarrow, type Query } from "./query";

export function Notices({ board, query }: { board: Board; query: Query }) {
  const { left, older, error, isSynced, rows } = board;
  const count = left.toLocaleString("en");
  return (
    <>
      {error && <Problem error={error} retry={() => location.reload()} />}
      {!error && !isSynced && rows.length > 0 && <Stale />}
      {left > 0 && isSynced && (
        <div className="runs-notice">
          <p>
            {left === 1 ? "One older run is" : `${count} older runs are`} not listed: the server lists its
            newest first.
            {board.hasAllActive && " All that have not ended are here."}
            {!query.graph && !query.thread && " Choose a graph to list more of it."}
          </p>
          <button type="button" className="button" disabled={older.isBusy} onClick={older.load}>
            {older.isBusy ? "Loading…" : "Load older runs"}
          </button>
        </div>
      )}
      {older.rows.length > 0 && (
        <p className="runs-notice">
          {older.rows.length.toLocaleString("en")} older runs were loaded once: their changes are shown, their
          deletion elsewhere is not.
        </p>
      )}
      {older.problem && <Problem error={older.problem} retry={older.load} />}
    </>
  );
}

/** The connection is lost, or the list comes in again. */
function Stale() {
  const { state, reason } = useConnection(useClient());
  const [since] = useState(() => new Date());
  const [isLong, setLong] = useState(false);
  // A list that is there again at once needs no words.
  useEffect(() => {
    const timer = setTimeout(() => setLong(true), 400);
    return () => clearTimeout(timer);
  }, []);
  if (!isLong) return null;
  const at = since.toLocaleTimeString("en-GB");
  return (
    <p className="runs-notice" data-kind="stale" role="status">
      {state === "connected"
        ? `Connected again. The list is loading; these rows are from ${at}.`
        : state === "closed"
          ? `The connection is closed: ${reason}. These rows are from ${at}.`
          : `The connection is lost. These rows are from ${at}; they update when it is back.`}
    </p>
  );
}

/** How the rows will look, while there are none yet. */
export const Loading = memo(function Loading() {
  const { state } = useConnection(useClient());
  return (
    <div className="runs-loading" aria-busy="true">
      <p role="status" className={state === "connected" ? "visually-hidden" : "runs-notice"}>
        {state === "connected" ? "Loading the list." : "Waiting for the server."}
      </p>
      {["a", "b", "c", "d", "e", "f"].map((key) => (
        <div key={key} className="runs-ghost" />
      ))}
    </div>
  );
});

export function NoMatch({ query, onClear }: { query: Query; onClear: () => void }) {
  return (
    <Empty title="No run matches">
      {isNarrow(query) && (
        <button type="button" className="button" onClick={onClear}>
          Show all runs
        </button>
      )}
    </Empty>
  );
}

/** Nobody has run anything yet: how to. */
export function NoRuns({ graph, onStart }: { graph: string | undefined; onStart: () => void }) {
  const name = graph ?? "my_graph";
  const command = `graphwire run ${name} '{}' --url ${SERVER}`;
  const program = [
    "import asyncio, graphwire",
    "",
    "async def main():",
    `    async with graphwire.connect(${JSON.stringify(SERVER)}) as client:`,
    `        run = await client.run(${JSON.stringify(name)}, {})`,
    "        print(await run.result())",
    "",
    "asyncio.run(main())",
  ].join("\n");
  return (
    <Empty title="No runs yet">
      <p>Runs appear here as soon as any program starts them, and stay as long as the server keeps them.</p>
      <p>
        <button type="button" className="button button-main" onClick={onStart}>
          Start a run
        </button>
      </p>
      <div className="runs-how">
        <Sample title="In a terminal" text={command} />
        <Sample title="In Python" text={program} />
      </div>
    </Empty>
  );
}

function Sample({ title, text }: { title: string; text: string }) {
  return (
    <figure className="runs-sample">
      <figcaption>
        {title} <Copy text={text} label={`Copy: ${title}`} />
      </figcaption>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls is scrolled by keys, too */}
      <pre tabIndex={0}>{text}</pre>
    </figure>
  );
}
