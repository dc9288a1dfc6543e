/** The checkpoints of a run's thread: what each changed, and going on from one. */

import type { StateSnapshot } from "graphwire";
import { useState } from "react";
import { Json } from "../parts/json";
import { Problem } from "../parts/problem";
import { Text } from "../parts/text";
import { type Fork, ForkDialog } from "./again";
import { DifferenceView } from "./difference_view";
import type { Viewed } from "./page";
import { useAsked } from "./recorded";
import { isObject } from "./spans";

/** States are large, so they are asked for a few at a time. */
const PAGE = 30;

export function Checkpoints({ when, ...viewed }: Viewed & { when: string }) {
  const { client, row } = viewed;
  const [limit, setLimit] = useState(PAGE);
  const [chosen, choose] = useState<string>();
  const [fork, setFork] = useState<Fork>();
  const { graph = "", thread = "" } = row ?? {};
  const asked = useAsked(row && `${graph} ${thread} ${limit} ${when}`, client, async (signal) => {
    const states: StateSnapshot[] = [];
    for await (const state of client.stateHistory(graph, thread, { limit: limit + 1, signal }))
      states.push(state);
    return states;
  });
  if (asked.error) return <Problem error={asked.error} retry={asked.retry} />;
  if (!asked.value) return <p className="run-soft run-pad">Reading the thread’s history…</p>;
  const all = asked.value;
  const shown = all.slice(0, limit);
  if (!shown.length) return <p className="run-soft run-pad">The thread has no checkpoint yet.</p>;
  const at = Math.max(
    shown.findIndex(({ checkpoint }) => checkpoint === chosen),
    0,
  );
  const state = shown[at];
  const before = all[at + 1];
  return (
    <div className="run-split">
      <div className="run-list">
        <ol className="run-checkpoints" aria-label="Checkpoints, the newest first">
          {shown.map((each, index) => (
            <li key={each.checkpoint ?? index}>
              <button
                type="button"
                className="run-step run-checkpoint"
                aria-pressed={index === at}
                onClick={() => choose(each.checkpoint)}
              >
                <span className="run-step-number">{stepOf(each)}</span>
                <span className="run-step-name">
                  <Next names={each.next} />
                  {each.checkpoint !== undefined && each.checkpoint === row?.checkpoint && (
                    <span className="run-tag">start of this run</span>
                  )}
                </span>
                <span className="run-soft">{timeOf(each.createdAt)}</span>
              </button>
            </li>
          ))}
        </ol>
        {all.length > limit && (
          <button type="button" className="button run-more" onClick={() => setLimit(limit * 2)}>
            Load older checkpoints
          </button>
        )}
        <button type="button" className="button run-more" onClick={asked.retry}>
          Refresh
        </button>
      </div>
      {state && (
        <div className="run-detail">
          <div className="run-dialog-actions run-detail-actions">
            <button
              type="button"
              className="button button-main"
              disabled={state.checkpoint === undefined}
              onClick={() => setFork({ checkpoint: state.checkpoint ?? "", next: state.next })}
            >
              Fork from here…
            </button>
          </div>
          <section>
            <h2>Changes</h2>
            {before ? (
              <DifferenceView old={before.values} now={state.values} />
            ) : (
              <p className="run-soft">This is the first checkpoint of the thread.</p>
            )}
          </section>
          <section>
            <h2>State</h2>
            <Json value={state.values} open />
          </section>
          {state.tasks.length > 0 && (
            <section>
              <h2>Tasks</h2>
              <Json value={state.tasks} />
            </section>
          )}
          <p className="run-soft">
            Checkpoint{" "}
            <code>
              <Text>{state.checkpoint ?? "without an id"}</Text>
            </code>
          </p>
        </div>
      )}
      <ForkDialog {...viewed} fork={fork} onClose={() => setFork(undefined)} />
    </div>
  );
}

/** The nodes that run next; each name is apart, whatever its direction of writing. */
function Next({ names }: { names: readonly string[] }) {
  if (!names.length) return <>end of the graph</>;
  return (
    <>
      {names.map((name, index) => (
        <span key={name}>
          {index ? ", " : "before "}
          <Text>{name}</Text>
        </span>
      ))}
    </>
  );
}

function stepOf({ metadata }: StateSnapshot): string {
  const step = isObject(metadata) ? metadata.step : undefined;
  return typeof step === "number" ? String(step) : "";
}

const TIME = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });

function timeOf(text: string | undefined): string {
  const ms = Date.parse(text ?? "");
  return Number.isNaN(ms) ? "" : TIME.format(ms);
}
