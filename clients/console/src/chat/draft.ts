/** What somebody has typed and not sent, kept in this tab for each thread. */

import { useCallback, useEffect, useState } from "react";

const keyOf = (graph: string, thread: string | undefined) =>
  `graphwire.draft ${JSON.stringify([graph, thread ?? ""])}`;

/** Return the draft of a thread. A full or forbidden storage loses drafts with the tab, and nothing else. */
export function readDraft(graph: string, thread: string | undefined): string {
  try {
    return sessionStorage.getItem(keyOf(graph, thread)) ?? "";
  } catch {
    return "";
  }
}

/** Keep the draft of a thread; an empty one is forgotten. */
export function keepDraft(graph: string, thread: string | undefined, text: string): void {
  try {
    if (text) sessionStorage.setItem(keyOf(graph, thread), text);
    else sessionStorage.removeItem(keyOf(graph, thread));
  } catch {
    // see readDraft
  }
}

/** The draft of a thread; undefined is the thread that begins with it. */
export function useDraft(graph: string, thread: string | undefined): [string, (text: string) => void] {
  const [text, setText] = useState(() => readDraft(graph, thread));
  useEffect(() => {
    keepDraft(graph, thread, text);
  }, [graph, thread, text]);
  return [text, useCallback((next: string) => setText(next), [])];
}
