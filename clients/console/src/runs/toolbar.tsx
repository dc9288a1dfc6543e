/** What is done to many runs at once. */

import type { RunRow } from "graphwire";
import { memo } from "react";
import { Menu } from "../parts/menu";
import { isActive, isNarrow, type Query } from "./query";

interface ListProps {
  rows: readonly RunRow[];
  query: Query;
  onEnd: (what: "cancel" | "delete") => void;
  onStart: () => void;
  onKeys: () => void;
}

/** Actions on all that the list shows. */
export const ListActions = memo(function ListActions({ rows, query, onEnd, onStart, onKeys }: ListProps) {
  const active = rows.filter(isActive).length;
  const ended = rows.length - active;
  const which = isNarrow(query) ? "that match" : "";
  const items = [
    ...(active
      ? [{ label: `Cancel all ${which || "that run"}…`, onSelect: () => onEnd("cancel"), danger: true }]
      : []),
    ...(ended
      ? [
          {
            label: `Delete the ${ended} ended ${which}…`.replace(" …", "…"),
            onSelect: () => onEnd("delete"),
            danger: true,
          },
        ]
      : []),
  ];
  return (
    <div className="runs-list-actions">
      <Menu
        label="All runs of the list"
        items={[...items, { label: "Keys of this page…", onSelect: onKeys }]}
      />
      <button type="button" className="button button-main" onClick={onStart}>
        Start a run
      </button>
    </div>
  );
});

interface BarProps {
  rows: readonly RunRow[];
  listed: readonly RunRow[];
  onEnd: (rows: readonly RunRow[], what: "cancel" | "delete") => void;
  onAside: (runs: readonly string[]) => void;
  onClear: () => void;
}

/** Actions on the selected runs. */
export function SelectionBar({ rows, listed, onEnd, onAside, onClear }: BarProps) {
  const shown = new Set(listed.map(({ run }) => run));
  const active = rows.filter(isActive).length;
  const ended = rows.length - active;
  const hidden = rows.filter(({ run }) => !shown.has(run)).length;
  return (
    <section className="runs-selected" aria-label="Selected runs">
      <p>
        <b>{rows.length}</b> selected{hidden > 0 && `, ${hidden} not in the list`}
      </p>
      <button type="button" className="button" onClick={() => onAside(rows.map(({ run }) => run))}>
        Open at the side
      </button>
      {active > 0 && (
        <button type="button" className="button button-danger" onClick={() => onEnd(rows, "cancel")}>
          Cancel {active}
        </button>
      )}
      {ended > 0 && (
        <button type="button" className="button button-danger" onClick={() => onEnd(rows, "delete")}>
          Delete {ended}
        </button>
      )}
      <button
        type="button"
        className="icon-button"
        aria-label="Select none"
        title="Select none (Esc)"
        onClick={onClear}
      >
        ×
      </button>
    </section>
  );
}
