/** The one connection of the console: all pages share it. */

import { type Client, connect } from "graphwire";
import { useSyncExternalStore } from "react";

/** Where the gateway is: beside this page. */
export const SERVER = new URL("./ws", location.href.replace(/^http/, "ws").replace(/[?#].*$/s, "")).href;

const KEPT = "graphwire.token";
const listeners = new Set<() => void>();

let client: Client = connect(SERVER, options());

function options() {
  const token = sessionStorage.getItem(KEPT) ?? localStorage.getItem(KEPT);
  return token ? { token } : {};
}

/** Connect anew with `token`; it is kept for this tab, or with `isKept` on this device. */
export function signIn(token: string, isKept = false): void {
  signedOut();
  (isKept ? localStorage : sessionStorage).setItem(KEPT, token);
  again();
}

/** Forget the token, and connect without one. */
export function signOut(): void {
  signedOut();
  again();
}

function signedOut(): void {
  sessionStorage.removeItem(KEPT);
  localStorage.removeItem(KEPT);
}

function again(): void {
  client.close();
  client = connect(SERVER, options());
  for (const listener of listeners) listener();
}

/** The client: another one after signing in or out. */
export function useClient(): Client {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => client,
  );
}
