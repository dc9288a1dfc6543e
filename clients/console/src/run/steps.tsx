/** The states that a run's events have, and what each changed. */

import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useRef, useState } from "react";
import { Json } from "../parts/json";
import { Text } from "../parts/text";
import { timeText } from "./axis";
import { DifferenceView } from "./difference_view";
import { useLog } from "./log";
import type { Viewed } from "./page";
import { namesOf, writersOf } from "./spans";
import { useEvent } from "./use_event";

const ROW = 40;

export function Steps(viewed: Viewed) {
  const { log, view } = viewed;
  useLog(log);
  const { steps } = log;
  const [chosen, choose] = useState<number>();
  const scroller = useRef<HTMLDivElement>(null);
  const virtual = useVirtualizer({
    count: steps.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW,
    overscan: 10,
  });
  const at = chosen === undefined ? steps.length - 1 : steps.findIndex(({ seq }) => seq === chosen);
  const step = steps[at];
  // The end is followed as long as nobody has chosen another step.
  const isFollowing = chosen === undefined;
  useEffect(() => {
    if (isFollowing && steps.length) virtual.scrollToIndex(steps.length - 1);
  }, [isFollowing, steps.length, virtual.scrollToIndex]);
  if (!steps.length)
    return <p className="run-soft run-pad">{view.isCaughtUp ? "No state yet." : "Catching up…"}</p>;
  const first = log.clock.at(1);
  return (
    <div className="run-split">
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls is reached by keyboard */}
      <section className="run-list" ref={scroller} tabIndex={0} aria-label={`${steps.length} states`}>
        <div style={{ height: virtual.getTotalSize(), position: "relative" }}>
          {virtual.getVirtualItems().map(({ index, start }) => {
            const each = steps[index];
            if (!each) return null;
            const moment = log.clock.at(each.seq);
            const place = namesOf(each.namespace);
            const isLatest = index === steps.length - 1;
            return (
              <button
                key={each.seq}
                type="button"
                className="run-step"
                style={{ transform: `translateY(${start}px)`, height: ROW }}
                aria-pressed={index === at}
                onClick={() => choose(isLatest ? undefined : each.seq)}
              >
                <span className="run-step-number">{index + 1}</span>
                <span className="run-step-name">
                  <StepName place={place} nodes={writersOf(each, log.activity.spans)} />
                  {isLatest && <span className="run-tag">latest</span>}
                </span>
                <span
                  className="run-soft"
                  title={moment?.isExact ? undefined : "An estimate: this event carries no time"}
                >
                  {moment && first
                    ? `${moment.isExact ? "" : "~"}${timeText(moment.ms - first.ms)}`
                    : `#${each.seq}`}
                </span>
              </button>
            );
          })}
        </div>
      </section>
      {step && <StepView key={step.seq} {...viewed} seq={step.seq} before={step.before} />}
    </div>
  );
}

/** What wrote a state, and of which subgraph it is. */
function StepName({ place, nodes }: { place: readonly string[]; nodes: readonly string[] }) {
  return (
    <span className="run-step-text">
      {nodes.length ? "after " : "start"}
      <Names names={nodes} between=", " />
      {place.length > 0 && (
        <span className="run-soft">
          {" "}
          in <Names names={place} between=" / " />
        </span>
      )}
    </span>
  );
}

/** Names, each with its own direction of writing. */
function Names({ names, between }: { names: readonly string[]; between: string }) {
  return names.map((name, index) => (
    <span key={name}>
      {index > 0 && between}
      <Text>{name}</Text>
    </span>
  ));
}

function StepView({ seq, before, ...viewed }: Viewed & { seq: number; before: number | undefined }) {
  const now = useEvent(viewed, seq);
  const old = useEvent(viewed, before);
  if (now.isLoading || old.isLoading) return <p className="run-soft run-pad">Loading from the server…</p>;
  if (!now.event) return <p className="run-soft run-pad">The server no longer has this state.</p>;
  const value = stateIn(now.event);
  return (
    <div className="run-detail">
      <section>
        <h2>Changes</h2>
        {before === undefined ? (
          <p className="run-soft">This is the first state that was recorded.</p>
        ) : old.event ? (
          <DifferenceView old={stateIn(old.event)} now={value} />
        ) : (
          <p className="run-soft">The server no longer has the state before it.</p>
        )}
      </section>
      <section>
        <h2>State</h2>
        <Json value={value} open />
      </section>
    </div>
  );
}

function stateIn(event: { readonly mode: string }): unknown {
  if ("values" in event) return event.values;
  return "data" in event ? event.data : undefined;
}
