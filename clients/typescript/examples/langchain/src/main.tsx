/** Four chats on one page, all over one connection. */

import { connect } from "graphwire";
import { StrictMode, useState } from "react";
import { createRoot } from "react-dom/client";
import { Chat } from "./chat";
import "./style.css";

const server = new URLSearchParams(location.search).get("server");
const client = connect(server ?? "ws://127.0.0.1:8765/ws");
const TOPICS = ["a joke about cats", "a poem about the sea", "a mail about tea", "questions about maps"];

/** The ids of the threads, kept across reloads. */
function threads(): string[] {
  const kept = localStorage.getItem("threads");
  const ids = kept ? (JSON.parse(kept) as string[]) : TOPICS.map(() => crypto.randomUUID());
  localStorage.setItem("threads", JSON.stringify(ids));
  return ids;
}

function Page() {
  const [ids] = useState(threads);
  const [asked, setAsked] = useState(0);
  return (
    <>
      <header>
        <h1>Chats</h1>
        <button type="button" onClick={() => setAsked((count) => count + 1)}>
          Ask all
        </button>
      </header>
      <main>
        {ids.map((id, index) => (
          <Chat key={id} client={client} thread={id} topic={TOPICS[index] ?? ""} asked={asked} />
        ))}
      </main>
    </>
  );
}

createRoot(document.getElementById("root") as HTMLElement).render(
  <StrictMode>
    <Page />
  </StrictMode>,
);
