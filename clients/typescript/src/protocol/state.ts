/** Where a connection and a subscription stand. */

/** `opening` until the server's welcome. */
export type ConnectionState = "closed" | "opening" | "open";

/**
 * `requested` until the server's reply, `live` once it sends events as they happen; `gapped` and `live_gapped`
 * between a gap and its snapshot.
 */
export type SubscriptionState = "requested" | "replaying" | "live" | "gapped" | "live_gapped";

/** A frame that is illegal here: the server, or something between, is at fault. */
export class OutOfStep extends Error {}

/**
 * Return the state of a subscription behind a frame of type `type`. Throws `OutOfStep`.
 *
 * This is the protocol's table `SUBSCRIPTION` in fewer words; a test compares the two.
 */
export function advance(state: SubscriptionState, type: string): SubscriptionState {
  if (!/^(event|gap|snapshot|synced|mark|closed)$/.test(type)) return state; // a type of a later version
  const isGapped = state.endsWith("gapped");
  const isLegal = isGapped ? /snapshot|closed/ : state === "live" ? /event|gap|mark|closed/ : /./;
  if (!isLegal.test(type)) throw new OutOfStep(`${type} while ${state}`);
  if (type === "gap") return state === "live" ? "live_gapped" : "gapped";
  if (type === "synced" || state === "live_gapped") return "live";
  return isGapped ? "replaying" : state;
}
