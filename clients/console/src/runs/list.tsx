/** The list of runs: a grid of which only the visible rows, the one with the keyboard and those being answered exist. */

import { defaultRangeExtractor, type Range, useVirtualizer } from "@tanstack/react-virtual";
import type { RunRow } from "graphwire";
import { memo, type RefObject, useCallback, useEffect, useRef } from "react";
import { Cell, Grid, GridRow, RowGroup } from "./grid";
import type { TitleOf } from "./listing";
import type { Rates } from "./rates";
import { type Actions, Row } from "./row";
import type { Selection } from "./selection";

const ROW_PX = 44;
const OVERSCAN = 6;

interface Props {
  rows: readonly RunRow[];
  nameOf: TitleOf;
  selection: Selection;
  open: readonly string[];
  answering: ReadonlySet<string>;
  rates: Rates;
  actions: Actions;
  isStale: boolean;
  /** A row that is to have the keyboard: a new object asks for it. */
  wanted: { readonly run: string } | undefined;
  grid: RefObject<HTMLDivElement | null>;
}

export const List = memo(function List(props: Props) {
  const { rows, nameOf, selection, open, answering, rates, actions, isStale, wanted, grid } = props;
  const scroller = useRef<HTMLDivElement>(null);
  const { current } = selection;
  const rangeOf = useCallback(
    (range: Range) => {
      const shown = new Set(defaultRangeExtractor(range));
      rows.forEach(({ run }, index) => {
        if (run === current || answering.has(run)) shown.add(index);
      });
      return [...shown].sort((a, b) => a - b);
    },
    [rows, current, answering],
  );
  const list = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_PX,
    getItemKey: useCallback((index: number) => rows[index]?.run ?? index, [rows]),
    rangeExtractor: rangeOf,
    overscan: OVERSCAN,
    useFlushSync: false,
  });
  const latest = useRef(rows);
  useEffect(() => {
    latest.current = rows;
  });
  useEffect(() => {
    if (!wanted) return;
    const index = latest.current.findIndex(({ run }) => run === wanted.run);
    if (index < 0) return;
    list.scrollToIndex(index, { align: "auto" });
    rowIn(grid.current, wanted.run)?.focus({ preventScroll: true });
  }, [wanted, list, grid]);
  const first = rows[0]?.run;
  const hasCurrent = current !== undefined && rows.some(({ run }) => run === current);
  return (
    <div className="runs-scroll" ref={scroller} data-stale={isStale || undefined}>
      <Grid
        className="runs-grid"
        ref={grid}
        aria-label="Runs"
        aria-rowcount={rows.length + 1}
        aria-multiselectable="true"
        aria-busy={isStale}
      >
        <Head />
        <RowGroup className="runs-rows" style={{ height: list.getTotalSize() }}>
          {list.getVirtualItems().map(({ index, start, key }) => {
            const row = rows[index];
            if (!row) return null;
            const { run } = row;
            return (
              <div
                key={key}
                role="presentation"
                className="runs-place"
                ref={list.measureElement}
                data-index={index}
                style={{ transform: `translateY(${start}px)` }}
              >
                <Row
                  row={row}
                  name={nameOf(row)}
                  place={index + 1}
                  isSelected={selection.ids.has(run)}
                  hasKeys={run === (hasCurrent ? current : first)}
                  isAside={open.includes(run)}
                  isAnswering={answering.has(run)}
                  rates={rates}
                  actions={actions}
                />
              </div>
            );
          })}
        </RowGroup>
      </Grid>
    </div>
  );
});

/** Return the element of a run's row. */
export function rowIn(grid: HTMLElement | null, run: string): HTMLElement | undefined {
  return grid?.querySelector<HTMLElement>(`[data-run="${CSS.escape(run)}"]`) ?? undefined;
}

const HEADS = [
  ["check", "Selected"],
  ["status", "Status"],
  ["name", "Run"],
  ["graph", "Graph"],
  ["gist", "Question or reason"],
  ["rate", "Events a second"],
  ["time", "Time"],
  ["acts", "Actions"],
] as const;

function Head() {
  return (
    <RowGroup className="runs-head">
      <GridRow className="runs-row" aria-rowindex={1}>
        {HEADS.map(([name, title]) => (
          <Cell key={name} name={name} role="columnheader">
            <span className={HIDDEN.includes(name) ? "visually-hidden" : undefined}>{title}</span>
          </Cell>
        ))}
      </GridRow>
    </RowGroup>
  );
}

/** Columns whose names are for those who do not see them. */
const HIDDEN = ["check", "acts"];
