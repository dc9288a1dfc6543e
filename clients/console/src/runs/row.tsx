/** One run in the list. It renders when the run changes, and not when its log grows. */

import type { RunRow } from "graphwire";
import { type MouseEvent, memo, useEffect, useMemo, useRef } from "react";
import { hrefOf } from "../address";
import { useClient } from "../client";
import { useAttempt } from "../parts/attempt";
import { Elapsed } from "../parts/elapsed";
import { withMarks } from "../parts/marks";
import { Menu } from "../parts/menu";
import { Problem } from "../parts/problem";
import { LiveSparkline } from "../parts/sparkline";
import { Status } from "../parts/status";
import { Text } from "../parts/text";
import { Answer } from "./answer";
import { gistOf } from "./gist";
import { Cell, GridRow } from "./grid";
import { beginOf, needsYou } from "./listing";
import { isActive } from "./query";
import { type Rates, rateText } from "./rates";

/** What a row, or a key, asks the page to do. They stay the same functions. */
export interface Actions {
  select(run: string, isRange: boolean): void;
  focus(run: string): void;
  aside(run: string): void;
  answer(run: string, isOpen: boolean): void;
  answered(run: string): void;
  end(rows: readonly RunRow[], what: "cancel" | "delete"): void;
  thread(row: RunRow): void;
}

interface Props {
  row: RunRow;
  name: string | undefined;
  /** Its place among the rows, from 1. */
  place: number;
  isSelected: boolean;
  hasKeys: boolean;
  isAside: boolean;
  isAnswering: boolean;
  rates: Rates;
  actions: Actions;
}

export const Row = memo(function Row(props: Props) {
  const { row, name, place, isSelected, hasKeys, isAside, isAnswering, rates, actions } = props;
  const { run, graph, thread, status } = row;
  const label = name ?? run;
  const source = useMemo(
    () => ({
      subscribe: rates.subscribe,
      counts: () => rates.counts(run),
      text: () => rateText(rates.rate(run)),
    }),
    [rates, run],
  );
  const client = useClient();
  const { attempt, problem, busy } = useAttempt();
  // A breakpoint asks nothing: there is no form to open.
  const isPaused = needsYou(row) && !row.interrupts?.length && !isAnswering;
  const form = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (isAnswering) form.current?.querySelector<HTMLElement>("input, textarea, select, button")?.focus();
  }, [isAnswering]);
  const onCheck = (event: MouseEvent) => actions.select(run, event.shiftKey);
  return (
    <GridRow
      className="runs-row"
      data-run={run}
      data-needs={needsYou(row) || undefined}
      data-aside={isAside || undefined}
      aria-rowindex={place + 1}
      aria-selected={isSelected}
      tabIndex={hasKeys ? 0 : -1}
      onFocus={() => actions.focus(run)}
    >
      <Cell name="check">
        <label>
          <input
            type="checkbox"
            tabIndex={-1}
            checked={isSelected}
            aria-label={`Select ${withMarks(label)}`}
            onClick={onCheck}
            onChange={() => {}}
          />
        </label>
      </Cell>
      <Cell name="status">
        <Status status={status} />
      </Cell>
      <Cell name="name">
        <a href={hrefOf(["run", run])} tabIndex={-1} className={name === undefined ? "runs-id" : undefined}>
          <Text>{label}</Text>
        </a>
      </Cell>
      <Cell name="graph">
        <Text>{graph}</Text>
      </Cell>
      <Cell name="gist">
        <Text>{gistOf(row)}</Text>
      </Cell>
      <Cell name="rate">{status === "running" && <LiveSparkline source={source} />}</Cell>
      <Cell name="time">
        <Elapsed from={beginOf(row)} to={row.ended_at} />
      </Cell>
      <Cell name="acts">
        {isPaused && (
          <button
            type="button"
            className="button runs-answer-button"
            tabIndex={-1}
            disabled={busy}
            onClick={() => attempt(client.respond(run).then(() => actions.answered(run)))}
          >
            Continue
          </button>
        )}
        {needsYou(row) && !isPaused && (
          <button
            type="button"
            className="button runs-answer-button"
            tabIndex={-1}
            aria-expanded={isAnswering}
            onClick={() => actions.answer(run, !isAnswering)}
          >
            {isAnswering ? "Close" : "Answer"}
          </button>
        )}
        <button
          type="button"
          className="icon-button"
          tabIndex={-1}
          aria-pressed={isAside}
          aria-label={`${isAside ? "Close" : "Open"} at the side: ${withMarks(label)}`}
          title={isAside ? "Close at the side (o)" : "Open at the side (o)"}
          onClick={() => actions.aside(run)}
        >
          <svg viewBox="0 0 16 16" aria-hidden="true">
            <rect x="1.5" y="2.5" width="13" height="11" rx="2" />
            <path d="M9.5 2.5v11" />
          </svg>
        </button>
        <Menu
          label={`More about ${label}`}
          items={[
            { label: "Open", onSelect: () => void location.assign(hrefOf(["run", run])) },
            ...(thread ? [{ label: "Only this thread", onSelect: () => actions.thread(row) }] : []),
            isActive(row)
              ? { label: "Cancel", onSelect: () => actions.end([row], "cancel"), danger: true }
              : { label: "Delete", onSelect: () => actions.end([row], "delete"), danger: true },
          ]}
        />
      </Cell>
      {problem && isPaused && (
        <Cell name="answer">
          <Problem error={problem} />
        </Cell>
      )}
      {isAnswering && needsYou(row) && (
        <Cell name="answer" box={form}>
          <Answer row={row} onAnswered={() => actions.answered(run)} />
        </Cell>
      )}
    </GridRow>
  );
});
