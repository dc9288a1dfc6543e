/** The frame around every page: navigation, the state of the connection, signing in. */

import { useConnection } from "graphwire/react";
import { hrefOf, useAddress } from "./address";
import { ChatPage } from "./chat/page";
import { useClient } from "./client";
import { ConnectionPage } from "./connection/page";
import { RunPage } from "./run/page";
import { RunsPage } from "./runs/page";

const PAGES = [
  { name: "runs", title: "Runs" },
  { name: "chat", title: "Chat" },
  { name: "connection", title: "Connection" },
] as const;

export function App() {
  const { path } = useAddress();
  const [name = "runs", ...rest] = path;
  const { state, reason } = useConnection(useClient());
  return (
    <>
      <header className="frame-bar">
        <nav aria-label="Pages">
          {PAGES.map((page) => (
            <a
              key={page.name}
              href={hrefOf([page.name])}
              aria-current={page.name === (name === "run" ? "runs" : name) ? "page" : undefined}
            >
              {page.title}
            </a>
          ))}
        </nav>
        <span title={reason}>{state}</span>
      </header>
      <main>
        <Page name={name} rest={rest} />
      </main>
    </>
  );
}

function Page({ name, rest: [first, second] }: { name: string; rest: readonly string[] }) {
  switch (name) {
    case "runs":
      return <RunsPage />;
    case "run":
      return first ? <RunPage key={first} id={first} /> : <RunsPage />;
    case "chat":
      return <ChatPage graph={first} thread={second} />;
    case "connection":
      return <ConnectionPage />;
    default:
      return <p>There is no page “{name}”.</p>;
  }
}
