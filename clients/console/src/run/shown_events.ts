/** Which events of a log are shown: a search over many thousands goes on in slices, so that no frame waits for it. */

import { useEffect, useRef, useSyncExternalStore } from "react";
import { type Entry, type RunLog, useLog, wireOf } from "./log";
import { contains } from "./size";

const SLICE_MS = 6;

export interface Shown {
  readonly shown: readonly Entry[];
  readonly isSearching: boolean;
}

/** Goes through the entries of a log behind the last one that it saw. */
export class EventSearch {
  #found: Entry[] = [];
  #list: readonly Entry[] = this.#found;
  #seen = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #listener: (() => void) | undefined;

  constructor(
    readonly log: RunLog,
    readonly modes: readonly string[],
    readonly text: string,
  ) {}

  /** The entries that match so far; the same object until there are more. */
  get shown(): readonly Entry[] {
    return this.#list;
  }

  /** Whether all entries were looked at. */
  get isDone(): boolean {
    return this.#seen >= this.log.taken;
  }

  /** Look at entries until there are no more, or for so long; return whether there are no more. */
  advance(sliceMs: number, now: () => number): boolean {
    const { entries, taken } = this.log;
    if (this.#seen > taken) {
      // The log was read from its beginning once more.
      this.#seen = 0;
      this.#found = [];
    }
    const dropped = taken - entries.length;
    const oldest = entries[0];
    if (oldest && this.#found[0] && this.#found[0] !== oldest && this.#seen < taken)
      this.#found = this.#found.filter(({ event }) => event.seq >= oldest.event.seq);
    const before = this.#found.length;
    const until = now() + sliceMs;
    this.#seen = Math.max(this.#seen, dropped);
    for (; this.#seen < taken; this.#seen += 1) {
      const entry = entries[this.#seen - dropped];
      if (entry && this.#matches(entry)) this.#found.push(entry);
      if (this.#seen % 64 === 63 && now() > until) {
        this.#seen += 1;
        break;
      }
    }
    if (this.#found.length !== before || this.#list.length !== this.#found.length)
      this.#list = [...this.#found];
    return this.isDone;
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listener = listener;
    return () => {
      this.#listener = undefined;
      clearTimeout(this.#timer);
      this.#timer = undefined;
    };
  };

  /** Go on with the search until it is done. */
  run(): void {
    if (this.#timer !== undefined) return;
    const slice = () => {
      this.#timer = undefined;
      const isDone = this.advance(SLICE_MS, () => performance.now());
      this.#listener?.();
      if (!isDone) this.#timer = setTimeout(slice);
    };
    slice();
  }

  #matches({ event }: Entry): boolean {
    if (this.modes.length && !this.modes.includes(event.mode)) return false;
    if (!this.text) return true;
    const name = `${event.seq} ${event.mode} ${event.namespace.join("/")} ${event.node ?? ""}`;
    return name.toLowerCase().includes(this.text) || contains(wireOf(event), this.text);
  }
}

/** The entries of a log that have one of `modes` (none is all) and hold `text`, which is in lower case. */
export function useShown(log: RunLog, modes: readonly string[], text: string): Shown {
  const version = useLog(log);
  const key = `${modes.join(",")}\n${text}`;
  const known = useRef<{ key: string; search: EventSearch } | undefined>(undefined);
  if (known.current?.key !== key || known.current.search.log !== log)
    known.current = { key, search: new EventSearch(log, modes, text) };
  const { search } = known.current;
  const shown = useSyncExternalStore(search.subscribe, () => search.shown);
  // The version says when there is more to look at.
  useEffect(() => search.run(), [search, version]);
  return { shown, isSearching: text !== "" && !search.isDone };
}
