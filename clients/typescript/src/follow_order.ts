/**
 * Which run of a thread comes next, and whether one was missed.
 *
 * Bookkeeping about three sources: the rows of a watch, which come again after each reconnect, newest first; the number
 * that each reply to `state` carries; and which runs were shown. `follow` asks.
 */

import type * as frames from "./protocol/frames.js";
import { TERMINAL } from "./protocol/tables.js";

/** Rows that wait to be shown; beyond that the oldest are forgotten, and following begins anew there. */
export const MOST_ROWS = 1000;

/** A run of the thread, by its numbering and its number. */
export interface Label {
  readonly epoch: string;
  readonly number: number;
}

interface Known extends Label {
  row: frames.RunRow;
  at: number; // when it came, counted by rows
}

/**
 * The runs of one thread that have begun, of which `epoch` and `next` say which one to show next.
 *
 * `epoch` is undefined while no run of the thread is known: whatever numbering begins next is expected.
 */
export class RunOrder {
  epoch: string | undefined;
  next = 1;
  /** How many rows have come. */
  now = 0;
  #rows: Known[] = [];
  #listBegan = 0;

  // ── the watch ────────────────────────────────────────────────────────────────────────────────

  /** Take in a row; one of a run that has not begun, or was shown, says nothing. */
  add(row: frames.RunRow): void {
    const label = labelOf(row);
    if (!label || (label.epoch === this.epoch && label.number < this.next)) return;
    this.now += 1;
    this.#keep((known) => !isSame(known, label));
    this.#rows.push({ ...label, row, at: this.now });
    if (this.#rows.length <= MOST_ROWS) return;
    const [oldest] = [...this.#rows].sort(
      (one, other) =>
        Number(one.epoch === this.epoch) - Number(other.epoch === this.epoch) || one.number - other.number,
    );
    this.#keep((known) => known !== oldest);
  }

  /** A watch was opened, maybe again: the runs that it knows come now. */
  beginList(): void {
    this.#listBegan = this.now;
  }

  /** The list is complete: the server has forgotten a run that it does not name, unless it was cut. */
  endList(isCut = false): void {
    if (!isCut) this.#keep(({ at }) => at > this.#listBegan);
  }

  /** The server has forgotten this run. */
  forget(run: string): void {
    this.#keep(({ row }) => row.run !== run);
  }

  /** Return the latest row of a run. */
  find(label: Label): frames.RunRow | undefined {
    return this.#find(label)?.row;
  }

  // ── states ───────────────────────────────────────────────────────────────────────────────────

  /**
   * Tell whether the run was known to have ended when `before` rows had come.
   *
   * Then a state that was requested at that time and is labelled with the run holds all that it wrote.
   */
  hasEnded(label: Label, before: number): boolean {
    const known = this.#find(label);
    return known !== undefined && known.at <= before && isTerminal(known.row.status);
  }

  /**
   * Begin from a state with this label, which shows the whole run of the label if `isShown`.
   *
   * `before` rows had come when it was requested: of those, other numberings are over.
   */
  begin(label: Label | undefined, isShown: boolean, before: number): void {
    this.epoch = label?.epoch;
    this.next = label ? label.number + Number(isShown) : 1;
    this.#keep(({ epoch, number, at }) => (epoch === this.epoch ? number >= this.next : at > before));
  }

  /** Tell whether nothing is new in a state with this label. */
  isShown(label: Label | undefined): boolean {
    return label?.epoch === this.epoch && (!label || label.number === this.next - 1);
  }

  // ── runs ─────────────────────────────────────────────────────────────────────────────────────

  /** Return the run to show next; undefined to wait for it; `missed` if it will not come any more. */
  following(): frames.RunRow | "missed" | undefined {
    const newest = this.#rows.at(-1);
    if (!newest) return undefined;
    if (this.epoch === undefined) {
      const { epoch } = newest;
      if (!this.find({ epoch, number: 1 })) return "missed";
      this.epoch = epoch;
      this.next = 1;
    }
    const { epoch, next: number } = this;
    if (this.#rows.some((known) => known.epoch !== epoch)) return "missed";
    return this.find({ epoch, number }) ?? "missed";
  }

  /** The next run was shown to its end. */
  done(): void {
    const { epoch = "", next: number } = this;
    this.#keep((known) => !isSame(known, { epoch, number }));
    this.next += 1;
  }

  #find(label: Label): Known | undefined {
    return this.#rows.find((known) => isSame(known, label));
  }

  #keep(isKept: (known: Known) => boolean): void {
    this.#rows = this.#rows.filter(isKept);
  }
}

/** Tell whether two labels name the same run. */
export function isSame(one: Label | undefined, other: Label | undefined): boolean {
  return one?.epoch === other?.epoch && one?.number === other?.number;
}

/** Tell whether a run with this status has ended. */
export function isTerminal(status: string | undefined): boolean {
  return (TERMINAL as readonly unknown[]).includes(status);
}

/** Return the label of a row, or of a state; undefined if no run of the thread has begun. */
export function labelOf({
  thread_epoch: epoch,
  thread_seq: number,
}: frames.RunRow | frames.Ok): Label | undefined {
  return epoch === undefined || number === undefined ? undefined : { epoch, number };
}
