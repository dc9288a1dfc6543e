/** The keys of the Runs page, wherever the keyboard is but in a field, a menu or a dialog. */

import { useEffect, useRef } from "react";
import { STATUSES } from "./query";
import type { Step } from "./selection";

export interface KeyActions {
  /** A step over the list, after which the current row has the keyboard if it moved. */
  step(step: Step): void;
  /** Something that is done to the current row. */
  act(what: "select" | "open" | "answer" | "aside"): void;
  status(index: number): void;
  search(): void;
}

/** Every key with what it does. */
export const KEYS: readonly (readonly [keys: string, does: string])[] = [
  ["j, ↓ / k, ↑", "next, previous run"],
  ["Home / End", "first, last run"],
  ["x", "select; Shift with arrows selects a range"],
  ["Ctrl A", "select all that are listed"],
  ["Esc", "select none"],
  ["Enter", "open the run"],
  ["o", "open at the side"],
  ["a", "answer what it asks"],
  ["1 – 6", "show a status"],
  ["/", "search"],
];

const PAGE = 10;
const MOVES: { readonly [key: string]: number } = {
  j: 1,
  ArrowDown: 1,
  k: -1,
  ArrowUp: -1,
  PageDown: PAGE,
  PageUp: -PAGE,
  Home: Number.NEGATIVE_INFINITY,
  End: Number.POSITIVE_INFINITY,
};

const DOES: { readonly [key: string]: "select" | "answer" | "aside" } = {
  x: "select",
  " ": "select",
  a: "answer",
  o: "aside",
};

type Key = Pick<KeyboardEvent, "key" | "ctrlKey" | "metaKey" | "altKey" | "shiftKey">;

/** Where the key was pressed: in a field or a dialog keys are text; on a button some of them press it. */
export type Place = "field" | "control" | "row" | "page";

/** Do what the key means; return whether it means anything. */
export function pressed(key: Key, place: Place, actions: KeyActions): boolean {
  if (place === "field") return false;
  const isAll = (key.ctrlKey || key.metaKey) && !key.altKey && key.key.toLowerCase() === "a";
  if (isAll) actions.step({ to: "all" });
  else if (key.ctrlKey || key.metaKey || key.altKey) return false;
  else if (Object.hasOwn(MOVES, key.key.length === 1 ? key.key.toLowerCase() : key.key)) {
    const by = MOVES[key.key.length === 1 ? key.key.toLowerCase() : key.key]!;
    actions.step({ to: "move", by, isRange: key.shiftKey });
  } else if (key.key === "Escape") actions.step({ to: "none" });
  else if (key.key === "Enter" && (place === "row" || place === "page")) actions.act("open");
  else if (DOES[key.key] && !(key.key === " " && place !== "row")) actions.act(DOES[key.key]!);
  else if (key.key >= "1" && key.key <= String(STATUSES.length)) actions.status(Number(key.key) - 1);
  else if (key.key === "/") actions.search();
  else return false;
  return true;
}

function placeOf(target: EventTarget | null): Place {
  if (!(target instanceof HTMLElement)) return "page";
  if (target.closest("[role=dialog], [role=alertdialog], [role=menu], [role=listbox]")) return "field";
  const isField = target.isContentEditable || target.matches("textarea, select, input:not([type=checkbox])");
  if (isField) return "field";
  if (target.matches("[role=row]")) return "row";
  return target.closest("a, button, label, input, summary") ? "control" : "page";
}

export function useKeys(actions: KeyActions): void {
  const latest = useRef(actions);
  useEffect(() => {
    latest.current = actions;
  });
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.defaultPrevented || event.isComposing) return;
      if (pressed(event, placeOf(event.target), latest.current)) event.preventDefault();
    };
    window.addEventListener("keydown", onKey);
    return () => window.removeEventListener("keydown", onKey);
  }, []);
}
