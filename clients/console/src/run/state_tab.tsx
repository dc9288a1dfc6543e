/** The states of a run: the latest, and what changed from one to the next; and the checkpoints of its thread. */

import { go, hrefOf, useAddress } from "../address";
import { Checkpoints } from "./checkpoints";
import { isOver } from "./log";
import { NotRecorded } from "./not_recorded";
import type { Viewed } from "./page";
import { Steps } from "./steps";

export function StateTab(viewed: Viewed) {
  const { id, recorded, row, view } = viewed;
  const { query } = useAddress();
  const hasSteps = recorded.modes.includes("values");
  const hasThread = row?.thread !== undefined;
  const asked = query.get("of");
  const of = asked === "thread" || asked === "run" ? asked : hasSteps || !hasThread ? "run" : "thread";
  const choose = (next: string) => go(hrefOf(["run", id], { tab: "state", of: next }), { replace: true });
  return (
    <div className="run-state">
      <div className="run-bar-top">
        <button type="button" className="run-group" aria-pressed={of === "run"} onClick={() => choose("run")}>
          Steps of this run
        </button>
        <button
          type="button"
          className="run-group"
          aria-pressed={of === "thread"}
          onClick={() => choose("thread")}
        >
          Checkpoints of the thread
        </button>
      </div>
      {of === "run" ? (
        hasSteps ? (
          <Steps {...viewed} />
        ) : (
          <NotRecorded modes={["values"]} row={row}>
            <p>
              This run does not record its states (mode <code>values</code>).
              {hasThread && " The checkpoints of its thread show states, too."}
            </p>
          </NotRecorded>
        )
      ) : hasThread ? (
        <Checkpoints {...viewed} when={isOver(view.status) ? "over" : (view.status ?? "new")} />
      ) : (
        <div className="run-missing" role="note">
          <p>
            This run has no thread, so it has no checkpoints. Start runs on a thread to inspect and fork their
            checkpoints.
          </p>
        </div>
      )}
    </div>
  );
}
