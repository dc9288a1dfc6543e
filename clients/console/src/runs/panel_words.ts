/** What a panel says of what a run writes: the end of a message, a line of progress. */

/** A panel has room for about so many characters. */
const CHARACTERS = 1000;

/**
 * Return where the shown end of a text begins.
 *
 * It moves seldom, and in leaps: a text that only grows at its end is laid out there alone.
 */
export function endOf(text: string): number {
  const from = Math.max(0, Math.floor(text.length / CHARACTERS) - 1) * CHARACTERS;
  const isHalf = (text.charCodeAt(from) & 0xfc00) === 0xdc00;
  return isHalf ? from - 1 : from;
}

/** Return what a node wrote, in one line. */
export function lineOf(data: unknown): string {
  if (typeof data === "string") return data.slice(0, 300);
  const text =
    JSON.stringify(data, (_, each) => (typeof each === "bigint" ? String(each) : each)) ?? String(data);
  return text.length > 300 ? `${text.slice(0, 300)}…` : text;
}

/** Return how much is done, where a node says it as most do: `{done, total}`, `{progress}`, `{percent}`. */
export function shareOf(data: unknown): number | undefined {
  if (typeof data !== "object" || data === null) return undefined;
  const { done, current, step, total, progress, percent } = data as { [field: string]: unknown };
  const isNumber = (value: unknown): value is number => typeof value === "number" && Number.isFinite(value);
  const made = [done, current, step].find(isNumber);
  if (made !== undefined && isNumber(total) && total > 0) return Math.min(1, Math.max(0, made / total));
  if (isNumber(progress) && progress >= 0 && progress <= 1) return progress;
  return isNumber(percent) && percent >= 0 && percent <= 100 ? percent / 100 : undefined;
}
