/** The head of a run's page: what it is, how it goes, what it asks, and what can be done with it. */

import { type Interrupt, RunFailed, type RunRow } from "graphwire";
import { useState } from "react";
import { hrefOf } from "../address";
import { useAttempt } from "../parts/attempt";
import { Copy } from "../parts/copy";
import { Dialog } from "../parts/dialog";
import { Elapsed } from "../parts/elapsed";
import { withMarks } from "../parts/marks";
import { Problem } from "../parts/problem";
import { Question } from "../parts/question";
import { Status } from "../parts/status";
import { Text } from "../parts/text";
import { useTitles } from "../parts/titles";
import { nameOf } from "../runs/listing";
import { AgainDialog } from "./again";
import { CopyDialog } from "./copy_dialog";
import { isOver, useLog } from "./log";
import type { Viewed } from "./page";

export function Header(viewed: Viewed) {
  const { view, row, log, id, client } = viewed;
  useLog(log);
  const [shown, setShown] = useState<"cancel" | "again" | "copy">();
  const close = () => setShown(undefined);
  const status = view.status ?? row?.status;
  const started = log.startedAt ?? timeOf(row?.started_at);
  const ended = log.endedAt ?? timeOf(row?.ended_at);
  const attempt = Math.max(log.attempt, row?.attempt ?? 1);
  const created = timeOf(row?.created_at);
  const titles = useTitles(client);
  const title = row && nameOf(row, titles.of(row.graph, row.thread));
  const name = title ?? row?.graph;
  return (
    <header className="run-head">
      <div className="run-title">
        <h1 title={name && withMarks(name)}>{name === undefined ? "Run" : <Text>{name}</Text>}</h1>
        {status && <Status status={status} />}
        <span className="run-id">
          <code>
            <Text>{id}</Text>
          </code>
          <Copy text={id} label="Copy the run’s id" />
        </span>
        <div className="run-actions">
          <button type="button" className="button" onClick={() => setShown("copy")}>
            Copy as…
          </button>
          <button type="button" className="button" onClick={() => setShown("again")}>
            Run again…
          </button>
          {status && !isOver(status) && (
            <button type="button" className="button button-danger" onClick={() => setShown("cancel")}>
              Cancel…
            </button>
          )}
        </div>
      </div>
      <dl className="run-facts">
        {title !== undefined && (
          <Fact name="Graph">
            <Text>{row?.graph ?? ""}</Text>
          </Fact>
        )}
        <Fact name="Thread">
          {row?.thread !== undefined ? (
            <a href={hrefOf(["chat", row.graph, row.thread])}>
              <Text>{row.thread}</Text>
            </a>
          ) : (
            <span className="run-soft">{row ? "none" : "…"}</span>
          )}
        </Fact>
        <Fact name="User">
          <Text>{client.server?.principal ?? "…"}</Text>
        </Fact>
        <Fact name={started === undefined ? "Created" : "Started"}>
          <Moment ms={started ?? created} />
        </Fact>
        {started !== undefined && (
          <Fact name={ended === undefined ? "Running for" : "Took"}>
            <Elapsed
              from={new Date(started).toISOString()}
              to={ended === undefined ? undefined : new Date(ended).toISOString()}
            />
          </Fact>
        )}
        {attempt > 1 && <Fact name="Attempt">{attempt} (a worker was lost)</Fact>}
        {status === "cancelled" && (
          <Fact name="Reason">
            <Text>{view.reason ?? row?.reason ?? "none was given"}</Text>
          </Fact>
        )}
      </dl>
      {status === "failed" && (view.error || row?.error) && (
        <Problem error={view.error ?? failureOf(id, row?.error)} />
      )}
      {status !== "failed" && view.error && <Problem error={view.error} />}
      {status === "interrupted" && <Questions {...viewed} />}
      <Dialog title="Cancel this run?" open={shown === "cancel"} onClose={close}>
        <Cancel {...viewed} onDone={close} />
      </Dialog>
      <AgainDialog {...viewed} open={shown === "again"} onClose={close} />
      <CopyDialog {...viewed} open={shown === "copy"} onClose={close} />
    </header>
  );
}

function Fact({ name, children }: { name: string; children: React.ReactNode }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

const DAY = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

function Moment({ ms }: { ms: number | undefined }) {
  if (ms === undefined) return <>…</>;
  return <time dateTime={new Date(ms).toISOString()}>{DAY.format(ms)}</time>;
}

function timeOf(text: string | undefined): number | undefined {
  const ms = Date.parse(text ?? "");
  return Number.isNaN(ms) ? undefined : ms;
}

function failureOf(run: string, error: RunRow["error"]): Error | undefined {
  if (!error) return undefined;
  const { code, message, error_id: errorId, type } = error;
  return new RunFailed(run, { code, message, errorId, type });
}

function Cancel({ view, onDone }: Viewed & { onDone: () => void }) {
  const { attempt, problem, busy } = useAttempt();
  return (
    <div className="run-dialog">
      <p>It stops for everyone who watches it. What it has done so far is kept.</p>
      {problem && <Problem error={problem} />}
      <div className="run-dialog-actions">
        <button type="button" className="button" onClick={onDone}>
          Keep it running
        </button>
        <button
          type="button"
          className="button button-danger"
          disabled={busy}
          onClick={() => attempt(view.cancel("cancelled in the console").then(onDone))}
        >
          Cancel the run
        </button>
      </div>
    </div>
  );
}

// ── questions ──────────────────────────────────────────────────────────────────────────────────

function Questions(viewed: Viewed) {
  const { view } = viewed;
  const [answered, setAnswered] = useState<readonly string[]>([]);
  if (!view.interrupts.length) return <Breakpoint {...viewed} />;
  return (
    <section className="run-questions" aria-label="Questions">
      {view.interrupts.map((interrupt) =>
        answered.includes(interrupt.id) && view.interrupts.length > 1 ? (
          <p key={interrupt.id} className="run-soft">
            Answer sent. The run continues when every question has one.
          </p>
        ) : (
          <Asked
            key={interrupt.id}
            interrupt={interrupt}
            view={view}
            onAnswered={() => setAnswered((ids) => [...ids, interrupt.id])}
          />
        ),
      )}
    </section>
  );
}

function Asked({
  interrupt,
  view,
  onAnswered,
}: {
  interrupt: Interrupt;
  view: Viewed["view"];
  onAnswered: () => void;
}) {
  const { attempt, problem, busy } = useAttempt();
  return (
    <Question
      interrupt={interrupt}
      onAnswer={(value) => attempt(view.respond({ [interrupt.id]: value }).then(onAnswered))}
      busy={busy}
      error={problem}
    />
  );
}

/** A static breakpoint asks nothing. */
function Breakpoint({ view }: Viewed) {
  const { attempt, problem, busy } = useAttempt();
  return (
    <section className="run-questions run-breakpoint" aria-label="Breakpoint">
      <p>The run is paused at a breakpoint (interrupt_before or interrupt_after) and asks no question.</p>
      {problem && <Problem error={problem} />}
      <button
        type="button"
        className="button button-main"
        disabled={busy}
        onClick={() => attempt(view.respond())}
      >
        Continue
      </button>
    </section>
  );
}
