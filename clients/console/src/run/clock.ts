/**
 * When events happened.
 *
 * Events carry no time. Some moments are known: a change of the run's status says when it was, `debug` events and
 * checkpoints do, and an event that arrives while the page is caught up happens now. All others lie between two known
 * ones, and are placed there by their `seq`.
 */

/** A moment in milliseconds since 1970; `isExact` is false if it was estimated. */
export interface Moment {
  readonly ms: number;
  readonly isExact: boolean;
}

const MOST = 20_000;

/** The known moments of a log, and the estimates between them. */
export class Clock {
  #seqs: number[] = [];
  #times: number[] = [];
  /** How much later this machine's clock is than the server's. */
  skewMs = 0;

  /** Take note of when the event `seq` happened, by the server's clock. */
  note(seq: number, ms: number): void {
    if (!Number.isFinite(ms)) return;
    const at = this.#behind(seq);
    if (this.#seqs[at - 1] === seq) return;
    // Time goes forward with seq, whatever two clocks say.
    const earliest = this.#times[at - 1] ?? Number.NEGATIVE_INFINITY;
    const latest = this.#times[at] ?? Number.POSITIVE_INFINITY;
    this.#seqs.splice(at, 0, seq);
    this.#times.splice(at, 0, Math.min(Math.max(ms, earliest), latest));
    if (this.#seqs.length > MOST) {
      const isKept = (_: number, index: number) => index % 2 === 0 || index > MOST / 2;
      this.#seqs = this.#seqs.filter(isKept);
      this.#times = this.#times.filter(isKept);
    }
  }

  /** Take note that the event `seq` has just arrived, at `ms` by this machine's clock. */
  noteArrival(seq: number, ms: number): void {
    this.note(seq, ms - this.skewMs);
  }

  /** Return when the event `seq` happened; undefined if no moment of the log is known. */
  at(seq: number): Moment | undefined {
    const behind = this.#behind(seq);
    const [before, beforeMs] = [this.#seqs[behind - 1], this.#times[behind - 1]];
    const [after, afterMs] = [this.#seqs[behind], this.#times[behind]];
    if (beforeMs === undefined || before === undefined)
      return afterMs === undefined ? undefined : { ms: afterMs, isExact: false };
    if (before === seq) return { ms: beforeMs, isExact: true };
    if (afterMs === undefined || after === undefined) return { ms: beforeMs, isExact: false };
    const share = (seq - before) / (after - before);
    return { ms: beforeMs + share * (afterMs - beforeMs), isExact: false };
  }

  /** Return the index of the first known moment behind `seq`. */
  #behind(seq: number): number {
    let [low, high] = [0, this.#seqs.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#seqs[middle] ?? 0) <= seq) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** Return the moment in the id of a checkpoint, a UUID of version 6; undefined for any other id. */
export function momentOf(checkpoint: unknown): number | undefined {
  const [, high, middle, low] =
    /^([0-9a-f]{8})-([0-9a-f]{4})-6([0-9a-f]{3})-[0-9a-f]{4}-[0-9a-f]{12}$/.exec(String(checkpoint)) ?? [];
  if (high === undefined || middle === undefined || low === undefined) return undefined;
  const ticks = BigInt(`0x${high}${middle}${low}`); // of 100 ns, since the Gregorian calendar began
  return Number((ticks - 0x01b21dd213814000n) / 10_000n);
}
