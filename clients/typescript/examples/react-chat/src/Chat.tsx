import type { Interrupt, Message } from "graphwire";
import { useMessages, useThread, useWatch } from "graphwire/react";
import { type FormEvent, memo, useState } from "react";
import { client } from "./client";
import { entitle } from "./threads";

/** One thread: whoever runs it, from its first message to the token that comes now. */
export function Chat({ thread: id }: { thread: string }) {
  const thread = useThread(client, "chat", id);
  const messages = useMessages(thread);
  const [text, setText] = useState("");
  const [problem, setProblem] = useState<string>();
  const isBusy = thread.status === "running" || thread.status === "queued";
  const attempt = (action: Promise<unknown>) =>
    action.then(
      () => setProblem(undefined),
      (error: Error) => setProblem(error.message),
    );

  // What is sent while a run executes, or asks, waits for its turn on the server; its row says what it is.
  const queued = useWatch(client, { graphs: ["chat"], thread: id, status: ["queued"] }).rows;
  const waiting = queued.filter(({ run }) => run !== thread.id).reverse();

  const send = async (event: FormEvent) => {
    event.preventDefault();
    const content = text.trim();
    if (!content) return;
    setText("");
    const input = { messages: [{ type: "human" as const, content }] };
    try {
      await thread.start(input, { ifBusy: "enqueue", metadata: { text: content } });
      setProblem(undefined);
    } catch (error) {
      setText((now) => now || content); // the server did not take it
      setProblem((error as Error).message);
      return;
    }
    attempt(entitle(id, content));
  };

  return (
    <main>
      <div className="scroll">
        <div className="messages">
          {messages.map((message, index) => (
            <Bubble key={message.id ?? index} message={message} />
          ))}
          {thread.interrupts.map((question) => (
            <Question
              key={question.id}
              question={question}
              onAnswer={(value) => attempt(thread.respond({ [question.id]: value }))}
            />
          ))}
          {waiting.map(({ run, metadata }) => (
            <article key={run} className="human queued">
              {String(metadata.text)}
              <span className="answers">
                <small>waits for {thread.interrupts.length ? "your answer above" : "its turn"}</small>
                <button type="button" onClick={() => attempt(client.cancel(run, "taken back"))}>
                  Take back
                </button>
              </span>
            </article>
          ))}
          {thread.isLoading && <p className="note">Loading…</p>}
          {!thread.isLoading && !messages.length && (
            <p className="note">Ask for a joke about tea, or for a mail about cats.</p>
          )}
          {(problem ?? thread.error?.message) && <p role="alert">{problem ?? thread.error?.message}</p>}
        </div>
      </div>
      <form onSubmit={send}>
        <input
          aria-label="Message"
          placeholder="Message"
          value={text}
          onChange={(event) => setText(event.target.value)}
        />
        {isBusy && (
          <button type="button" onClick={() => attempt(thread.cancel("stopped by the user"))}>
            Stop
          </button>
        )}
        <button type="submit" className="primary" disabled={!text.trim()}>
          Send
        </button>
      </form>
    </main>
  );
}

/** A message stays the same object until it changes: while tokens come, only the last bubble is rendered. */
const Bubble = memo(({ message }: { message: Message }) => (
  <article className={message.type === "human" ? "human" : message.type === "tool" ? "tool" : "ai"}>
    {message.text}
    {message.toolCalls.map((call) => (
      <code key={call.id}>
        {call.name}({call.argsText})
      </code>
    ))}
  </article>
));

function Question({ question, onAnswer }: { question: Interrupt; onAnswer: (value: boolean) => void }) {
  const { question: asked, ...details } = question.value as { question: string; [detail: string]: unknown };
  return (
    <article className="question">
      <b>{asked}</b>
      {Object.entries(details).map(([name, value]) => (
        <span key={name}>
          {name}: {String(value)}
        </span>
      ))}
      <span className="answers">
        <button type="button" className="primary" onClick={() => onAnswer(true)}>
          Send it
        </button>
        <button type="button" onClick={() => onAnswer(false)}>
          Do not
        </button>
      </span>
    </article>
  );
}
