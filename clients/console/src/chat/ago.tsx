/** How long ago something was, as people say it. All of a page are renewed at once, twice a minute. */

import { useSyncExternalStore } from "react";

const listeners = new Set<() => void>();
let now = Date.now();
let timer: ReturnType<typeof setInterval> | undefined;

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  now = Date.now();
  timer ??= setInterval(() => {
    now = Date.now();
    for (const each of listeners) each();
  }, 30_000);
  return () => {
    listeners.delete(listener);
    if (listeners.size) return;
    clearInterval(timer);
    timer = undefined;
  };
}

/** Return the time between two moments, in milliseconds since 1970, in few letters. */
export function agoOf(at: number, present: number): string {
  const minutes = Math.floor((present - at) / 60_000);
  if (!(minutes >= 1)) return "now";
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return `${hours} h`;
  const days = Math.floor(hours / 24);
  return days < 30 ? `${days} d` : new Date(at).toISOString().slice(0, 10);
}

export function Ago({ at }: { at: string }) {
  const present = useSyncExternalStore(subscribe, () => now);
  const moment = Date.parse(at);
  return (
    <time dateTime={at} title={new Date(moment).toLocaleString()}>
      {agoOf(moment, present)}
    </time>
  );
}
