/**
 * The rows of a watch, kept steady: a row stays the same object while only its `head` grows.
 *
 * Runs that stream change their `head` each second. Only the sparklines want to know, and they look by themselves, at
 * `latest`; the list renders when a run comes, goes, or changes otherwise.
 */

import type { RunRow } from "graphwire";
import type { WatchState } from "graphwire/react";

/** Fields that never change in one run, and the one that changes always. */
const CALM = new Set(["head", "metadata", "modes"]);

export class Steady {
  /** The rows as they came last. */
  latest: readonly RunRow[] = [];
  #kept = new Map<string, RunRow>();
  #rows: readonly RunRow[] = [];

  /** Select from a watch: the same rows, in the same list, until one of them changes. */
  readonly select = (watch: WatchState): WatchState => ({ ...watch, rows: this.rows(watch.rows) });

  rows(latest: readonly RunRow[]): readonly RunRow[] {
    if (latest === this.latest) return this.#rows;
    this.latest = latest;
    const before = this.#rows;
    const kept = new Map<string, RunRow>();
    const rows = latest.map((row) => {
      const old = this.#kept.get(row.run);
      const now = old && isSameButHead(old, row) ? old : row;
      kept.set(row.run, now);
      return now;
    });
    this.#kept = kept;
    if (rows.length !== before.length || rows.some((row, index) => row !== before[index])) this.#rows = rows;
    return this.#rows;
  }
}

/** Tell whether two rows say the same but for how far the log has come. */
export function isSameButHead(a: RunRow, b: RunRow): boolean {
  if (a === b) return true;
  const fields = new Set([...Object.keys(a), ...Object.keys(b)]) as Set<keyof RunRow>;
  for (const field of fields) {
    if (CALM.has(field) && a.epoch === b.epoch) continue;
    const [left, right] = [a[field], b[field]];
    if (left !== right && !isSameData(left, right)) return false;
  }
  return true;
}

function isSameData(a: unknown, b: unknown): boolean {
  return typeof a === "object" && typeof b === "object" && textOf(a) === textOf(b);
}

/** Answers may hold what JSON has no word for; two of them that look alike here are shown alike. */
function textOf(value: unknown): string {
  return JSON.stringify(value, (_, each) => {
    if (typeof each === "bigint") return `${each}n`;
    if (each instanceof Map || each instanceof Set) return [each.constructor.name, ...each];
    return each;
  });
}

/** Return all rows, each run once; an earlier list knows better. */
export function merged(...lists: readonly (readonly RunRow[])[]): readonly RunRow[] {
  const [first = [], ...others] = lists.filter((list) => list.length);
  if (!others.length) return first;
  const runs = new Map<string, RunRow>();
  for (const row of [first, ...others].flat()) if (!runs.has(row.run)) runs.set(row.run, row);
  return [...runs.values()];
}
