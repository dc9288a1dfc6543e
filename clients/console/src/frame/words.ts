/** The state of the connection in words: what is so, what happens now, and what somebody may have to do. */

import type { Connection } from "graphwire";

/** What is known beside the state. */
export interface Known {
  /** Whether this page was ever connected. */
  readonly wasConnected: boolean;
  /** Whether the server said that it would stop. */
  readonly isDraining: boolean;
  /** What the server's health check says; undefined before it was asked. */
  readonly health: Health | undefined;
  readonly origin: string;
}

/** `away`: nothing answers. `draining`: it is about to stop. `up`: it is there, so its WebSocket is what fails. */
export type Health = "away" | "draining" | "up" | "other";

/** A word for the bar, a title, what happens next, and what somebody can do. */
export interface Words {
  readonly word: string;
  readonly title: string;
  readonly now: string;
  readonly todo: string | undefined;
}

/** Return the close code that a reason names; undefined if the connection ended otherwise. */
export function codeOf(reason: string): number | undefined {
  const found = /close code (\d+)/.exec(reason);
  return found ? Number(found[1]) : undefined;
}

const GOES_ON = "Runs continue on the server. What you miss is loaded when the connection is back.";
const OWN_TIME = "This page retries by itself.";

/** Return the words for a connection. */
export function connectionWords(connection: Connection, known: Known): Words {
  switch (connection.state) {
    case "connected":
      return known.isDraining
        ? {
            word: "Stopping",
            title: "The server is about to stop.",
            now: `It starts no new runs. ${OWN_TIME}`,
            todo: undefined,
          }
        : { word: "Connected", title: "Connected", now: "", todo: undefined };
    case "connecting":
      return {
        word: known.wasConnected ? "Reconnecting" : "Connecting",
        title: known.wasConnected ? "Connecting again." : "Connecting.",
        now: known.wasConnected ? GOES_ON : "",
        todo: undefined,
      };
    case "waiting":
      return waiting(connection.reason, known);
    default:
      return closed(connection.error.code, connection.reason, known);
  }
}

function waiting(reason: string, known: Known): Words {
  const word = "Reconnecting";
  const now = known.wasConnected ? GOES_ON : OWN_TIME;
  const code = codeOf(reason);
  if (code === 4429)
    return {
      word,
      title: "There are too many connections.",
      now,
      todo: "Close other tabs of this console.",
    };
  if (code === 1012 || known.health === "draining")
    return { word, title: "The server is restarting.", now, todo: undefined };
  if (code === 1013) return { word, title: "The server is too busy.", now, todo: undefined };
  if (code === 1009)
    return {
      word,
      title: "A message was too large for the server.",
      now: "Only that request failed.",
      todo: undefined,
    };
  if (known.health === "up")
    return {
      word,
      title: "The server answers, but does not accept this page’s WebSocket.",
      now,
      todo: "Either a proxy does not forward WebSockets, or the server has another version: reload the page.",
    };
  if (known.health === "other")
    return {
      word,
      title: "Something else answers at this address.",
      now,
      todo: "Check that graphwire still runs there.",
    };
  if (/nothing arrived/.test(reason))
    return { word, title: "The server does not respond.", now, todo: undefined };
  return {
    word,
    title: known.wasConnected ? "The connection is lost." : "The server cannot be reached.",
    now,
    todo: known.wasConnected ? undefined : "Start it with “graphwire serve”, or check its log.",
  };
}

function closed(code: number, reason: string, { origin }: Known): Words {
  const word = "Closed";
  switch (code) {
    case 4401:
      return { word: "Signed out", title: "The server requires a token.", now: "", todo: "Sign in." };
    case 4403:
      return {
        word,
        title: "This server does not accept connections from this address.",
        now: `The page was opened at ${origin}, which is not an origin that the server allows.`,
        todo: `The operator can allow it: graphwire serve --allow-origin ${origin}`,
      };
    case 4400:
      return {
        word,
        title: "The server and this page do not understand each other.",
        now: "They may be of different versions.",
        todo: "Reload the page. If that does not help, check the server’s log.",
      };
    default:
      return { word, title: "The connection is closed.", now: reason, todo: "Connect again." };
  }
}

let latest: { at: number; health: Promise<Health> } | undefined;

/** Return what the health check says; those who ask within a second share one answer. */
export function recentHealth(): Promise<Health> {
  const now = Date.now();
  if (!latest || now - latest.at > 1000) latest = { at: now, health: healthNow() };
  return latest.health;
}

/** Ask the server’s health check what is wrong. It is beside this page, and needs no WebSocket. */
export async function healthNow(fetcher: typeof fetch = fetch): Promise<Health> {
  try {
    const response = await fetcher("./readyz", { cache: "no-store" });
    const text = (await response.text()).trim();
    if (response.ok && text === "ready") return "up";
    if (response.status === 503 && text === "draining") return "draining";
    return response.status >= 500 ? "away" : "other";
  } catch {
    return "away";
  }
}
