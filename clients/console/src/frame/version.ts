/**
 * Whether the server serves another build of the console than this tab shows.
 *
 * A tab stays open while its server is replaced. The parts that it has not loaded yet are gone then: they have the
 * names of its own build. So it asks after each reconnect, and when a part cannot be loaded.
 */

import { useEffect, useSyncExternalStore } from "react";

const listeners = new Set<() => void>();
let isOutdated = false;

/** Return the name of the script with which a page of the console begins, which each build changes. */
export function buildIn(html: string): string | undefined {
  return /<script[^>]*\ssrc="\.\/(assets\/[^"]+)"/.exec(html)?.[1];
}

/** Ask the server for its page, and compare. */
async function check(): Promise<void> {
  const own = buildIn(document.head.innerHTML);
  if (own === undefined || isOutdated) return; // a development server replaces the parts by itself
  try {
    const response = await fetch("./", { cache: "no-store" });
    const theirs = response.ok ? buildIn(await response.text()) : undefined;
    if (theirs === undefined || theirs === own) return;
  } catch {
    return; // the server is away, and the banner says so
  }
  isOutdated = true;
  for (const listener of listeners) listener();
}

window.addEventListener("vite:preloadError", () => void check());

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Whether a reload would show a newer console. `connections` counts how often the server has welcomed this page. */
export function useOutdated(connections: number): boolean {
  useEffect(() => {
    if (connections > 1) void check();
  }, [connections]);
  return useSyncExternalStore(subscribe, () => isOutdated);
}
