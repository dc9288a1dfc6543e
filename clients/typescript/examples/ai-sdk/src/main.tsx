import type { Chat } from "@ai-sdk/react";
import { useChat } from "@ai-sdk/react";
import type { UIMessage } from "ai";
import { StrictMode, useState } from "react";
import { createRoot } from "react-dom/client";
import { begun, ids, opened } from "./chats";
import { Message } from "./message";
import "./style.css";

function App({ first }: { first: Chat<UIMessage>[] }) {
  const [chats, setChats] = useState(first);
  const [shown, setShown] = useState(first[0]);
  const add = () => {
    const chat = begun();
    setChats((old) => [...old, chat]);
    setShown(chat);
  };
  return (
    <>
      <nav>
        <button type="button" onClick={add}>
          New chat
        </button>
        {chats.map((chat) => (
          <Row key={chat.id} chat={chat} isShown={chat === shown} onClick={() => setShown(chat)} />
        ))}
      </nav>
      {shown && <Conversation key={shown.id} chat={shown} />}
    </>
  );
}

/** A chat in the list. It is live whether or not its conversation is shown, and resumes after a reload. */
function Row({ chat, isShown, onClick }: { chat: Chat<UIMessage>; isShown: boolean; onClick: () => void }) {
  const { messages, status } = useChat({ chat, resume: true, throttle: 50 });
  const [first] = messages.flatMap(({ parts }) => parts);
  return (
    <button type="button" className={`row ${isShown ? "shown" : ""}`} onClick={onClick}>
      <i className={status} /> {first?.type === "text" ? first.text : "New chat"}
    </button>
  );
}

function Conversation({ chat }: { chat: Chat<UIMessage> }) {
  const { messages, status, error, sendMessage, stop, regenerate, addToolApprovalResponse } = useChat({
    chat,
    throttle: 50,
  });
  const [text, setText] = useState("");
  const isBusy = status === "submitted" || status === "streaming";
  const send = (event: React.FormEvent) => {
    event.preventDefault();
    if (!text.trim()) return;
    void sendMessage({ text });
    setText("");
  };
  return (
    <main>
      <div className="messages">
        {messages.map((message) => (
          <Message key={message.id} message={message} onApproval={addToolApprovalResponse} />
        ))}
        {error && <p className="error">{error.message}</p>}
      </div>
      <form onSubmit={send}>
        <input
          value={text}
          onChange={(event) => setText(event.target.value)}
          placeholder="Say something, “look up cats”, or “delete notes.txt”"
        />
        {isBusy ? (
          <button type="button" onClick={stop}>
            Stop
          </button>
        ) : (
          <button type="submit">Send</button>
        )}
        <button type="button" disabled={isBusy || !messages.length} onClick={() => regenerate()}>
          Again
        </button>
      </form>
    </main>
  );
}

const first = ids.length ? await Promise.all(ids.map(opened)) : [begun()];
createRoot(document.getElementById("root") as HTMLElement).render(
  <StrictMode>
    <App first={first} />
  </StrictMode>,
);
