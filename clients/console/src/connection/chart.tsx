/** Round trips as a small chart: one bar for each, the latest at the right. */

import type { RoundTrip } from "../counted";

const WIDTH = 600;
const HEIGHT = 72;
const SLOTS = 60;
const GAP = 2;

/** The chart, scaled to the slowest; one that was not answered is a hollow bar. */
export function Chart({ trips }: { trips: readonly RoundTrip[] }) {
  const most = topOf(Math.max(...trips.map(({ ms }) => ms ?? 0)));
  const wide = WIDTH / SLOTS;
  const answered = trips.flatMap(({ ms }) => (ms === undefined ? [] : [ms]));
  const label = answered.length
    ? `Round trips, up to ${Math.max(...answered).toFixed(1)} milliseconds`
    : "No round trips yet";
  return (
    <figure className="conn-chart">
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={label}>
        {trips.map(({ at, ms }, index) => {
          const high = ms === undefined ? HEIGHT : Math.max(2, (ms / most) * HEIGHT);
          const x = WIDTH - (trips.length - index) * wide;
          return (
            <rect
              key={at}
              className={ms === undefined ? "conn-lost" : undefined}
              x={x}
              y={HEIGHT - high}
              width={wide - GAP}
              height={high}
              rx="1"
            />
          );
        })}
      </svg>
      {trips.length > 0 && (
        <figcaption>
          <span>{most} ms</span>
          <span>0</span>
        </figcaption>
      )}
    </figure>
  );
}

/** Return a round number at or above the highest value: 5, 10, 20, 50, … */
export function topOf(highest: number): number {
  for (let scale = 1; ; scale *= 10)
    for (const step of [1, 2, 5]) if (step * scale >= Math.max(5, highest)) return step * scale;
}
