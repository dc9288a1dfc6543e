/**
 * How many events a run has had in each of the last seconds.
 *
 * A watch says at most once a second how far a log has come, and that beats against our own second. So a second counts
 * as the mean of itself and the one before, which loses no event and shows no dents.
 */

/** How many seconds a series holds. */
export const SECONDS = 40;

/** Over how many seconds the number beside the line is taken. */
const MEAN_OF = 3;

/** What is sampled sooner after another is no second. */
const LEAST_MS = 500;

interface Counted {
  readonly run: string;
  readonly epoch: string;
  readonly head: number;
}

interface Log {
  epoch: string;
  head: number;
  /** Events in each second, the latest last. */
  readonly seconds: number[];
}

export class Rates {
  readonly #logs = new Map<string, Log>();
  readonly #listeners = new Set<() => void>();
  #at: number | undefined;

  /** Take note of how far each log has come, at `now` in milliseconds. Called once a second or so. */
  sample(rows: Iterable<Counted>, now: number): void {
    if (this.#at !== undefined && now - this.#at < LEAST_MS) return;
    const passed = this.#at === undefined ? 1 : Math.max(1, Math.round((now - this.#at) / 1000));
    this.#at = now;
    const seen = new Set<string>();
    for (const { run, epoch, head } of rows) {
      seen.add(run);
      const log = this.#logs.get(run);
      // What a log had before it was seen, or before its epoch, came in no second that is known.
      if (!log || log.epoch !== epoch) this.#logs.set(run, { epoch, head, seconds: [] });
      else {
        const grown = Math.max(0, head - log.head) / passed;
        log.head = Math.max(log.head, head);
        // A tab that nobody sees has few clocks: what came meanwhile is spread over the seconds that passed.
        for (let second = 0; second < Math.min(passed, SECONDS + 1); second += 1) log.seconds.push(grown);
        log.seconds.splice(0, log.seconds.length - SECONDS - 1);
      }
    }
    for (const run of this.#logs.keys()) if (!seen.has(run)) this.#logs.delete(run);
    for (const listener of this.#listeners) listener();
  }

  /** Return the events of each second, the latest last; empty before two samples. */
  counts(run: string): readonly number[] {
    const { seconds } = this.#logs.get(run) ?? { seconds: [] };
    return seconds.slice(seconds.length > SECONDS ? 1 : 0).map((count, index, shown) => {
      const before = seconds[seconds.length - shown.length + index - 1] ?? count;
      return (count + before) / 2;
    });
  }

  /** Return the events a second now; undefined before it is known. */
  rate(run: string): number | undefined {
    const latest = this.#logs.get(run)?.seconds.slice(-MEAN_OF) ?? [];
    return latest.length ? latest.reduce((sum, count) => sum + count, 0) / latest.length : undefined;
  }

  /** Call `listener` after each sample; return a function that ends it. */
  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };
}

/** Return a rate as it is read: `48/s`, `0.3/s`, `1.2k/s`. */
export function rateText(rate: number | undefined): string {
  if (rate === undefined) return "";
  if (rate === 0) return "0/s";
  if (rate < 0.05) return "<0.1/s";
  if (rate < 9.95) return `${rate.toFixed(1)}/s`;
  return rate < 999.5 ? `${Math.round(rate)}/s` : `${(rate / 1000).toFixed(1)}k/s`;
}
