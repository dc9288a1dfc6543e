/**
 * The address: which page is shown, and with what, is all in the part of the URL behind `#`.
 *
 *     #/runs?status=running,failed&graph=chat&open=ID,ID     #/run/ID     #/chat/GRAPH/THREAD     #/connection
 *
 * So a link, a reload, and "back" show what was shown, on whatever path a proxy serves the console.
 */

import { useSyncExternalStore } from "react";

export interface Address {
  /** The parts of the path, decoded: `["run", "ID"]`. */
  readonly path: readonly string[];
  readonly query: URLSearchParams;
}

/** Return what `hash` names. A part that is no valid encoding stays as it is. */
export function addressOf(hash: string): Address {
  const [path = "", query = ""] = hash.replace(/^#?\/?/, "").split(/\?(.*)/s);
  return { path: path.split("/").filter(Boolean).map(decoded), query: new URLSearchParams(query) };
}

/** Return the `href` of a page: `hrefOf(["run", id])`. Fields that are undefined or "" are left out. */
export function hrefOf(
  path: readonly string[],
  query: { readonly [field: string]: string | undefined } = {},
) {
  const fields = Object.entries(query).filter((field): field is [string, string] => !!field[1]);
  const behind = fields.length ? `?${new URLSearchParams(fields)}` : "";
  return `#/${path.map(encodeURIComponent).join("/")}${behind}`;
}

/** Go to a page; with `replace`, "back" leads to where the present page would lead. */
export function go(href: string, { replace = false } = {}): void {
  if (href === location.hash) return;
  if (replace) history.replaceState(null, "", href);
  else history.pushState(null, "", href);
  window.dispatchEvent(new HashChangeEvent("hashchange"));
}

let known: { hash: string; address: Address } | undefined;

function current(): Address {
  const { hash } = location;
  if (known?.hash !== hash) known = { hash, address: addressOf(hash) };
  return known.address;
}

function subscribe(listener: () => void): () => void {
  for (const event of ["hashchange", "popstate"]) window.addEventListener(event, listener);
  return () => {
    for (const event of ["hashchange", "popstate"]) window.removeEventListener(event, listener);
  };
}

/** The address, live. It stays the same object until it changes. */
export function useAddress(): Address {
  return useSyncExternalStore(subscribe, current);
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
