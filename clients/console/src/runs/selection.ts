/** Which runs are selected, and where the keyboard is: pure steps over the list as it is shown. */

export interface Selection {
  readonly ids: ReadonlySet<string>;
  /** The row that has the keyboard; undefined before the first. */
  readonly current: string | undefined;
  /** Where a range begins: the row that was selected last without Shift. */
  readonly anchor: string | undefined;
}

export const NOTHING: Selection = { ids: new Set(), current: undefined, anchor: undefined };

/** A step over `list`, the ids that are shown, in their order. */
export type Step =
  | { readonly to: "toggle"; readonly id: string }
  | { readonly to: "range"; readonly id: string }
  | { readonly to: "all" }
  | { readonly to: "none" }
  /** `by` rows down; Infinity is the last row. `isRange` selects all rows on the way. */
  | { readonly to: "move"; readonly by: number; readonly isRange?: boolean }
  | { readonly to: "current"; readonly id: string }
  /** Forget runs that are no longer there; those that the filter leaves out are there. */
  | { readonly to: "keep"; readonly known: { has(id: string): boolean } };

export function stepped(selection: Selection, step: Step, list: readonly string[]): Selection {
  const { ids, current, anchor } = selection;
  switch (step.to) {
    case "toggle": {
      const next = new Set(ids);
      if (!next.delete(step.id)) next.add(step.id);
      return { ids: next, current: step.id, anchor: step.id };
    }
    case "range":
      return ranged(selection, anchor ?? current ?? step.id, step.id, list);
    case "all":
      return { ...selection, ids: new Set(list) };
    case "none":
      return { ...selection, ids: NOTHING.ids, anchor: undefined };
    case "current":
      return current === step.id ? selection : { ...selection, current: step.id };
    case "move": {
      if (!list.length) return selection;
      const at = current === undefined ? -1 : list.indexOf(current);
      const to = at < 0 ? (step.by === Number.POSITIVE_INFINITY ? list.length - 1 : 0) : at + step.by;
      const id = list[Math.min(list.length - 1, Math.max(0, to))]!;
      if (!step.isRange) return id === current ? selection : { ...selection, current: id };
      return ranged(selection, anchor ?? current ?? id, id, list);
    }
    case "keep": {
      const kept = [...ids].filter((id) => step.known.has(id));
      return kept.length === ids.size ? selection : { ...selection, ids: new Set(kept) };
    }
  }
}

/** Select all rows between two, beside what is selected. */
function ranged(selection: Selection, from: string, to: string, list: readonly string[]): Selection {
  const [a, b] = [list.indexOf(from), list.indexOf(to)];
  if (b < 0) return selection;
  const [first, last] = a < 0 ? [b, b] : [Math.min(a, b), Math.max(a, b)];
  return {
    ids: new Set([...selection.ids, ...list.slice(first, last + 1)]),
    current: to,
    anchor: a < 0 ? to : from,
  };
}
