/** Where on the axis of time things are. */

import type { Clock } from "./clock";
import type { Span } from "./spans";

export interface Bar {
  /** In percent of the axis. */
  readonly left: number;
  readonly width: number;
  /** How long it took, as a person reads it; with `~` if a moment was estimated. */
  readonly text: string;
  readonly isExact: boolean;
}

export interface Scale {
  /** Whether the axis is time; if no moment is known it is the order of events. */
  readonly isTime: boolean;
  /** In milliseconds, or in events. */
  readonly length: number;
  readonly at: (seq: number) => number;
  readonly barOf: (span: Span) => Bar;
}

/** Return the scale on which `spans` fit. `nowMs` is the present, for what goes on; undefined if nothing does. */
export function scaleOf(
  spans: readonly Span[],
  clock: Clock,
  lastSeq: number,
  nowMs: number | undefined,
): Scale {
  const firstSeq = Math.min(...spans.slice(0, 1).map(({ from }) => from), lastSeq);
  const [begin, end] = [clock.at(Math.min(firstSeq, 1)), clock.at(lastSeq)];
  const isTime = begin !== undefined && end !== undefined && (end.ms > begin.ms || nowMs !== undefined);
  const first = isTime ? begin.ms : firstSeq;
  const last = isTime ? Math.max(end.ms, nowMs ?? end.ms) : Math.max(lastSeq, firstSeq + 1);
  const length = Math.max(last - first, 1);
  const valueAt = (seq: number) => (isTime ? (clock.at(seq)?.ms ?? first) : seq);
  const at = (seq: number) => Math.min(Math.max(((valueAt(seq) - first) / length) * 100, 0), 100);
  const barOf = (span: Span): Bar => {
    const to = span.to;
    const left = at(span.from);
    const right = to === undefined ? 100 : at(to);
    const isExact = isTime && !!clock.at(span.from)?.isExact && (to === undefined || !!clock.at(to)?.isExact);
    const ms = (to === undefined ? last : valueAt(to)) - valueAt(span.from);
    const text = isTime ? `${isExact && !span.isInferred ? "" : "~"}${timeText(Math.max(ms, 0))}` : "";
    return { left, width: Math.max(right - left, 0), text, isExact };
  };
  return { isTime, length, at, barOf };
}

/** Return moments for the marks of an axis: some five of them, at round numbers. */
export function ticksOf(lengthMs: number): number[] {
  const rough = lengthMs / 5;
  const power = 10 ** Math.floor(Math.log10(Math.max(rough, 1)));
  const nice =
    lengthMs > 300_000
      ? [60_000, 120_000, 300_000, 600_000, 1_800_000, 3_600_000, 21_600_000, 86_400_000]
      : [1, 2, 5, 10].map((factor) => factor * power);
  const step = nice.find((each) => each >= rough) ?? rough;
  const ticks: number[] = [];
  for (let at = 0; at <= lengthMs * 0.94 && ticks.length < 20; at += step) ticks.push(at);
  return ticks;
}

/** Return a span of time as a person reads it. */
export function timeText(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 10_000) return `${(ms / 1000).toFixed(1)} s`;
  if (ms < 60_000) return `${Math.round(ms / 1000)} s`;
  const minutes = Math.floor(ms / 60_000);
  if (minutes < 60) return `${minutes} min ${Math.round((ms % 60_000) / 1000)} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
