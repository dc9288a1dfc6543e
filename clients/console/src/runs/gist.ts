/** The one line that says what there is to know of a run beside its status. */

import type { Interrupt, RunRow } from "graphwire";

/** No row shows more characters than this. */
const LONGEST = 300;

/** Return what a row waits for, or why it ended so; "" if there is nothing to say. */
export function gistOf(row: RunRow): string {
  const { status, reason, error, attempt } = row;
  switch (status) {
    case "interrupted":
      return askedBy(row);
    case "failed":
      return short(
        error ? `${error.type ? `${error.type}: ` : ""}${error.message || error.code}` : (reason ?? ""),
      );
    case "cancelled":
      return reason ? short(reason) : "";
    case "queued":
      return row.thread ? "waits for its thread or for a free slot" : "waits for a free slot";
    case "running":
      return attempt > 1 ? `attempt ${attempt}` : "";
    default:
      return row.interrupts?.length ? "ended with a question: its graph keeps no threads" : "";
  }
}

function askedBy({ questions = [], interrupts = [] }: RunRow): string {
  const [first] = questions;
  if (!interrupts.length) return "paused at a breakpoint";
  const more = interrupts.length > 1 ? ` (and ${interrupts.length - 1} more)` : "";
  return (first ? questionText(first) : "asks a question that is too large for this list") + more;
}

/** Fields in which graphs put the sentence that a person reads. */
const SENTENCES = ["question", "message", "prompt", "text", "description", "title", "about"];

/** Return a question in one line. */
export function questionText({ value }: Interrupt): string {
  const size = cutSize(value);
  if (size !== undefined) return `a question of ${sizeText(size)}: open the run to read it`;
  if (typeof value === "string") return short(value);
  if (typeof value === "object" && value !== null && !(value instanceof Uint8Array)) {
    const fields = value as { readonly [field: string]: unknown };
    const found = SENTENCES.find((name) => typeof fields[name] === "string" && fields[name]);
    if (found) return short(fields[found] as string);
  }
  return short(asText(value));
}

/** Return the bytes of a question that a row has no room for; undefined if it is all there. */
export function cutSize(value: unknown): number | undefined {
  const cut = isObject(value) ? value.$cut : undefined;
  return isObject(cut) ? Number(cut.bytes) || 0 : undefined;
}

export function sizeText(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  return bytes < 1 << 20 ? `${Math.round(bytes / 1024)} KiB` : `${(bytes / (1 << 20)).toFixed(1)} MiB`;
}

function asText(value: unknown): string {
  if (typeof value === "bigint") return String(value);
  return JSON.stringify(value, (_, each) => (typeof each === "bigint" ? String(each) : each)) ?? "";
}

function short(text: string): string {
  const line = text
    .slice(0, LONGEST + 1)
    .replace(/\s+/g, " ")
    .trim();
  return line.length > LONGEST ? `${line.slice(0, LONGEST)}…` : line;
}

function isObject(value: unknown): value is { readonly [key: string]: unknown } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
