/** What a run makes: progress, subagents, messages, and its state as it grows. */

import { type Client, Refused, type RunRow } from "graphwire";
import { type RunView, useEvents, useMessages, useRun, useValues } from "graphwire/react";
import { useCallback, useRef, useState } from "react";
import { hrefOf } from "../address";
import { useAttempt } from "../parts/attempt";
import { Elapsed } from "../parts/elapsed";
import { Json } from "../parts/json";
import { Markdown } from "../parts/markdown";
import { MessageView } from "../parts/messages_view";
import { Problem } from "../parts/problem";
import { Status } from "../parts/status";
import { Text } from "../parts/text";
import { NoteView, SubagentView } from "./activity";
import { OneQuestion } from "./questions";
import { STOPPED } from "./sending";
import { subagentsOf, TurnLog } from "./turns";

const WANTED = ["messages", "custom", "values"] as const;

export interface RunResultProps {
  client: Client;
  graph: string;
  run: string;
  row: RunRow | undefined;
}

/** Show a run. What it does not record is said. */
export function RunResult({ client, run: id, row }: RunResultProps) {
  const [isRootOnly, setRootOnly] = useState(false);
  const modes = row ? WANTED.filter((mode) => row.modes.includes(mode)) : [...WANTED];
  const view = useRun(client, id, {
    modes: modes.length ? modes : (["lifecycle"] as never),
    ...(!isRootOnly && { namespaces: [["**"]] }),
  });
  const { error } = view;
  if (error instanceof Refused && error.code === "unsupported" && !isRootOnly && !view.status)
    setRootOnly(true);
  const missing = WANTED.filter((mode) => !modes.includes(mode));
  return (
    <section className="run-result" aria-label="Result">
      <Head client={client} view={view} id={id} row={row} />
      {missing.length > 0 && (
        <p className="chat-notice">
          This run does not record {missing.join(", ")}, so that is not shown. Its starter can record more:{" "}
          <code>{`record: {"modes": ${JSON.stringify(missing)}}`}</code>
        </p>
      )}
      {error && <Problem error={error} />}
      <Questions view={view} />
      {modes.length > 0 && <Body view={view} id={id} modes={modes} />}
    </section>
  );
}

function Head({
  client,
  view,
  id,
  row,
}: {
  client: Client;
  view: RunView;
  id: string;
  row: RunRow | undefined;
}) {
  const { attempt, problem } = useAttempt();
  const { status } = view;
  const isLive = status === "running" || status === "queued" || status === "interrupted";
  return (
    <>
      <header className="run-result-head">
        <h2>Result</h2>
        {status && <Status status={status} />}
        {row?.started_at && <Elapsed from={row.started_at} to={row.ended_at} />}
        <a href={hrefOf(["run", id])}>Open the run</a>
        {isLive && (
          <button type="button" onClick={() => attempt(client.cancel(id, STOPPED))}>
            Stop
          </button>
        )}
      </header>
      {problem && <Problem error={problem} />}
    </>
  );
}

function Questions({ view }: { view: RunView }) {
  const { attempt, problem, busy } = useAttempt();
  if (view.status !== "interrupted") return null;
  if (!view.interrupts.length)
    return (
      <p className="chat-notice">
        The graph is paused at a breakpoint.{" "}
        <button type="button" disabled={busy} onClick={() => attempt(view.respond({}))}>
          Continue
        </button>
        {problem && <Problem error={problem} />}
      </p>
    );
  return view.interrupts.map((interrupt) => (
    <OneQuestion
      key={interrupt.id}
      interrupt={interrupt}
      answer={(id, value) => view.respond({ [id]: value })}
    />
  ));
}

function Body({ view, id, modes }: { view: RunView; id: string; modes: readonly string[] }) {
  const log = useRef<TurnLog>(undefined);
  if (!log.current) {
    log.current = new TurnLog();
    log.current.take({
      mode: "run",
      run: id,
      number: 0,
      status: "running",
      checkpoint: undefined,
      missing: [],
    });
  }
  const { current } = log;
  useEvents(
    view,
    useCallback((event) => current.take(event), [current]),
  );
  const messages = useMessages(view);
  const values = useValues(view);
  const [turn] = current.turns;
  const notes = turn?.notes ?? [];
  const isLive = view.status === "running" || view.status === "interrupted";
  const said = messages.filter(({ namespace }) => !namespace.length);
  const subagents = subagentsOf(messages, notes);
  return (
    <>
      {notes
        .filter(({ namespace }) => !namespace.length)
        .map((note) => (
          <NoteView key={String(note.node)} note={note} />
        ))}
      {subagents.map((subagent) => (
        <SubagentView key={subagent.key} subagent={subagent} isLive={isLive} />
      ))}
      {said.map((message) => (
        <div key={message.call} className="run-result-message">
          {message.node && (
            <h3>
              <Text>{message.node}</Text>
            </h3>
          )}
          <MessageView message={message} isLive={isLive} />
        </div>
      ))}
      {modes.includes("values") && <StateView values={values} />}
    </>
  );
}

const TEXT_FROM = 40;

/** Show a state: its long texts as texts, all of it as a tree. */
export function StateView({ values }: { values: unknown }) {
  if (values === undefined) return null;
  const texts = Object.entries(Object(values)).filter(
    (field): field is [string, string] => typeof field[1] === "string" && field[1].length >= TEXT_FROM,
  );
  return (
    <section className="run-result-state" aria-label="State">
      <h2>State</h2>
      {typeof values === "object" &&
        texts.map(([name, text]) => (
          <div key={name} className="run-result-text">
            <h3>
              <Text>{name}</Text>
            </h3>
            <Markdown text={text} />
          </div>
        ))}
      <Json value={values} open />
    </section>
  );
}
