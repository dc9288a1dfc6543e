import type { RunRow } from "graphwire";
import { useConnection, useInterrupts, useWatch } from "graphwire/react";
import { useEffect, useState } from "react";
import { client, startTen } from "./client";
import { Panel } from "./Panel";

const STATUSES = ["interrupted", "running", "queued", "completed", "failed", "cancelled"] as const;

export function App() {
  const { rows, isSynced, error } = useWatch(client);
  const [shown, setShown] = useState<string>("all");
  const [open, setOpen] = useState<readonly string[]>([]);
  const [problem, setProblem] = useState<string>();
  const toggle = (run: string) =>
    setOpen(open.includes(run) ? open.filter((each) => each !== run) : [...open, run]);
  const attempt = (action: Promise<unknown>) =>
    action.then(
      () => setProblem(undefined),
      (reason: Error) => setProblem(reason.message),
    );
  const listed = rows.filter(({ status }) => shown === "all" || status === shown);
  // What waits for a person comes first.
  const sorted = [...listed].sort((a, b) => Number(needsYou(b)) - Number(needsYou(a)));

  return (
    <>
      <header>
        <h1>Runs</h1>
        <Connected />
        <button type="button" className="primary" onClick={() => attempt(startTen())}>
          Start ten
        </button>
      </header>
      {(problem ?? error?.message) && <p role="alert">{problem ?? error?.message}</p>}
      <nav aria-label="Filter by status">
        {["all", ...STATUSES].map((status) => (
          <button type="button" key={status} aria-pressed={shown === status} onClick={() => setShown(status)}>
            {status}{" "}
            <b>{status === "all" ? rows.length : rows.filter((row) => row.status === status).length}</b>
          </button>
        ))}
      </nav>
      <main>
        <ul className="list">
          {sorted.map((row) => (
            <Row
              key={row.run}
              row={row}
              isOpen={open.includes(row.run)}
              onOpen={() => toggle(row.run)}
              attempt={attempt}
            />
          ))}
          {!sorted.length && <li className="empty">{isSynced ? "No runs yet: start ten." : "Loading…"}</li>}
        </ul>
        <section className="panels">
          {open.map((run) => (
            <Panel
              key={run}
              id={run}
              title={titleOf(rows.find((row) => row.run === run))}
              onClose={() => toggle(run)}
            />
          ))}
          {!open.length && (
            <p className="empty">Open runs from the list, as many as you like, side by side on one socket.</p>
          )}
        </section>
      </main>
    </>
  );
}

const needsYou = ({ status }: RunRow) => status === "interrupted";
const titleOf = (row: RunRow | undefined) => (row ? `${row.metadata.title ?? row.run} · ${row.graph}` : "");

function Connected() {
  const { state, reason } = useConnection(client);
  const waiting = useInterrupts(client).length;
  return (
    <p className="state">
      <span className={`dot ${state}`} title={reason} /> {state}
      {waiting > 0 && <b className="badge">{waiting} need you</b>}
    </p>
  );
}

interface RowProps {
  row: RunRow;
  isOpen: boolean;
  onOpen: () => void;
  attempt: (action: Promise<unknown>) => void;
}

function Row({ row, isOpen, onOpen, attempt }: RowProps) {
  const { run, status, graph, metadata, questions = [] } = row;
  const isOver = status === "completed" || status === "failed" || status === "cancelled";
  const answer = (id: string, value: boolean) => attempt(client.respond(run, { [id]: value }));
  return (
    <li className={`row ${isOpen ? "open" : ""}`}>
      <button type="button" className="title" onClick={onOpen} aria-expanded={isOpen}>
        <span className={`dot ${status}`} />
        <span>
          <b>{String(metadata.title ?? run)}</b>
          <small>
            {graph} · {status} · <Elapsed row={row} />
          </small>
        </span>
      </button>
      {!isOver && (
        <button type="button" onClick={() => attempt(client.cancel(run))}>
          Cancel
        </button>
      )}
      {questions.map(({ id, value }) => (
        <div className="question" key={id}>
          <span>{(value as { question?: string } | null)?.question ?? JSON.stringify(value)}</span>
          <button type="button" className="primary" onClick={() => answer(id, true)}>
            Yes
          </button>
          <button type="button" onClick={() => answer(id, false)}>
            No
          </button>
        </div>
      ))}
    </li>
  );
}

function Elapsed({ row: { created_at, ended_at } }: { row: RunRow }) {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    if (ended_at) return;
    const timer = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, [ended_at]);
  const until = ended_at ? Date.parse(ended_at) : now;
  return `${Math.max(0, (until - Date.parse(created_at)) / 1000).toFixed(0)} s`;
}
