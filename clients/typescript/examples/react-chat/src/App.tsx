import { useConnection, useInterrupts } from "graphwire/react";
import { useState } from "react";
import { Chat } from "./Chat";
import { client } from "./client";
import { titleOf, useThreads } from "./threads";

export function App() {
  // The thread is in the address: a reload, a bookmark and a second tab show the same one.
  const [thread, setThread] = useState(() => location.hash.slice(1));
  const open = (id: string) => {
    history.replaceState(null, "", `#${id}`);
    setThread(id);
  };
  return (
    <div className="app">
      <aside>
        <button type="button" className="primary" onClick={() => open(crypto.randomUUID())}>
          New chat
        </button>
        <Threads current={thread} onOpen={open} />
        <Connected />
      </aside>
      {thread ? <Chat key={thread} thread={thread} /> : <main className="empty">Begin a chat.</main>}
    </div>
  );
}

/** Every thread of this user, in whichever browser it began, with what its latest run does. */
function Threads({ current, onOpen }: { current: string; onOpen: (id: string) => void }) {
  const { rows, isSynced, error } = useThreads();
  // A thread's status is that of its latest run, which may wait behind the one that asks.
  const asking = useInterrupts(client, { graphs: ["chat"] }).map(({ thread }) => thread);
  const isNew = isSynced && current && !rows.some(({ thread }) => thread === current);
  const shown = rows.map((row) => ({ id: row.thread, status: String(row.status), title: titleOf(row) }));
  if (isNew) shown.unshift({ id: current, status: "empty", title: titleOf(undefined) });
  return (
    <>
      <ul>
        {shown.map(({ id, status, title }) => (
          <li key={id}>
            <button type="button" aria-current={id === current} onClick={() => onOpen(id)}>
              <span className={`dot ${status}`} title={status} />
              <span className="name">{title}</span>
              {asking.includes(id) && <b className="badge">needs you</b>}
            </button>
          </li>
        ))}
      </ul>
      {error && <p role="alert">{error.message}</p>}
    </>
  );
}

function Connected() {
  const { state, reason } = useConnection(client);
  return (
    <p className="state" title={reason}>
      <span className={`dot ${state}`} /> {state === "waiting" ? "connecting again…" : state}
    </p>
  );
}
