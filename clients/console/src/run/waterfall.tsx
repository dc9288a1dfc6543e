/** Nodes over time, as bars: one row for each task, those of a subgraph below the task that runs it. */

import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useMemo, useRef, useState } from "react";
import { Text } from "../parts/text";
import { scaleOf, ticksOf, timeText } from "./axis";
import { isOver, useLog } from "./log";
import type { Viewed } from "./page";
import { rowsOf, type Span, STATE_WORDS } from "./spans";

const ROW = 26;
const TICK_MS = 250;

interface Props extends Viewed {
  chosen: Span | undefined;
  onChoose: (span: Span) => void;
}

export function Waterfall({ log, view, chosen, onChoose }: Props) {
  useLog(log);
  const { activity, clock } = log;
  const { structure } = activity;
  // The structure says when rows come or go.
  const rows = useMemo(() => rowsOf(activity.spans), [activity, structure]);
  const isLive = view.isCaughtUp && !isOver(view.status);
  const now = useNow(isLive && view.status === "running");
  const scroller = useRef<HTMLDivElement>(null);
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW,
    overscan: 12,
  });
  const lastSeq = log.entries.at(-1)?.event.seq ?? 0;
  const scale = scaleOf(rows, clock, lastSeq, isLive ? now - clock.skewMs : undefined);
  const hasEstimates = rows.some((span) => scale.barOf(span).text.startsWith("~"));
  if (!rows.length)
    return (
      <p className="run-soft run-waterfall-empty">
        {isOver(view.status) ? "No node ran." : "No node has run yet."}
      </p>
    );
  return (
    <>
      <div className="run-axis" aria-hidden>
        <span className="run-axis-title">
          {scale.isTime ? "Time since start" : "By order: no times are known"}
        </span>
        <div className="run-axis-ticks">
          {scale.isTime &&
            ticksOf(scale.length).map((ms) => (
              <span key={ms} style={{ left: `${(ms / scale.length) * 100}%` }}>
                {timeText(ms)}
              </span>
            ))}
        </div>
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls is reached by keyboard */}
      <section className="run-rows" ref={scroller} tabIndex={0} aria-label={`${rows.length} tasks`}>
        <div style={{ height: virtual.getTotalSize(), position: "relative" }}>
          {virtual.getVirtualItems().map(({ index, start }) => {
            const span = rows[index];
            if (!span) return null;
            const bar = scale.barOf(span);
            const marks = [
              ...span.retries.map((seq) => ["retry", seq] as const),
              ...span.resumes.map((seq) => ["resume", seq] as const),
            ];
            return (
              <button
                key={span.key}
                type="button"
                className="run-row"
                style={{ transform: `translateY(${start}px)`, height: ROW }}
                data-state={span.state}
                aria-pressed={span === chosen}
                onClick={() => onChoose(span)}
              >
                <span className="run-row-name" style={{ paddingLeft: 8 + Math.min(span.depth, 8) * 14 }}>
                  <span className="run-dot" data-state={span.state} />
                  <span className="run-row-label">
                    <Text>{span.node}</Text>
                  </span>
                  <span className="run-hidden">{describe(span)}</span>
                </span>
                <span className="run-row-track">
                  <span
                    className="run-bar"
                    data-state={span.state}
                    data-inferred={span.isInferred || !bar.isExact}
                    style={{ left: `${bar.left}%`, width: `max(3px, ${bar.width}%)` }}
                  />
                  {marks.map(([kind, seq]) => (
                    <span
                      key={`${kind}${seq}`}
                      className={`run-mark run-mark-${kind}`}
                      style={{ left: `${scale.at(seq)}%` }}
                    />
                  ))}
                  <span
                    className="run-bar-text"
                    data-side={bar.left + bar.width > 80 ? "before" : "behind"}
                    style={
                      bar.left + bar.width > 80
                        ? { right: `${100 - bar.left}%` }
                        : { left: `${bar.left + bar.width}%` }
                    }
                  >
                    {bar.text}
                  </span>
                </span>
              </button>
            );
          })}
        </div>
      </section>
      {hasEstimates && (
        <details className="run-how">
          <summary>Times marked with ~ are estimates.</summary>
          <p className="run-soft">
            Events carry no time of their own. A page that was open while the run ran knows when each came;
            otherwise they are placed between the times that the log does hold: changes of the run’s status
            and, where it records them, checkpoints.
          </p>
        </details>
      )}
      {activity.dropped > 0 && (
        <p className="run-soft">
          {activity.dropped.toLocaleString("en")} older tasks are not shown: this page keeps the latest 5,000.
        </p>
      )}
    </>
  );
}

/** The state in words, between the name and the duration. */
function describe({ state, retries }: Span): string {
  return `${STATE_WORDS[state]}${retries.length ? `, retried ${retries.length} times` : ""}`;
}

/** The time, which goes on while `isRunning`. */
function useNow(isRunning: boolean): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    setNow(Date.now());
    if (!isRunning) return;
    const timer = setInterval(() => setNow(Date.now()), TICK_MS);
    return () => clearInterval(timer);
  }, [isRunning]);
  return now;
}
