/** Starting a run: which graph, with what, in which thread. */

import type { frames, Mode } from "graphwire";
import { type FormEvent, useId, useState } from "react";
import { hrefOf } from "../address";
import { useClient } from "../client";
import { useAttempt } from "../parts/attempt";
import { Dialog } from "../parts/dialog";
import { Problem } from "../parts/problem";
import { SchemaForm } from "../parts/schema_form";
import { Text } from "../parts/text";
import { remember } from "../starts";
import type { Graphs } from "./graphs";

interface Props {
  graphs: Graphs;
  /** The graph to begin with. */
  graph: string | undefined;
  onStarted: (run: string) => void;
  onClose: () => void;
}

/** What a thread may be called. */
const THREAD = /^[A-Za-z0-9._:-]{1,128}$/;
const RECORDED: readonly Mode[] = ["values", "updates", "messages", "custom", "tasks", "checkpoints"];

export function StartDialog({ graphs, graph, onStarted, onClose }: Props) {
  const client = useClient();
  const [name, setName] = useState(graph ?? graphs.names[0] ?? "");
  const [inputs, setInputs] = useState<{ readonly [graph: string]: unknown }>({});
  const [thread, setThread] = useState("");
  const { attempt, problem, busy } = useAttempt();
  const ids = { graph: useId(), thread: useId(), note: useId() };
  const chosen = graphs.rows.find((row) => row.name === (name || graphs.names[0])) ?? graphs.rows[0];
  const isThread = !thread || THREAD.test(thread);
  const start = async (row: frames.GraphRow) => {
    const input = inputs[row.name] ?? {};
    const run = await client.run(row.name, input, {
      modes: ["lifecycle"],
      record: { modes: RECORDED.filter((mode) => row.modes.includes(mode)), subgraphs: true },
      ...(thread && { thread }),
    });
    run.detach(); // it is shown where it is opened
    remember(run.id, row.name, input);
    onStarted(run.id);
  };
  const onSubmit = (event: FormEvent) => {
    event.preventDefault();
    if (chosen && isThread && !busy) attempt(start(chosen));
  };
  return (
    <Dialog title="Start a run" open onClose={onClose}>
      <form className="runs-start" onSubmit={onSubmit} noValidate>
        {graphs.problem && <Problem error={graphs.problem} />}
        {!graphs.problem && !graphs.isLoading && !chosen && (
          <p>The server serves no graphs to you. Start it with some: graphwire serve joke=app.graphs:joke</p>
        )}
        {chosen && (
          <>
            <label htmlFor={ids.graph}>Graph</label>
            <select
              className="input"
              id={ids.graph}
              value={chosen.name}
              onChange={(event) => setName(event.target.value)}
            >
              {graphs.names.map((each) => (
                <option key={each}>{each}</option>
              ))}
            </select>
            {chosen.description && (
              <p className="runs-note">
                <Text>{chosen.description}</Text>
              </p>
            )}
            <SchemaForm
              key={chosen.name}
              schema={chosen.input_schema ?? {}}
              value={inputs[chosen.name]}
              onChange={(value: unknown) => setInputs((inputs) => ({ ...inputs, [chosen.name]: value }))}
            />
            <label htmlFor={ids.thread}>Thread (optional)</label>
            <input
              id={ids.thread}
              className="input"
              value={thread}
              spellCheck={false}
              autoComplete="off"
              aria-invalid={!isThread}
              aria-describedby={ids.note}
              onChange={(event) => setThread(event.target.value.trim())}
            />
            <p id={ids.note} className={isThread ? "runs-note" : "runs-wrong"}>
              {isThread
                ? "A new name starts a thread; a known one continues it."
                : "1 to 128 of the characters A-Z a-z 0-9 . _ : -"}
            </p>
          </>
        )}
        {problem && <Problem error={problem} />}
        <div className="runs-buttons">
          <a href={hrefOf(["chat", ...(chosen ? [chosen.name] : [])])}>Open in Chat instead</a>
          <button type="button" className="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" className="button button-main" disabled={!chosen || !isThread || busy}>
            {busy ? "Starting…" : "Start"}
          </button>
        </div>
      </form>
    </Dialog>
  );
}
