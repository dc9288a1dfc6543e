/** Keys that work on every page, and the list of them. */

import { useEffect, useState } from "react";
import { go, hrefOf } from "../address";
import { Dialog } from "../parts/dialog";

const PAGES: { readonly [key: string]: string } = { r: "runs", c: "chat", n: "connection" };
const BETWEEN_MS = 1200;

const LIST: readonly (readonly [keys: string, what: string])[] = [
  ["g r", "Go to Runs"],
  ["g c", "Go to Chat"],
  ["g n", "Go to Connection"],
  ["/", "Search on this page"],
  ["?", "Show this list"],
  ["Esc", "Close what is open"],
  ["Tab", "Go to what can be pressed next"],
];

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

/** The list of keys. */
export function KeyList({ open, onClose }: { open: boolean; onClose: () => void }) {
  return (
    <Dialog title="Keys" open={open} onClose={onClose}>
      <dl className="keys">
        {LIST.map(([keys, what]) => (
          <div key={keys}>
            <dt>
              {keys.split(" ").map((key) => (
                <kbd key={key}>{key}</kbd>
              ))}
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
    </Dialog>
  );
}

/** `useKeys` with its list. */
export function useKeyList() {
  const [isOpen, setOpen] = useState(false);
  const [open] = useState(() => () => setOpen(true));
  useKeys(open);
  return { open, list: <KeyList open={isOpen} onClose={() => setOpen(false)} /> };
}
