/** How long a run has taken, counting on once a second until it ends. */

import { useSyncExternalStore } from "react";
import { durationText } from "./duration";
import "./text.css";

const listeners = new Set<() => void>();
let timer: ReturnType<typeof setInterval> | undefined;
let now = Date.now();

/** One clock for all that count: 300 rows are rendered together, and a hidden page renders none. */
function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  timer ??= setInterval(() => {
    if (document.visibilityState === "hidden") return;
    now = Date.now();
    for (const each of listeners) each();
  }, 1000);
  return () => {
    listeners.delete(listener);
    if (listeners.size) return;
    clearInterval(timer);
    timer = undefined;
  };
}

/** The time from `from` to `to` (RFC 3339); without `to`, to now. Clocks that differ never show less than nothing. */
export function Elapsed({ from, to }: { from: string; to?: string | undefined }) {
  return to ? <Span ms={Date.parse(to) - Date.parse(from)} from={from} /> : <Live from={from} />;
}

function Live({ from }: { from: string }) {
  const start = Date.parse(from);
  const ms =
    useSyncExternalStore(subscribe, () => Math.floor(Math.max(0, Math.max(now, start) - start) / 1000)) *
    1000;
  return <Span ms={ms} from={from} isLive />;
}

function Span({ ms, from, isLive = false }: { ms: number; from: string; isLive?: boolean }) {
  if (!Number.isFinite(ms)) return <span className="elapsed">–</span>;
  return (
    <time className="elapsed" dateTime={from} title={`since ${new Date(from).toLocaleString()}`}>
      {durationText(ms, isLive)}
    </time>
  );
}
