/** What a run does beside answering: its subagents, folded, and the progress that its nodes write. */

import type { Run } from "graphwire";
import { type ThreadView, useLatest } from "graphwire/react";
import { withMarks } from "../parts/marks";
import { gistOf } from "../parts/messages_parts";
import { MessageView } from "../parts/messages_view";
import { Text } from "../parts/text";
import { type Note, progressOf, type Subagent, subagentsOf, type TurnLog } from "./turns";

/** Show what one run of a thread does beside answering. It draws itself again as events come. */
export function Activity({
  view,
  log,
  id,
  run,
  isInAnswer,
}: {
  view: ThreadView;
  log: TurnLog;
  /** The run's id, and the run if it has been read. */
  id: string;
  run: Run | undefined;
  /** Tells whether the thread itself holds the message with this id: then it is no activity any more. */
  isInAnswer: (message: string | undefined) => boolean;
}) {
  useLatest(view, "messages");
  useLatest(view, "custom");
  useLatest(view, "lifecycle");
  const turn = log.turns.find((each) => each.run === id);
  if (!turn) return null;
  const said = (run?.messages ?? []).filter(({ id: message }) => !isInAnswer(message));
  const subagents = subagentsOf(said, turn.notes);
  const notes = turn.notes.filter(({ namespace }) => !namespace.length);
  const isLive = !turn.isOver;
  if (!subagents.length && !notes.length) return null;
  return (
    <section className="activity" aria-label="Activity">
      {notes.map((note) => (
        <NoteView key={String(note.node)} note={note} />
      ))}
      {subagents.map((subagent) => (
        <SubagentView key={subagent.key} subagent={subagent} isLive={isLive} />
      ))}
    </section>
  );
}

/** Show a subagent: what it is at in one line, and its messages when it is opened. */
export function SubagentView({ subagent, isLive }: { subagent: Subagent; isLive: boolean }) {
  const { name, messages, notes } = subagent;
  const last = messages.at(-1);
  const isWriting = isLive && last !== undefined && !last.isComplete;
  const count = `${messages.length} ${messages.length === 1 ? "message" : "messages"}`;
  return (
    <details className={`subagent ${isWriting ? "subagent-writing" : ""}`}>
      <summary>
        <span className="tool-dot" aria-hidden />
        <b>
          <Text>{name}</Text>
        </b>
        <span className="tool-gist">
          <Text>{lineOf(subagent, isWriting)}</Text>
        </span>
        <span className="tool-state">{messages.length ? count : `${notes.length} in progress`}</span>
      </summary>
      <div className="subagent-body">
        {notes.map((note) => (
          <NoteView key={`${note.namespace.join("|")} ${note.node}`} note={note} />
        ))}
        {messages.map((message) => (
          <MessageView key={message.call} message={message} isLive={isLive} />
        ))}
      </div>
    </details>
  );
}

const LINE = 100;

/** What a subagent is at: the end of what it writes, the tool that it calls, or its latest progress. */
function lineOf({ messages, notes }: Subagent, isWriting: boolean): string {
  const last = messages.at(-1);
  const call = last?.toolCalls.at(-1);
  if (call) return `${call.name} ${gistOf(call.args ?? call.argsText, LINE)}`;
  if (last && isWriting) return `…${last.text.slice(-LINE).replace(/\s+/g, " ")}`;
  if (last) return gistOf(last.text, LINE);
  const note = notes.at(-1);
  return note ? gistOf(note.data, LINE) : "";
}

/** Show the latest of what a node wrote: a bar if it says how far it is, else a line. */
export function NoteView({ note }: { note: Note }) {
  const { node, data, count, cutBytes } = note;
  const progress = progressOf(data);
  const label = node ?? "progress";
  return (
    <p className="note">
      <span className="note-node">
        <Text>{label}</Text>
      </span>
      {progress && <progress aria-label={withMarks(label)} value={progress.done} max={progress.total} />}
      <span className="note-line">
        <Text>{cutBytes === undefined ? gistOf(data, LINE) : `${cutBytes} bytes, too large to be sent`}</Text>
      </span>
      {count > 1 && <span className="note-count">{count.toLocaleString("en")}</span>}
    </p>
  );
}
