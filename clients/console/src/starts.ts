/**
 * What this browser has started: the input of each run, for "run again".
 *
 * A server keeps no inputs. This tab does: all of them in memory, and those that JSON can hold in the session storage,
 * so that they outlive a reload. The oldest go first.
 */

/** What a run was started with. */
export interface Start {
  readonly graph: string;
  readonly input: unknown;
}

const KEPT = "graphwire.starts";
const MOST = 100;
/** Larger inputs are kept in memory only: the session storage has room for some 5 million characters in all. */
const LONGEST = 200_000;

const starts = new Map<string, Start>();

/** Keep what a run of `graph` was started with. Call it wherever the console starts a run. */
export function remember(run: string, graph: string, input: unknown): void {
  keep(run, { graph, input });
  const kept = new Map(stored());
  const text = plainJson({ graph, input });
  kept.delete(run);
  if (text !== undefined && text.length <= LONGEST) kept.set(run, text);
  store([...kept].slice(-MOST));
}

/** Return what this tab started the run with; undefined if it did not, or has forgotten it. */
export function startOf(run: string): Start | undefined {
  const known = starts.get(run);
  if (known) return known;
  const text = new Map(stored()).get(run);
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text) as Start;
  } catch {
    return undefined;
  }
}

function keep(run: string, start: Start): void {
  starts.delete(run);
  starts.set(run, start);
  for (const oldest of starts.keys()) {
    if (starts.size <= MOST) return;
    starts.delete(oldest);
  }
}

function stored(): [run: string, text: string][] {
  try {
    const list: unknown = JSON.parse(sessionStorage.getItem(KEPT) ?? "[]");
    return Array.isArray(list) ? (list as [string, string][]) : [];
  } catch {
    return []; // a page without storage, or what another program wrote
  }
}

function store(list: [run: string, text: string][]): void {
  for (let left = list; ; left = left.slice(Math.ceil(left.length / 2))) {
    try {
      sessionStorage.setItem(KEPT, JSON.stringify(left));
      return;
    } catch {
      if (!left.length) return; // full, or none: it stays in memory
    }
  }
}

/** Return `value` as JSON; undefined if JSON would change it. */
function plainJson(value: unknown): string | undefined {
  let isPlain = true;
  const text = JSON.stringify(value, (_, item: unknown) => {
    const isOther = item instanceof Set || item instanceof Map || item instanceof Uint8Array;
    if (isOther || typeof item === "bigint" || (typeof item === "number" && !Number.isFinite(item))) {
      isPlain = false;
      return null;
    }
    return item;
  });
  return isPlain ? text : undefined;
}
