/** What narrows the list: the statuses with their counts, words, a graph, a thread, and the order. */

import type { Status } from "graphwire";
import { memo, type RefObject, useEffect, useState } from "react";
import { statusWord } from "../parts/status";
import { Text } from "../parts/text";
import type { Counts } from "./listing";
import { type Query, SORTS, type Sort, STATUSES, toggled } from "./query";

interface ChipsProps {
  counts: Counts;
  shown: readonly Status[];
  /** Tells of which statuses there are runs that are not counted. */
  isCut: (status: Status) => boolean;
  isKnown: boolean;
  onChange: (change: Partial<Query>) => void;
}

/** One switch for each status; none is all. The keys 1 to 6 do the same. */
export const Chips = memo(function Chips({ counts, shown, isCut, isKnown, onChange }: ChipsProps) {
  return (
    <fieldset className="runs-chips">
      <legend className="visually-hidden">Statuses</legend>
      {STATUSES.map((status, index) => (
        <button
          key={status}
          type="button"
          className="runs-chip"
          data-status={status}
          data-none={counts[status] === 0 || undefined}
          aria-pressed={shown.includes(status)}
          aria-keyshortcuts={String(index + 1)}
          title={`${statusWord(status)}: press ${index + 1}`}
          onClick={() => onChange({ status: toggled(shown, status) })}
        >
          <i className="runs-dot" aria-hidden="true" />
          {statusWord(status)} <b>{isKnown ? `${counts[status]}${isCut(status) ? "+" : ""}` : "–"}</b>
        </button>
      ))}
    </fieldset>
  );
});

interface FiltersProps {
  query: Query;
  graphs: readonly string[];
  search: RefObject<HTMLInputElement | null>;
  onChange: (change: Partial<Query>, options?: { replace: boolean }) => void;
}

export const Filters = memo(function Filters({ query, graphs, search, onChange }: FiltersProps) {
  const names = query.graph && !graphs.includes(query.graph) ? [...graphs, query.graph] : graphs;
  return (
    <div className="runs-filters">
      <Search text={query.text} input={search} onChange={(text) => onChange({ text }, { replace: true })} />
      <select
        className="input"
        aria-label="Graph"
        value={query.graph ?? ""}
        onChange={(event) => onChange({ graph: event.target.value || undefined })}
      >
        <option value="">All graphs</option>
        {names.map((name) => (
          <option key={name}>{name}</option>
        ))}
      </select>
      <select
        className="input"
        aria-label="Order"
        value={query.sort}
        onChange={(event) => onChange({ sort: event.target.value as Sort })}
      >
        {Object.entries(SORTS).map(([sort, name]) => (
          <option key={sort} value={sort}>
            {name}
          </option>
        ))}
      </select>
      {query.thread && (
        <span className="runs-thread">
          Thread <Text>{query.thread}</Text>
          <button
            type="button"
            className="icon-button"
            aria-label="Show all threads"
            onClick={() => onChange({ thread: undefined })}
          >
            ×
          </button>
        </span>
      )}
    </div>
  );
});

/** How long a pause in typing is. */
const PAUSE_MS = 150;

function Search(props: {
  text: string;
  input: RefObject<HTMLInputElement | null>;
  onChange: (text: string) => void;
}) {
  const { text, input, onChange } = props;
  const [typed, setTyped] = useState({ text, of: text });
  // The address changed otherwise, as by "back": it wins over what was typed before.
  if (typed.of !== text) setTyped({ text, of: text });
  useEffect(() => {
    if (typed.text === text) return;
    const timer = setTimeout(() => onChange(typed.text), PAUSE_MS);
    return () => clearTimeout(timer);
  });
  return (
    <input
      ref={input}
      type="search"
      className="input runs-search"
      aria-label="Search runs"
      aria-keyshortcuts="/"
      placeholder="Search id, title, metadata"
      spellCheck={false}
      autoComplete="off"
      value={typed.text}
      onChange={(event) => setTyped({ text: event.target.value, of: text })}
      onKeyDown={(event) => {
        if (event.key === "Escape" && typed.text) {
          event.stopPropagation();
          setTyped({ text: "", of: text });
        }
      }}
    />
  );
}
