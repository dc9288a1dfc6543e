/** Several runs, side by side, over the one socket of the page. */

import type { RunRow } from "graphwire";
import { memo } from "react";
import type { TitleOf } from "./listing";
import { RunPanel } from "./panel";

/** More panels than these are too small to read. */
export const MOST_ASIDE = 8;

interface Props {
  open: readonly string[];
  rows: readonly RunRow[];
  nameOf: TitleOf;
  onClose: (run: string) => void;
  /** Back to the list, where there is room for one of the two only. */
  onList: () => void;
}

export const Side = memo(function Side({ open, rows, nameOf, onClose, onList }: Props) {
  return (
    <section className="runs-side" aria-label="Runs at the side" data-count={open.length}>
      <button type="button" className="button runs-to-list" onClick={onList}>
        ‹ All runs
      </button>
      <h1>Open runs</h1>
      <div className="runs-panels">
        {open.map((id) => {
          const row = rows.find(({ run }) => run === id);
          return (
            <RunPanel key={id} id={id} row={row} name={row && nameOf(row)} onClose={() => onClose(id)} />
          );
        })}
      </div>
    </section>
  );
});
