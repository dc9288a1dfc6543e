/** A graph that is run with a form: its input, and what the latest run made of it. */

import type { frames, ThreadRow } from "graphwire";
import { useConnection, useWatch } from "graphwire/react";
import { useState } from "react";
import { go, hrefOf } from "../address";
import { useClient } from "../client";
import { useAttempt } from "../parts/attempt";
import { Problem } from "../parts/problem";
import { SchemaForm } from "../parts/schema_form";
import { remember } from "../starts";
import { inputSchema, isConversation, MESSAGES, recordOf, titleOf } from "./graph_kind";
import { useOthers } from "./others";
import { RunResult } from "./run_result";
import { StateResult } from "./state_result";

export interface FormPaneProps {
  graph: frames.GraphRow;
  /** Undefined for a graph without threads. */
  thread: string | undefined;
  isNew: boolean;
  row: ThreadRow | undefined;
  /** The run to show; by default the thread's latest. */
  run?: string | undefined;
}

export function FormPane({ graph, thread, isNew, row, run: named }: FormPaneProps) {
  const client = useClient();
  const isConnected = useConnection(client).state === "connected";
  const { rows, isSynced } = useWatch(thread === undefined ? null : client, {
    graphs: [graph.name],
    thread: thread ?? "",
  });
  const run = named ?? rows[0]?.run;
  const isLive = rows.some(({ status }) => status === "running" || status === "queued");
  const { attempt, problem, busy } = useAttempt();

  const start = async (input: unknown) => {
    const title = titleOf(wordsOf(input)) || graph.name;
    const id = `run-${crypto.randomUUID()}`;
    const started = await client.run(graph.name, input, {
      run: id,
      ...(thread !== undefined && { thread, ifBusy: "enqueue" as const }),
      modes: ["lifecycle" as never],
      record: recordOf(graph),
      metadata: { title },
    });
    started.detach();
    remember(id, graph.name, input);
    if (thread === undefined) go(hrefOf(["chat", graph.name], { run: id }));
    else {
      go(hrefOf(["chat", graph.name, thread]), { replace: isNew });
      if (isNew || !row?.metadata?.title) await client.threadUpdate(graph.name, thread, { title });
    }
  };

  return (
    <div className="form-pane">
      <InputForm
        graph={graph}
        label={busy ? "Starting…" : isLive ? "Run it next" : "Run"}
        isBusy={busy}
        onRun={(input) => attempt(start(input))}
      />
      {busy && !isConnected && (
        <p className="chat-notice">Not connected. It starts as soon as the connection is back.</p>
      )}
      {problem && <Problem error={problem} />}
      {run !== undefined ? (
        <RunResult
          key={run}
          client={client}
          graph={graph.name}
          run={run}
          row={rows.find((each) => each.run === run)}
        />
      ) : (
        row &&
        isSynced &&
        thread !== undefined && <StateResult client={client} graph={graph.name} thread={thread} />
      )}
    </div>
  );
}

/** The first text of an input, as a title. */
function wordsOf(input: unknown): string {
  if (typeof input === "string") return input;
  if (typeof input !== "object" || input === null) return "";
  for (const value of Object.values(input)) {
    const words = wordsOf(value);
    if (words) return words;
  }
  return "";
}

interface InputFormProps {
  graph: frames.GraphRow;
  label: string;
  isBusy: boolean;
  onRun: (input: unknown) => void;
}

function InputForm({ graph, label, isBusy, onRun }: InputFormProps) {
  const [value, setValue] = useOthers(graph.name);
  const [text, setText] = useState("");
  const isTalk = isConversation(graph);
  return (
    <form
      className="form-pane-input"
      onSubmit={(event) => {
        event.preventDefault();
        if (!isBusy) onRun(isTalk ? { [MESSAGES]: [{ type: "human", content: text.trim() }] } : value);
      }}
    >
      <h2>Input</h2>
      {isTalk ? (
        <textarea
          aria-label="Message"
          rows={3}
          required
          value={text}
          onChange={(event) => setText(event.target.value)}
        />
      ) : (
        <SchemaForm schema={inputSchema(graph)} value={value} onChange={setValue} />
      )}
      <p className="chat-buttons">
        <button type="submit" className="chat-primary" disabled={isBusy || (isTalk && !text.trim())}>
          {label}
        </button>
      </p>
    </form>
  );
}
