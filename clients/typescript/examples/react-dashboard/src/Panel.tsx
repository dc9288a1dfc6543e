import { useInterrupts, useLatest, useMessages, useRun } from "graphwire/react";
import { client } from "./client";

/** One run, live: opening it subscribes, closing it unsubscribes, and neither stops it. */
export function Panel({ id, title, onClose }: { id: string; title: string; onClose: () => void }) {
  const run = useRun(client, id, { modes: ["updates", "messages", "custom"], namespaces: [["**"]] });
  const messages = useMessages(run);
  const progress = useLatest(run, "custom")?.data as
    | { phase?: string; done?: number; total?: number; reading?: string }
    | undefined;
  const [question] = useInterrupts(run);
  return (
    <article className="panel" aria-label={title}>
      <header>
        <span className={`dot ${run.status}`} />
        <h2>{title}</h2>
        {!run.isCaughtUp && !run.error && <small>catching up…</small>}
        <button type="button" onClick={onClose} aria-label="Close">
          ×
        </button>
      </header>
      <div className="body">
        <div>
          {run.error && <p role="alert">{run.error.message}</p>}
          {run.healed && <p className="note">Older events are gone; their sum is shown.</p>}
          {messages.map((message) => (
            <section key={message.call}>
              <small>
                {[...message.namespace, message.node]
                  .filter(Boolean)
                  .join(" › ")
                  .replace(/:[^ ]+/g, "")}
              </small>
              {message.text && <p>{message.text}</p>}
              {message.toolCalls.map((call) => (
                <code key={call.id}>
                  {call.name}({call.argsText})
                </code>
              ))}
            </section>
          ))}
          {question && run.status === "interrupted" && (
            <p className="note">Waits for an answer: see the list.</p>
          )}
        </div>
      </div>
      {progress?.total ? (
        <footer>
          <progress value={progress.done} max={progress.total} /> {progress.phase}
        </footer>
      ) : (
        progress?.reading && <footer>read {progress.reading}</footer>
      )}
    </article>
  );
}
