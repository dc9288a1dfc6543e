/** What went wrong, in words for a person: what it is, and what to do about it. */

import { ConnectionClosed, Refused, RunFailed, Unauthenticated } from "graphwire";

/** `what` happened, what `todo`, and what is wrong `where`, if the server said so. */
export interface Words {
  readonly what: string;
  readonly todo: string | undefined;
  readonly where: readonly { readonly path: string; readonly reason: string }[];
}

const OF_CODE: { readonly [code: string]: readonly [what: string, todo: string] } = {
  busy: ["The thread has a run already", "Wait until it has ended, or cancel it, and try again."],
  conflict: ["It has changed in the meantime", "Look at its present state and try again."],
  draining: ["The server is about to stop and starts nothing new", "Try again once it is back."],
  forbidden: ["You are not allowed to do this", "Sign in as a user who is, or ask the operator."],
  internal: ["The server failed", "The operator finds more in the server’s log by the id below."],
  invalid_argument: [
    "The server does not accept what was sent",
    "Correct what is named below, and send it again.",
  ],
  invalid_filter: ["The server does not accept the filter", "Correct what is named below."],
  limit_exceeded: ["That is more than the server allows", "The page Connection lists its limits."],
  not_found: ["It does not exist", "It was deleted, it expired, or it belongs to another user."],
  rate_limited: ["Too many requests", "Try again in a few seconds."],
  too_large: [
    "It is too large to be sent",
    "Request less of it, or have the operator raise max_event_bytes.",
  ],
  unauthenticated: ["The server does not know who you are", "Sign in."],
  unavailable: ["The server could not do it now", "Try again."],
  unsupported: ["The server cannot do this", "The operator may be able to turn it on."],
};

/** Return the words for an error. */
export function wordsOf(error: Error): Words {
  if (error instanceof Refused) {
    const known = OF_CODE[error.code];
    const said = sentence(error.message.replace(` (${error.code})`, ""));
    const where = wrongIn(error.details.errors);
    // The server's own words say what it is about; ours say what kind of trouble that is.
    const id = error.details.error_id;
    const rest = `${known ? `${known[0]}. ` : ""}${said}${typeof id === "string" ? ` Its id: ${id}.` : ""}`;
    return { what: rest, todo: known?.[1], where };
  }
  if (error instanceof RunFailed) return failed(error);
  if (error instanceof Unauthenticated)
    return { what: "You are signed out.", todo: "Sign in again.", where: [] };
  if (error instanceof ConnectionClosed)
    return {
      what: `The connection is closed: ${sentence(error.reason)}`,
      todo: "Reload the page.",
      where: [],
    };
  if (error instanceof RangeError)
    return {
      what: `It is too large to be sent: ${sentence(error.message)}`,
      todo: "Send less at once.",
      where: [],
    };
  return { what: sentence(error.message || String(error)), todo: undefined, where: [] };
}

/** What to do about a run that failed for another reason than its graph's code. */
const OF_FAILURE: { readonly [code: string]: string } = {
  recursion_limit:
    "Look for a loop in the graph that does not end, or raise recursion_limit in the run’s config.",
  timeout: "The server’s limit max_run_s says how long a run may take.",
  limit_exceeded: "The page Connection lists the limits; the operator may raise them.",
  lost: "The server lost it, as in a restart. Run it again.",
};

/** The page says which run it is, and that it failed: what is left is why. */
function failed({ message, code, errorId }: RunFailed): Words {
  const why = message.replace(/^run \S+ failed with \w+: /, "").replace(/ \(error_id [^)]*\)$/, "");
  const log = errorId && `The server’s log has the traceback: look for ${errorId}.`;
  return { what: sentence(why), todo: OF_FAILURE[code] ?? log, where: [] };
}

function wrongIn(errors: unknown): Words["where"] {
  if (!Array.isArray(errors)) return [];
  return errors.flatMap((each: unknown) => {
    if (typeof each !== "object" || each === null) return [];
    const { path, reason } = each as { path?: unknown; reason?: unknown };
    return typeof reason === "string" ? [{ path: pathOf(path), reason }] : [];
  });
}

/** A path as a person knows it: without the parts of the frame that no person has written. */
function pathOf(path: unknown): string {
  return String(path ?? "").replace(/^(responses\[\d+\]\.value|input)\.?/, "");
}

function sentence(text: string): string {
  const trimmed = text.trim();
  return !trimmed || /[.!?…]$/.test(trimmed) ? trimmed : `${trimmed}.`;
}
