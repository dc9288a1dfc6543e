/** How long something took, in few characters: `0.4 s`, `12 s`, `3:05`, `2 h 04`, `5 d 3 h`. */

const SECOND = 1000;
const HOUR = 3600;
const DAY = 24 * HOUR;

/** Return a time span of `ms` milliseconds as text. Below ten seconds it has a decimal unless `isLive`. */
export function durationText(ms: number, isLive = false): string {
  const s = Math.max(0, ms) / SECOND;
  if (s < 10 && !isLive) return `${s.toFixed(1)} s`;
  const whole = Math.floor(s);
  if (whole < 60) return `${whole} s`;
  if (whole < HOUR) return `${Math.floor(whole / 60)}:${two(whole % 60)}`;
  if (whole < DAY) return `${Math.floor(whole / HOUR)} h ${two(Math.floor((whole % HOUR) / 60))}`;
  return `${Math.floor(whole / DAY)} d ${Math.floor((whole % DAY) / HOUR)} h`;
}

const two = (n: number) => String(n).padStart(2, "0");
