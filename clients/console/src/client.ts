/** The one connection of the console: all pages share it. */

import { type Client, type Connection, connect } from "graphwire";
import { useSyncExternalStore } from "react";
import { Counted } from "./counted";
import { forget, keep, kept } from "./kept";

/** Where the gateway is: beside this page. */
export const SERVER = new URL("./ws", location.href.replace(/^http/, "ws").replace(/[?#].*$/s, "")).href;

const KEPT = "graphwire.token";
const KEPT_CHANGES = 50;

/** One state of the connection, and when it began. */
export interface Change {
  readonly at: number;
  readonly connection: Connection;
}

/** What the frame knows of the connection beside its state. */
export interface History {
  /** The latest states, the oldest first. */
  readonly changes: readonly Change[];
  /** How often the server has welcomed this page. */
  readonly connections: number;
  /** Whether the server has refused this page for want of a good token, and not welcomed it since. */
  readonly isRefused: boolean;
  /** Whether there is a token to sign out of. */
  readonly hasToken: boolean;
}

const listeners = new Set<() => void>();
let history: History = { changes: [], connections: 0, isRefused: false, hasToken: kept(KEPT) !== undefined };
let client: Client = connected();

function connected(): Client {
  const token = kept(KEPT);
  const made = connect(SERVER, {
    ...(token ? { token } : {}),
    webSocket: Counted,
    onState: (connection) => {
      if (made === client) changed(connection);
    },
  });
  return made;
}

function changed(connection: Connection): void {
  const { changes, connections, isRefused } = history;
  const isConnected = connection.state === "connected";
  history = {
    changes: [...changes.slice(1 - KEPT_CHANGES), { at: Date.now(), connection }],
    connections: connections + (isConnected ? 1 : 0),
    isRefused:
      !isConnected && (isRefused || (connection.state === "closed" && connection.error.code === 4401)),
    hasToken: kept(KEPT) !== undefined,
  };
  for (const listener of listeners) listener();
}

/** Connect anew with `token`; it is kept for this tab, or with `isKept` on this device. */
export function signIn(token: string, isKept = false): void {
  keep(KEPT, token, isKept ? "device" : "tab");
  again();
}

/** Forget the token, and connect without one. */
export function signOut(): void {
  forget(KEPT);
  again();
}

/** Give up the present connection for a new one. */
export function again(): void {
  client.close();
  client = connected();
  changed(client.connection);
}

/** End a wait for the next attempt: the client listens to this event, as it does when the network is back. */
export function tryNow(): void {
  window.dispatchEvent(new Event("online"));
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** The client: another one after signing in or out. */
export function useClient(): Client {
  return useSyncExternalStore(subscribe, () => client);
}

/** How the connection has fared since the page was loaded. */
export function useHistory(): History {
  return useSyncExternalStore(subscribe, () => history);
}
