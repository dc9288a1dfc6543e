/** One chat: LangChain's `useStream` on a thread of the graph `chat`. */

import { useStream } from "@langchain/react";
import type { Client } from "graphwire";
import { graphwireStream } from "graphwire/langchain";
import { type FormEvent, useEffect, useMemo, useRef, useState } from "react";

interface State {
  messages: { type: string; content: string }[];
}

interface Question {
  question: string;
  about?: string;
}

export interface ChatProps {
  client: Client;
  thread: string;
  topic: string;
  /** Each time it grows, the chat asks for its topic. */
  asked: number;
}

export function Chat({ client, thread, topic, asked }: ChatProps) {
  const graphwire = useMemo(() => graphwireStream(client, "chat"), [client]);
  const stream = useStream<State, Question>({ ...graphwire, threadId: thread });
  const [text, setText] = useState("");
  const question = stream.interrupt?.value;

  const say = (content: string) => void stream.submit({ messages: [{ type: "human", content }] });
  const answered = useRef(asked);
  useEffect(() => {
    if (asked === answered.current) return;
    answered.current = asked;
    say(topic);
  });

  const end = useRef<HTMLDivElement>(null);
  useEffect(() => {
    end.current?.scrollIntoView({ block: "nearest" });
  });

  function send(event: FormEvent) {
    event.preventDefault();
    if (text) say(text);
    setText("");
  }

  return (
    <section>
      <h2>
        {topic} {stream.isLoading && <i className="streaming" title="streaming" />}
      </h2>
      <div className="messages">
        {stream.messages
          .filter((message) => message.text)
          .map((message) => (
            <p key={message.id} className={message.getType()}>
              {message.text}
            </p>
          ))}
        {stream.error !== undefined && <p className="error">{String(stream.error)}</p>}
        {question && (
          <p className="question">
            {question.question} ({question.about})
            <button type="button" onClick={() => stream.respond(true)}>
              Yes
            </button>
            <button type="button" onClick={() => stream.respond(false)}>
              No
            </button>
          </p>
        )}
        <div ref={end} />
      </div>
      <form onSubmit={send}>
        <input
          value={text}
          onChange={(event) => setText(event.target.value)}
          placeholder={topic}
          aria-label={`Message about ${topic}`}
        />
        {stream.isLoading ? (
          <button type="button" onClick={() => graphwire.transport.cancel()}>
            Stop
          </button>
        ) : (
          <button type="submit">Send</button>
        )}
      </form>
    </section>
  );
}
