/** Keys that work on every page, and the list of them. */

import { lazy, Suspense, useEffect, useState } from "react";
import { go, hrefOf } from "../address";

const KeyList = lazy(async () => ({ default: (await import("./key_list")).KeyList }));

const PAGES: { readonly [key: string]: string } = { r: "runs", c: "chat", n: "connection" };
const BETWEEN_MS = 1200;

/** Listen to the keys; `onHelp` is asked for the list. */
export function useKeys(onHelp: () => void): void {
  useEffect(() => {
    let began = Number.NEGATIVE_INFINITY;
    const onKey = (event: KeyboardEvent) => {
      if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target))
        return;
      const isSecond = event.timeStamp - began < BETWEEN_MS;
      began = Number.NEGATIVE_INFINITY;
      const page = isSecond ? PAGES[event.key] : undefined;
      if (page) go(hrefOf([page]));
      else if (event.key === "g") began = event.timeStamp;
      else if (event.key === "?") onHelp();
      else if (event.key !== "/" || !search()) return;
      event.preventDefault();
    };
    window.addEventListener("keydown", onKey);
    return () => window.removeEventListener("keydown", onKey);
  }, [onHelp]);
}

function search(): boolean {
  const field = document.querySelector<HTMLInputElement>("main input[type=search]");
  field?.focus();
  field?.select();
  return field !== null;
}

/** Whether a key is meant for what has the focus. */
function isTyping(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  return (
    target.isContentEditable || target.closest("input, textarea, select, [role=dialog], [role=menu]") !== null
  );
}

/** `useKeys` with its list. */
export function useKeyList() {
  const [isOpen, setOpen] = useState(false);
  const [open] = useState(() => () => setOpen(true));
  useKeys(open);
  const list = isOpen && (
    <Suspense>
      <KeyList open onClose={() => setOpen(false)} />
    </Suspense>
  );
  return { open, list };
}
