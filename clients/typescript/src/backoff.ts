/**
 * How long to wait before connecting again: exponential backoff with full jitter.
 *
 * Attempt `n` (from 0) waits a random time between 0 and `firstMs * 2**n`, at most `longestMs`. Full jitter
 * spreads the clients that lost the same server. After a connection that lasted `steadyMs`, counting starts again.
 */
export interface Backoff {
  firstMs: number;
  longestMs: number;
  steadyMs: number;
  /** Returns a number in [0, 1). */
  random: () => number;
}

/** The waits of a client that names no others. */
export const BACKOFF: Backoff = { firstMs: 250, longestMs: 20_000, steadyMs: 5000, random: Math.random };

/** Return the milliseconds to wait before attempt `attempt` (from 0), beyond what the server asked for. */
export function delay(backoff: Backoff, attempt: number): number {
  return backoff.random() * Math.min(backoff.longestMs, backoff.firstMs * 2 ** attempt);
}
