/** What stands behind the last message: what waits to be said, and how the last run ended if it did not end well. */

import type { Client, Message, RunRow } from "graphwire";
import { useMessages, useRun } from "graphwire/react";
import { hrefOf } from "../address";
import { useAttempt } from "../parts/attempt";
import { MessageView } from "../parts/messages_view";
import { Problem } from "../parts/problem";
import { Text } from "../parts/text";
import type { Waiting } from "./sending";

/** Show a message that the thread does not hold yet. */
export function WaitingMessage({
  waiting,
  isAsking,
  onBack,
}: {
  waiting: Waiting;
  isAsking: boolean;
  /** Take the message back: into the box, if its text is known. */
  onBack: () => Promise<unknown>;
}) {
  const { attempt, problem, busy } = useAttempt();
  const { text, isOwn, state } = waiting;
  const why =
    state === "dropped"
      ? "Not sent to the graph: its run was cancelled before it started."
      : state === "starting"
        ? "Sending…"
        : isAsking
          ? "Queued until the question above is answered."
          : "Queued until the current run ends.";
  return (
    <article className="message message-human chat-waiting" aria-label="A message that waits">
      <div className="message-body">
        <Text>{text ?? "A message from another page"}</Text>
      </div>
      <footer className="message-foot">
        <span>{isOwn ? why : `Sent from another page. ${why}`}</span>
        {state !== "starting" && (
          <button type="button" disabled={busy} onClick={() => attempt(onBack())}>
            {state === "dropped" ? "Move it back to the input" : "Take it back"}
          </button>
        )}
      </footer>
      {problem && <Problem error={problem} />}
    </article>
  );
}

const MODES = { modes: ["messages"] } as const;

/** Say how the last run ended, show what of its messages the thread does not keep, and offer to try again. */
export function BadEnd({
  client,
  row,
  messages,
  onAgain,
}: {
  client: Client;
  row: RunRow;
  messages: readonly Message[];
  onAgain: () => Promise<unknown>;
}) {
  const { attempt, problem, busy } = useAttempt();
  const hasMessages = row.modes.includes("messages");
  const run = useRun(client, hasMessages ? row.run : null, MODES as never);
  const kept = new Set(messages.map(({ id }) => id));
  const lost = useMessages(run).filter(
    ({ id, namespace, text }) => !namespace.length && text && (id === undefined || !kept.has(id)),
  );
  const { error, reason } = row;
  const isFailed = row.status === "failed";
  return (
    <>
      {lost.map((message) => (
        <div key={message.call} className="messages-row chat-lost">
          <MessageView message={message} />
          <p className="message-note">Not saved in the thread: the run did not finish.</p>
        </div>
      ))}
      <div className={`chat-end ${isFailed ? "chat-failed" : ""}`} role={isFailed ? "alert" : undefined}>
        <p>
          <b>{isFailed ? "The run failed." : "The run was stopped."}</b>{" "}
          {error && (
            <Text>
              {`${error.message || error.code}${error.error_id ? ` (error ${error.error_id} in the server's log)` : ""}`}
            </Text>
          )}
          {!isFailed && reason && <Text>{`Reason: ${reason}.`}</Text>}
        </p>
        <p className="chat-end-buttons">
          <button type="button" disabled={busy} onClick={() => attempt(onAgain())}>
            Try again
          </button>
          <a href={hrefOf(["run", row.run])}>Open the run</a>
        </p>
        {problem && <Problem error={problem} />}
      </div>
    </>
  );
}
