/** A line of counts, one a second: how busy something is, at a glance. */

import { memo, useEffect, useRef } from "react";
import "./sparkline.css";

/** The drawing's own units; it is shown as large as its box. */
export const WIDTH = 80;
export const HEIGHT = 20;
/** How many points fill the width: a line that is younger grows from the right. */
const POINTS = 40;
/** Less than so many a second is drawn low: one event is no peak. */
const LOWEST_PEAK = 4;
const MARGIN = 1.5;
/** A line at its own peak, as a steady one is, stays below the top. */
const HEADROOM = 1.25;

/** Return the line through the counts, the latest at the right, as the `d` of a path; "" for fewer than two. */
export function lineOf(counts: readonly number[]): string {
  const shown = counts.slice(-POINTS);
  if (shown.length < 2) return "";
  const peak = Math.max(LOWEST_PEAK, ...shown) * HEADROOM;
  const step = WIDTH / (POINTS - 1);
  const from = WIDTH - (shown.length - 1) * step;
  return shown
    .map((count, index) => {
      const y = HEIGHT - MARGIN - (Math.max(0, count) / peak) * (HEIGHT - 2 * MARGIN);
      return `${index ? "L" : "M"}${rounded(from + index * step)} ${rounded(y)}`;
    })
    .join("");
}

const rounded = (value: number) => Math.round(value * 10) / 10;

/** The line of `counts`; what it means is said in words beside it. */
export const Sparkline = memo(function Sparkline({ counts }: { counts: readonly number[] }) {
  return (
    <svg
      className="sparkline"
      viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
      preserveAspectRatio="none"
      aria-hidden="true"
    >
      <path d={lineOf(counts)} />
    </svg>
  );
});

/** What changes without React: `subscribe` calls its listener after each change. */
export interface CountSource {
  readonly subscribe: (listener: () => void) => () => void;
  readonly counts: () => readonly number[];
  /** The number beside the line. */
  readonly text: () => string;
}

/** The line and its number, drawn anew with each change of the source, and rendered once. */
export const LiveSparkline = memo(function LiveSparkline({ source }: { source: CountSource }) {
  const path = useRef<SVGPathElement>(null);
  const text = useRef<HTMLSpanElement>(null);
  useEffect(() => {
    const draw = () => {
      path.current?.setAttribute("d", lineOf(source.counts()));
      if (text.current && text.current.textContent !== source.text())
        text.current.textContent = source.text();
    };
    draw();
    return source.subscribe(draw);
  }, [source]);
  return (
    <span className="sparkline-live">
      <svg
        className="sparkline"
        viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
        preserveAspectRatio="none"
        aria-hidden="true"
      >
        <path ref={path} />
      </svg>
      <span ref={text} className="sparkline-text" />
    </span>
  );
});
