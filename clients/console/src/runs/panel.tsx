/** One live run, compact: what it says, how far it is, what it asks. Opening it subscribes; closing it stops nothing. */

import { type Message, Refused, type RunRow } from "graphwire";
import { type RunView, useLatest, useMessages, useRun } from "graphwire/react";
import { memo, useId, useLayoutEffect, useRef, useState } from "react";
import { hrefOf } from "../address";
import { useClient } from "../client";
import { useAttempt } from "../parts/attempt";
import { Elapsed } from "../parts/elapsed";
import { withMarks } from "../parts/marks";
import { Problem } from "../parts/problem";
import { Status } from "../parts/status";
import { Text } from "../parts/text";
import { Answers } from "./answer";
import { beginOf } from "./listing";
import { endOf, lineOf, shareOf } from "./panel_words";
import { isActive } from "./query";

interface Props {
  id: string;
  /** The run as the list has it, if it does. */
  row?: RunRow | undefined;
  name?: string | undefined;
  onClose: () => void;
}

const ROOT = { start: "snapshot" as const };
const ALL = { ...ROOT, namespaces: [["**"]] };

/** View a run with its subgraphs, or without if it does not record them. */
function useLiveRun(id: string): RunView {
  const client = useClient();
  const [flat, setFlat] = useState<string>();
  const run = useRun(client, id, flat === id ? ROOT : ALL);
  const { error } = run;
  if (flat !== id && error instanceof Refused && error.code === "unsupported") setFlat(id);
  return run;
}

export const RunPanel = memo(
  function RunPanel({ id, row, name, onClose }: Props) {
    const run = useLiveRun(id);
    const { attempt, problem, busy } = useAttempt();
    const heading = useId();
    const { interrupts, isLoading, isCaughtUp, error } = run;
    const status = run.status ?? row?.status;
    const modes = run.run?.view.spec.filter.modes ?? [];
    return (
      <article className="runs-panel" aria-labelledby={heading} data-status={status}>
        <header>
          <h2 id={heading}>
            <a href={hrefOf(["run", id])} title="Open the run">
              <Text>{name ?? id}</Text>
            </a>
          </h2>
          <button
            type="button"
            className="icon-button"
            aria-label={`Close ${withMarks(name ?? id)}`}
            onClick={onClose}
          >
            ×
          </button>
          <p className="runs-panel-facts">
            {status && <Status status={status} />}
            {row && <Text>{row.graph}</Text>}
            {row && <Elapsed from={beginOf(row)} to={row.ended_at} />}
            {modes.includes("updates") && status === "running" && <Node run={run} />}
            {!isLoading && !isCaughtUp && !error && <span>catching up…</span>}
          </p>
        </header>
        <div className="runs-panel-body">
          <Problem error={error} />
          {isLoading && <p className="runs-note">Loading…</p>}
          {modes.includes("messages") ? (
            <Said run={run} isOver={!status || !isActive({ status })} />
          ) : (
            !isLoading && !error && <Unrecorded graph={row?.graph} />
          )}
        </div>
        {modes.includes("custom") && <Progress run={run} />}
        {status === "interrupted" && <Answers run={id} questions={interrupts} />}
        <footer>
          <a href={hrefOf(["run", id])}>Open the run</a>
          {status && isActive({ status }) && (
            <button
              type="button"
              className="button button-danger"
              disabled={busy}
              onClick={() => attempt(run.cancel())}
            >
              Cancel
            </button>
          )}
        </footer>
        {problem && <Problem error={problem} />}
      </article>
    );
  },
  (a, b) =>
    // `onClose` is another function each time, and does the same.
    a.id === b.id && a.row === b.row && a.name === b.name,
);

function Unrecorded({ graph = "NAME" }: { graph: string | undefined }) {
  return (
    <p className="runs-note">
      This run records no messages. <code>record = ["messages"]</code> in <code>[graphs.{graph}]</code> of{" "}
      <code>graphwire.toml</code> records those of every run.
    </p>
  );
}

/** The node that wrote last. */
function Node({ run }: { run: RunView }) {
  const node = useLatest(run, "updates")?.node;
  return node ? (
    <span>
      after <Text>{node}</Text>
    </span>
  ) : null;
}

// ── messages ───────────────────────────────────────────────────────────────────────────────────

/** What scrolls has the focus, so that keys scroll it. */
const SCROLLED_BY_KEYS = { tabIndex: 0 };

/** How many messages a panel shows. */
const LAST = 20;

function Said({ run, isOver }: { run: RunView; isOver: boolean }) {
  const messages = useMessages(run);
  const shown = messages.slice(-LAST);
  const box = useRef<HTMLDivElement>(null);
  const isAtEnd = useRef(true);
  useLayoutEffect(() => {
    const { current } = box;
    if (messages.length && current && isAtEnd.current) current.scrollTop = current.scrollHeight;
  }, [messages]);
  return (
    <div
      ref={box}
      className="runs-said"
      role="log"
      aria-live="off"
      aria-label="Messages"
      {...SCROLLED_BY_KEYS}
      onScroll={({ currentTarget: { scrollTop, scrollHeight, clientHeight } }) => {
        isAtEnd.current = scrollHeight - scrollTop - clientHeight < 24;
      }}
    >
      {messages.length > LAST && (
        <p className="runs-note">
          {messages.length - LAST} earlier messages: <a href={hrefOf(["run", run.id ?? ""])}>open the run</a>
        </p>
      )}
      {shown.map((message) => (
        <Bubble key={message.call} message={message} isOver={isOver} />
      ))}
      {!messages.length && !run.isLoading && !run.error && (
        <p className="runs-note">{isOver ? "No messages." : "No messages yet."}</p>
      )}
    </div>
  );
}

const ROLES: { readonly [type: string]: string } = { human: "Person", system: "System", tool: "Tool" };

const Bubble = memo(function Bubble({ message, isOver }: { message: Message; isOver: boolean }) {
  const { text, toolCalls, node, namespace, cutBytes, isComplete } = message;
  const from = endOf(text);
  const where = [...namespace, node].flatMap((part) => part?.split(":")[0] ?? []).join(" › ");
  return (
    <section className="runs-bubble" data-unfinished={(!isComplete && !isOver) || undefined}>
      <h3>
        <Text>{ROLES[message.type] ?? (where || "Model")}</Text>
      </h3>
      {text && (
        <p>
          {from > 0 && "… "}
          <Text>{text.slice(from)}</Text>
        </p>
      )}
      {toolCalls.map(({ id, name, argsText }, index) => (
        <code key={id ?? index} className="runs-tool">
          <Text>{`${name}(${argsText.slice(0, 200)}${argsText.length > 200 ? "…" : ""})`}</Text>
        </code>
      ))}
      {cutBytes !== undefined && (
        <p className="runs-note">A message of {cutBytes} bytes was too large to send.</p>
      )}
    </section>
  );
});

// ── progress ───────────────────────────────────────────────────────────────────────────────────

/** The last that a node wrote beside its messages. */
function Progress({ run }: { run: RunView }) {
  const data = useLatest(run, "custom")?.data;
  if (data === undefined) return null;
  const share = shareOf(data);
  return (
    <div className="runs-progress">
      {share !== undefined && <progress max={1} value={share} aria-label="Progress" />}
      <code>
        <Text>{lineOf(data)}</Text>
      </code>
    </div>
  );
}
