/** Ending or deleting many runs: how many and which, how far it is, and what could not be done. */

import type { RunRow } from "graphwire";
import { useEffect, useState } from "react";
import { useClient } from "../client";
import { Dialog } from "../parts/dialog";
import { Problem } from "../parts/problem";
import { Text } from "../parts/text";
import { activeRuns, cancelRun, deleteRun, forEach, type Outcome } from "./bulk";
import { listed, type TitleOf } from "./listing";
import { isActive, type Query } from "./query";

export interface Bulk {
  readonly what: "cancel" | "delete";
  readonly rows: readonly RunRow[];
  /** Set if it is about all that match, and `rows` may lack some of them: the server is asked. */
  readonly all?: Query | undefined;
}

interface Props {
  bulk: Bulk;
  nameOf: TitleOf;
  onEnded: (what: Bulk["what"], runs: readonly string[]) => void;
  onClose: () => void;
}

const WORDS = {
  cancel: {
    verb: "Cancel",
    doing: "Cancelling",
    done: "cancelled",
    warning: "They stop for everyone who watches them. What they have done so far is kept.",
  },
  delete: {
    verb: "Delete",
    doing: "Deleting",
    done: "deleted",
    warning: "Their events and results are deleted for good. Their threads are kept.",
  },
} as const;

const runsText = (count: number) => (count === 1 ? "one run" : `${count.toLocaleString("en")} runs`);

export function BulkDialog({ bulk, nameOf, onEnded, onClose }: Props) {
  const client = useClient();
  const { what } = bulk;
  const words = WORDS[what];
  const [rows, setRows] = useState(bulk.all ? undefined : bulk.rows);
  const [count, setCount] = useState<number>();
  const [outcome, setOutcome] = useState<Outcome>();
  const [problem, setProblem] = useState<Error>();

  useEffect(() => {
    const { all } = bulk;
    if (!all) return;
    let isWanted = true;
    const { graph, thread, status } = all;
    activeRuns(client, { ...(graph && { graph }), ...(thread && { thread }), status: [...status] }).then(
      (found) => isWanted && setRows(listed(found, all, nameOf).rows),
      (error) => isWanted && setProblem(error),
    );
    return () => {
      isWanted = false;
    };
  }, [bulk, client, nameOf]);

  const targets = (rows ?? []).filter((row) => isActive(row) === (what === "cancel"));
  const others = (rows?.length ?? 0) - targets.length;
  const act = async () => {
    setCount(0);
    const each = what === "cancel" ? cancelRun : deleteRun;
    const runs = targets.map(({ run }) => run);
    const outcome = await forEach(runs, (run) => each(client, run), setCount);
    onEnded(what, outcome.done);
    if (outcome.failed.length) setOutcome(outcome);
    else onClose();
  };

  const title = rows ? `${words.verb} ${runsText(targets.length)}?` : `${words.verb} all that match?`;
  const labelOf = (run: string) => {
    const row = targets.find((row) => row.run === run);
    return (row && nameOf(row)) ?? run;
  };
  return (
    <Dialog title={outcome ? `${words.verb}: not all of them` : title} open onClose={onClose}>
      <div className="runs-bulk">
        {problem ? (
          <Problem error={problem} />
        ) : outcome ? (
          <>
            <p role="alert">
              {outcome.done.length} of {outcome.done.length + outcome.failed.length} runs are {words.done}.
              These are not:
            </p>
            <ul className="runs-bulk-list">
              {outcome.failed.map(({ run, why }) => (
                <li key={run}>
                  <b>
                    <Text>{labelOf(run)}</Text>
                  </b>{" "}
                  <code>{run}</code>
                  <p>
                    <Text>{why}</Text>
                  </p>
                </li>
              ))}
            </ul>
          </>
        ) : !rows ? (
          <p aria-busy="true">Loading all runs that match…</p>
        ) : (
          <>
            <p>
              {targets.length ? words.warning : `None of them can be ${words.done}.`}
              {others > 0 &&
                ` ${others === 1 ? "One other run" : `${others} others`} ${what === "cancel" ? "ended already" : "did not end yet"}, and ${others === 1 ? "stays" : "stay"} as ${others === 1 ? "it is" : "they are"}.`}
            </p>
            {targets.length > 0 && (
              // biome-ignore lint/a11y/noNoninteractiveTabindex: a list that scrolls is scrolled by keys, too
              <ul className="runs-bulk-list" tabIndex={0} aria-label="Which runs">
                {targets.slice(0, SHOWN).map((row) => (
                  <li key={row.run}>
                    <b>
                      <Text>{nameOf(row) ?? row.run}</Text>
                    </b>{" "}
                    <span>
                      <Text>{row.graph}</Text>, {row.status}
                    </span>
                  </li>
                ))}
                {targets.length > SHOWN && <li>and {targets.length - SHOWN} more</li>}
              </ul>
            )}
          </>
        )}
        <div className="runs-buttons">
          <button
            type="button"
            className="button"
            onClick={onClose}
            disabled={count !== undefined && !outcome}
          >
            {outcome || problem || (rows && !targets.length) ? "Close" : "Keep them"}
          </button>
          {!outcome && !problem && targets.length > 0 && (
            <button
              type="button"
              className="button button-danger"
              disabled={count !== undefined}
              onClick={() => void act()}
            >
              {count === undefined
                ? `${words.verb} ${runsText(targets.length)}`
                : `${words.doing}: ${count} of ${targets.length}`}
            </button>
          )}
        </div>
      </div>
    </Dialog>
  );
}

/** How many are named. */
const SHOWN = 200;
