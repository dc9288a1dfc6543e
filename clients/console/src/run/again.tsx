/** Run again with an edited input, or go on from a checkpoint. */

import type { Client, frames, Mode } from "graphwire";
import { useState } from "react";
import { go, hrefOf } from "../address";
import { useAttempt } from "../parts/attempt";
import { Dialog } from "../parts/dialog";
import { Problem } from "../parts/problem";
import { SchemaForm } from "../parts/schema_form";
import { Text } from "../parts/text";
import { remember } from "../starts";
import { whereOf } from "./input";
import type { Viewed } from "./page";
import type { Recorded } from "./recorded";
import { useKnownInput } from "./use_input";

/** Modes by which a run can be recorded; the others always are. */
const ALWAYS: readonly Mode[] = ["lifecycle", "interrupt"];

/** Start a run that records what this one does, and show it. */
async function start(
  client: Client,
  graph: string,
  input: unknown,
  recorded: Recorded,
  where: { thread: string | undefined; checkpoint: string | undefined },
): Promise<void> {
  const id = `run-${crypto.randomUUID()}`;
  const modes = recorded.modes.filter((mode) => !ALWAYS.includes(mode));
  const run = await client.run(graph, input, {
    run: id,
    modes: ["lifecycle"],
    record: { modes, subgraphs: recorded.subgraphs },
    ...(where.thread !== undefined && { thread: where.thread }),
    ...(where.checkpoint !== undefined && { checkpoint: where.checkpoint }),
  });
  run.detach();
  remember(id, graph, input);
  go(hrefOf(["run", id]));
}

export function AgainDialog({ open, onClose, ...viewed }: Viewed & { open: boolean; onClose: () => void }) {
  return (
    <Dialog title="Run again" open={open} onClose={onClose}>
      <Again {...viewed} onClose={onClose} />
    </Dialog>
  );
}

function Again({ onClose, ...viewed }: Viewed & { onClose: () => void }) {
  const { client, row, graph, recorded } = viewed;
  const known = useKnownInput(viewed);
  const { attempt, problem, busy } = useAttempt();
  const [edited, setEdited] = useState<{ value: unknown }>();
  const place = whereOf(row);
  if (!row) return <p role="note">The graph of this run is unknown: the server no longer lists the run.</p>;
  if (!known.input) return <p role="note">{known.isLoading ? "Looking for the input…" : known.why}</p>;
  const value = edited ? edited.value : known.input.value;
  return (
    <form
      className="run-dialog"
      onSubmit={(event) => {
        event.preventDefault();
        attempt(start(client, row.graph, value, recorded, place).then(onClose));
      }}
    >
      <p className="run-soft">
        The input is {known.input.from}. The server does not keep config, context and metadata, so the new run
        has none.
      </p>
      <Input graph={graph} value={value} onChange={(next) => setEdited({ value: next })} />
      <p className="run-soft">
        {place.thread === undefined ? (
          row.thread === undefined ? (
            "The new run has no thread, like this one."
          ) : (
            "The new run has no thread: this run started its thread, and another run there would continue it."
          )
        ) : (
          <>
            The new run branches off in thread <Text>{place.thread}</Text>, at the checkpoint where this run
            started.
          </>
        )}
      </p>
      <Ending problem={problem} busy={busy} submit="Run" onClose={onClose} />
    </form>
  );
}

function Input({
  graph,
  value,
  onChange,
}: {
  graph: frames.GraphRow | undefined;
  value: unknown;
  onChange: (value: unknown) => void;
}) {
  return <SchemaForm schema={graph?.input_schema ?? {}} value={value} onChange={onChange} />;
}

/** The end of both forms: what went wrong, and the buttons. */
function Ending({
  problem,
  busy,
  submit,
  onClose,
}: {
  problem: ReturnType<typeof useAttempt>["problem"];
  busy: boolean;
  submit: string;
  onClose: () => void;
}) {
  return (
    <>
      {problem && <Problem error={problem} />}
      <div className="run-dialog-actions">
        <button type="button" className="button" onClick={onClose}>
          Cancel
        </button>
        <button type="submit" className="button button-main" disabled={busy}>
          {submit}
        </button>
      </div>
    </>
  );
}

// ── fork ───────────────────────────────────────────────────────────────────────────────────────

/** Where to go on: a checkpoint of a thread of a graph, and the nodes that run next there. */
export interface Fork {
  readonly checkpoint: string;
  readonly next: readonly string[];
}

export function ForkDialog({
  fork,
  onClose,
  ...viewed
}: Viewed & { fork: Fork | undefined; onClose: () => void }) {
  return (
    <Dialog title="Fork from this checkpoint" open={fork !== undefined} onClose={onClose}>
      {fork && <Forking {...viewed} fork={fork} onClose={onClose} />}
    </Dialog>
  );
}

function Forking({ fork, onClose, ...viewed }: Viewed & { fork: Fork; onClose: () => void }) {
  const { client, row, graph, recorded } = viewed;
  const { attempt, problem, busy } = useAttempt();
  const canGoOn = fork.next.length > 0;
  const [hasInput, setHasInput] = useState(!canGoOn);
  const [value, setValue] = useState<unknown>({});
  if (!row) return null;
  return (
    <form
      className="run-dialog"
      onSubmit={(event) => {
        event.preventDefault();
        const where = { thread: row.thread, checkpoint: fork.checkpoint };
        attempt(start(client, row.graph, hasInput ? value : undefined, recorded, where).then(onClose));
      }}
    >
      <p>
        A new run starts at this checkpoint of thread <Text>{row.thread ?? ""}</Text>. Later checkpoints stay
        in the thread’s history; its latest state becomes that of the new run.
      </p>
      <fieldset className="run-radios">
        <legend>Start with</legend>
        <label>
          <input
            type="radio"
            name="fork"
            disabled={!canGoOn}
            checked={!hasInput}
            onChange={() => setHasInput(false)}
          />
          <span>
            {canGoOn ? (
              <>
                the next {fork.next.length === 1 ? "node" : "nodes"}:{" "}
                {fork.next.map((node, index) => (
                  <span key={node}>
                    {index > 0 && ", "}
                    <Text>{node}</Text>
                  </span>
                ))}
              </>
            ) : (
              "the next node (none: the graph ended here)"
            )}
          </span>
        </label>
        <label>
          <input type="radio" name="fork" checked={hasInput} onChange={() => setHasInput(true)} />
          <span>a new input</span>
        </label>
      </fieldset>
      {hasInput && <Input graph={graph} value={value} onChange={setValue} />}
      <Ending problem={problem} busy={busy} submit="Fork" onClose={onClose} />
    </form>
  );
}
