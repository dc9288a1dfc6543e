/** The status of a run, or of a thread, as a chip: a word, and a dot in its colour. */

import "./status.css";

const WORDS: { readonly [status: string]: string } = {
  queued: "Queued",
  running: "Running",
  interrupted: "Waits for you",
  completed: "Completed",
  failed: "Failed",
  cancelled: "Cancelled",
  idle: "Idle",
};

/** Return the word for a status; one that this version does not know is its own word. */
export function statusWord(status: string | undefined): string {
  return status === undefined ? "Not known yet" : (WORDS[status] ?? status);
}

/** The chip. Colour is never the only sign: the word is always there. */
export function Status({ status }: { status: string | undefined }) {
  const known = status !== undefined && status in WORDS ? status : "unknown";
  return <span className={`status status-${known}`}>{statusWord(status)}</span>;
}
