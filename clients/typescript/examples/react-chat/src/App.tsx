import { useConnection, useWatch } from "graphwire/react";
import { useState } from "react";
import { Chat } from "./Chat";
import { client } from "./client";

/** The threads of this browser; the server keeps what is said in them. */
function stored(): string[] {
  return JSON.parse(localStorage.getItem("threads") ?? "[]");
}

export function App() {
  const [threads, setThreads] = useState<string[]>(stored);
  // The thread is in the address: a reload, a bookmark and a second tab show the same one.
  const [thread, setThread] = useState(() => location.hash.slice(1) || threads[0]);
  const open = (id: string) => {
    history.replaceState(null, "", `#${id}`);
    setThread(id);
  };
  const begin = () => {
    const id = crypto.randomUUID();
    localStorage.setItem("threads", JSON.stringify([id, ...threads]));
    setThreads([id, ...threads]);
    open(id);
  };
  return (
    <div className="app">
      <aside>
        <button type="button" className="primary" onClick={begin}>
          New chat
        </button>
        <Threads threads={threads} current={thread} onOpen={open} />
        <Connected />
      </aside>
      {thread ? <Chat key={thread} thread={thread} /> : <main className="empty">Begin a chat.</main>}
    </div>
  );
}

interface ThreadsProps {
  threads: string[];
  current: string | undefined;
  onOpen: (id: string) => void;
}

/** Each thread with what its latest run does: one watch for all of them. */
function Threads({ threads, current, onOpen }: ThreadsProps) {
  const { rows } = useWatch(client, { graphs: ["chat"] });
  return (
    <ul>
      {threads.map((id) => {
        const mine = rows.filter(({ thread }) => thread === id);
        const status = mine[0]?.status ?? "empty";
        const title = mine.at(-1)?.metadata.title ?? "New chat"; // what its first run was asked
        return (
          <li key={id}>
            <button type="button" aria-current={id === current} onClick={() => onOpen(id)}>
              <span className={`dot ${status}`} title={status} />
              <span className="name">{String(title)}</span>
              {status === "interrupted" && <b className="badge">needs you</b>}
            </button>
          </li>
        );
      })}
    </ul>
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
