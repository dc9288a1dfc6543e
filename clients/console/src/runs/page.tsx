/** All runs, live: find them, answer them, end them, and open some side by side. */

import type { RunRow, Status } from "graphwire";
import { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "react";
import { go, hrefOf, useAddress } from "../address";
import { useClient } from "../client";
import { useTitles } from "../parts/titles";
import { useBoard } from "./board";
import { type Bulk, BulkDialog } from "./bulk_dialog";
import { Chips, Filters } from "./filters";
import { useGraphs } from "./graphs";
import { KeyList } from "./key_list";
import { useKeys } from "./keys";
import { List } from "./list";
import { listed, nameOf, needsYou } from "./listing";
import { Loading, NoMatch, NoRuns, Notices } from "./notices";
import { hrefOfRuns, isActive, isNarrow, type Query, queryOf, STATUSES, toggled } from "./query";
import type { Actions } from "./row";
import { NOTHING, type Step, stepped } from "./selection";
import { MOST_ASIDE, Side } from "./side";
import { StartDialog } from "./start";
import { merged } from "./steady";
import { ListActions, SelectionBar } from "./toolbar";
import "./runs.css";
import "./list.css";
import "./bulk.css";
import "./side.css";
import "./narrow.css";

export function RunsPage() {
  const client = useClient();
  const address = useAddress();
  const query = useMemo(() => queryOf(address.query), [address.query]);
  const board = useBoard(client, query);
  const graphs = useGraphs(client);
  const titles = useTitles(client);
  const titleOf = useCallback((row: RunRow) => nameOf(row, titles.of(row.graph, row.thread)), [titles]);
  const { rows, counts } = useMemo(() => listed(board.rows, query, titleOf), [board.rows, query, titleOf]);
  const [selection, setSelection] = useState(NOTHING);
  const [answering, setAnswering] = useState<ReadonlySet<string>>(NOTHING.ids);
  const [bulk, setBulk] = useState<Bulk>();
  const [isStarting, setStarting] = useState(false);
  const [isKeysOpen, setKeysOpen] = useState(false);
  const [wanted, setWanted] = useState<{ readonly run: string }>();
  const [said, setSaid] = useState("");
  const [view, setView] = useState<"list" | "side">("list");
  const grid = useRef<HTMLDivElement>(null);
  const search = useRef<HTMLInputElement>(null);

  // What events do is about the page as it is then: these are the latest of all.
  const now = useRef({ query, rows, selection, answering, board, said });
  useLayoutEffect(() => {
    now.current = { query, rows, selection, answering, board, said };
  });

  const change = useCallback((change: Partial<Query>, options?: { replace: boolean }) => {
    go(hrefOfRuns({ ...now.current.query, ...change }), options);
  }, []);
  const step = useCallback((step: Step) => {
    const list = now.current.rows.map(({ run }) => run);
    setSelection((selection) => stepped(selection, step, list));
  }, []);
  const showAside = useCallback(
    (run: string) => {
      const { open } = now.current.query;
      if (!open.includes(run) && open.length >= MOST_ASIDE)
        return setSaid(`${MOST_ASIDE} runs are open at the side. Close one of them first.`);
      if (!open.includes(run)) setView("side");
      change({ open: toggled(open, run) });
    },
    [change],
  );
  const actions = useMemo(
    (): Actions => ({
      select: (id, isRange) => step({ to: isRange ? "range" : "toggle", id }),
      focus: (id) => step({ to: "current", id }),
      aside: showAside,
      answer: (run, isOpen) =>
        setAnswering(
          (answering) => new Set(isOpen ? [...answering, run] : [...answering].filter((id) => id !== run)),
        ),
      answered: (run) => {
        setSaid("The answer is sent.");
        const { rows } = now.current;
        if ((rows.find((row) => row.run === run)?.interrupts?.length ?? 0) > 1) return;
        // The keyboard goes to what waits next; the answered run goes elsewhere in the list.
        const next = rows.find((row) => needsYou(row) && row.run !== run)?.run ?? run;
        step({ to: "current", id: next });
        setWanted({ run: next });
      },
      end: (rows, what) => setBulk({ what, rows }),
      thread: ({ graph, thread }) => change({ graph, thread }),
    }),
    [step, showAside, change],
  );

  useKeys({
    step: (next) => {
      step(next);
      if (next.to !== "move") return;
      const list = rows.map(({ run }) => run);
      const run = stepped(selection, next, list).current;
      if (run !== undefined) setWanted({ run });
    },
    act: (what) => {
      const row = rows.find(({ run }) => run === selection.current);
      if (!row) return;
      const { run } = row;
      if (what === "select") actions.select(run, false);
      else if (what === "open") go(hrefOf(["run", run]));
      else if (what === "aside") actions.aside(run);
      else if (needsYou(row)) actions.answer(run, !answering.has(run));
    },
    status: (index) => change({ status: toggled(query.status, STATUSES[index]!) }),
    search: () => search.current?.focus(),
  });

  const known = board.rows;
  useEffect(() => {
    if (!board.isSynced) return;
    const runs = new Map(known.map((row) => [row.run, row]));
    setSelection((selection) => stepped(selection, { to: "keep", known: runs }, []));
    setAnswering((answering) => {
      const kept = [...answering].filter((run) => runs.get(run)?.status === "interrupted");
      return kept.length === answering.size ? answering : new Set(kept);
    });
  }, [known, board.isSynced]);

  // In the order of the list; what the filter leaves out comes last.
  const selected = useMemo(
    () => merged(rows, known).filter(({ run }) => selection.ids.has(run)),
    [rows, known, selection.ids],
  );
  const isEmpty = board.isSynced && !known.length && !isNarrow(query);
  const onEnded = useCallback(
    (what: "cancel" | "delete", runs: readonly string[]) => {
      if (what === "delete") {
        board.older.forget(runs);
        const { open } = now.current.query;
        if (open.some((run) => runs.includes(run)))
          change({ open: open.filter((run) => !runs.includes(run)) });
      }
      setSaid(
        `${runs.length} ${runs.length === 1 ? "run is" : "runs are"} ${what === "delete" ? "deleted" : "cancelled"}.`,
      );
    },
    [board.older.forget, change],
  );

  const showList = useCallback(() => setView("list"), []);
  const showKeys = useCallback(() => setKeysOpen(true), []);
  const start = useCallback(() => setStarting(true), []);
  const closeAside = useCallback(
    (run: string) => change({ open: now.current.query.open.filter((id) => id !== run) }),
    [change],
  );
  const { left, hasAllActive } = board;
  const isCut = useCallback(
    (status: Status) => left > 0 && !(hasAllActive && isActive({ status })),
    [left, hasAllActive],
  );
  const endListed = useCallback((what: Bulk["what"]) => {
    const { rows, query, board } = now.current;
    const listedRows = rows.filter((row) => isActive(row) === (what === "cancel"));
    // The server knows of runs that are not listed here.
    const all = what === "cancel" && !board.hasAllActive ? query : undefined;
    setBulk({ what, rows: listedRows, all });
  }, []);

  return (
    <div
      className="runs"
      data-view={query.open.length ? view : "list"}
      data-aside={query.open.length || undefined}
    >
      <div className="runs-main">
        <div className="runs-top">
          <h1>Runs</h1>
          <Filters query={query} graphs={graphs.names} search={search} onChange={change} />
          <ListActions rows={rows} query={query} onEnd={endListed} onStart={start} onKeys={showKeys} />
          <Chips
            counts={counts}
            shown={query.status}
            isCut={isCut}
            isKnown={board.isSynced || known.length > 0}
            onChange={change}
          />
          {query.open.length > 0 && (
            <button type="button" className="button runs-to-side" onClick={() => setView("side")}>
              At the side ({query.open.length})
            </button>
          )}
        </div>
        <Notices board={board} query={query} />
        {rows.length > 0 ? (
          <List
            rows={rows}
            nameOf={titleOf}
            selection={selection}
            open={query.open}
            answering={answering}
            rates={board.rates}
            actions={actions}
            isStale={!board.isSynced}
            wanted={wanted}
            grid={grid}
          />
        ) : board.error ? null : isEmpty ? (
          <NoRuns graph={graphs.names[0]} onStart={start} />
        ) : board.isSynced ? (
          <NoMatch query={query} onClear={() => go(hrefOfRuns({ open: query.open }))} />
        ) : (
          <Loading />
        )}
        {selected.length > 0 && (
          <SelectionBar
            rows={selected}
            listed={rows}
            onEnd={actions.end}
            onAside={(runs) => {
              const open = [...new Set([...query.open, ...runs])].slice(0, MOST_ASIDE);
              change({ open });
              setView("side");
            }}
            onClear={() => step({ to: "none" })}
          />
        )}
      </div>
      {query.open.length > 0 && (
        <Side open={query.open} rows={known} nameOf={titleOf} onClose={closeAside} onList={showList} />
      )}
      <p role="status" className="visually-hidden">
        {said}
      </p>
      {bulk && (
        <BulkDialog bulk={bulk} nameOf={titleOf} onEnded={onEnded} onClose={() => setBulk(undefined)} />
      )}
      {isKeysOpen && <KeyList onClose={() => setKeysOpen(false)} />}
      {isStarting && (
        <StartDialog
          graphs={graphs}
          graph={query.graph}
          onClose={() => setStarting(false)}
          onStarted={(run) => {
            setStarting(false);
            if (!now.current.query.open.includes(run)) showAside(run);
          }}
        />
      )}
    </div>
  );
}
