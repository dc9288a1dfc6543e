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
  conflict: ["Somebody else was faster, or it has changed meanwhile", "Look at how it stands now."],
  draining: ["The server is about to stop and starts nothing new", "Try again once it is back."],
  forbidden: ["You may not do this", "Sign in as somebody who may, or ask the operator."],
  internal: ["The server failed", "The operator finds more in the server’s log by the id below."],
  invalid_argument: [
    "The server does not accept what was sent",
    "Correct what is named below, and send it again.",
  ],
  invalid_filter: ["The server does not accept the filter", "Correct what is named below."],
  limit_exceeded: ["That is more than the server allows", "The page Connection lists its limits."],
  not_found: ["It is not there", "It was deleted or forgotten, or it belongs to somebody else."],
  rate_limited: ["The server asks for a pause", "Try again in a few seconds."],
  too_large: [
    "It is too large to be sent",
    "Ask for less of it, or have the operator raise max_event_bytes.",
  ],
  unauthenticated: ["The server does not know who you are", "Sign in."],
  unavailable: ["The server could not do it now", "Try again."],
  unsupported: ["The server cannot do this", "The operator may be able to turn it on."],
};

/** What to do about a run that failed for another reason than its graph's code. */
const OF_END: { readonly [code: string]: string } = {
  limit_exceeded: "The page Connection lists the limits; the operator may raise them.",
  lost: "The server lost it, as in a restart. Run it again.",
  recursion_limit: "Let the graph end earlier, or raise recursion_limit in the run’s config.",
  timeout: "The page Connection lists how long a run may take (max_run_s).",
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
  if (error instanceof RunFailed) {
    const { errorId: id } = error;
    const more = id && `The server’s log has more under ${id}: where it failed, and the traceback.`;
    return { what: sentence(error.message), todo: OF_END[error.code] ?? more, where: [] };
  }
  if (error instanceof Unauthenticated)
    return { what: "You are signed out.", todo: "Sign in again.", where: [] };
  if (error instanceof ConnectionClosed)
    return {
      what: `The connection is closed: ${sentence(error.reason)}`,
      todo: "Load the page again.",
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
