/**
 * What runs of a thread did beside speaking: progress that their nodes wrote, and how they ended.
 *
 * It takes the events of a followed thread, in order, and does no I/O. A thread's messages do not tell of these: they
 * are known of the runs that happened while the page was open.
 */

import type { FollowEvent, Message } from "graphwire";

/** The latest of what one node wrote with its stream writer. */
export interface Note {
  readonly namespace: readonly string[];
  readonly node: string | undefined;
  readonly data: unknown;
  readonly cutBytes: number | undefined;
  readonly seq: number;
  /** How many there were. */
  readonly count: number;
}

/** A run of the thread. */
export interface Turn {
  readonly run: string;
  readonly notes: readonly Note[];
  /** What the run does not record of what the page asked for: modes, and `subgraphs`. */
  readonly missing: readonly string[];
  readonly isOver: boolean;
}

/** More nodes than these write side by side in no graph that a person could follow. */
const MOST_NOTES = 50;

/** The runs that were seen, the latest last. */
export class TurnLog {
  turns: readonly Turn[] = [];

  take(event: FollowEvent): void {
    // A page that shows a thread that has just begun may have missed how its run did.
    if (event.mode === "messages" || event.mode === "custom") this.#know(event.run);
    if (event.mode === "run") {
      const turn = { run: event.run, notes: [], missing: event.missing, isOver: false };
      this.turns = [...this.turns.filter(({ run }) => run !== event.run), turn];
    } else if (event.mode === "discard") {
      if (event.run !== undefined) this.turns = this.turns.filter(({ run }) => run !== event.run);
    } else if (event.mode === "custom") {
      const { namespace, node, data, cutBytes, seq } = event;
      const key = noteKey({ namespace, node });
      this.#change(event.run, ({ notes, ...turn }) => {
        const before = notes.find((note) => noteKey(note) === key);
        const others = notes.filter((note) => note !== before).slice(-MOST_NOTES);
        return {
          ...turn,
          notes: [...others, { namespace, node, data, cutBytes, seq, count: (before?.count ?? 0) + 1 }],
        };
      });
    } else if (event.mode === "lifecycle") {
      const { voidAfter } = event;
      const isOver = /^(completed|failed|cancelled)$/.test(event.status);
      if (voidAfter !== undefined)
        this.#change(event.run, ({ notes, ...turn }) => {
          return { ...turn, notes: notes.filter(({ seq }) => seq <= voidAfter) };
        });
      this.#change(event.run, (turn) => (turn.isOver === isOver ? turn : { ...turn, isOver }));
    }
  }

  #know(run: string): void {
    if (this.turns.some((turn) => turn.run === run)) return;
    this.turns = [...this.turns, { run, notes: [], missing: [], isOver: false }];
  }

  #change(run: string, change: (turn: Turn) => Turn): void {
    this.turns = this.turns.map((turn) => (turn.run === run ? change(turn) : turn));
  }
}

function noteKey({ namespace, node }: Pick<Note, "namespace" | "node">): string {
  return JSON.stringify([namespace, node]);
}

/** A subgraph of a run that speaks or works: an agent of its own. */
export interface Subagent {
  readonly key: string;
  /** The name of the node that it runs in. */
  readonly name: string;
  readonly messages: readonly Message[];
  readonly notes: readonly Note[];
}

/** Return the subgraphs of a run, in the order in which they were first heard of. */
export function subagentsOf(messages: readonly Message[], notes: readonly Note[]): readonly Subagent[] {
  const found = new Map<string, { messages: Message[]; notes: Note[] }>();
  const at = ([top]: readonly string[]) => {
    if (top === undefined) return undefined;
    const known = found.get(top) ?? { messages: [], notes: [] };
    found.set(top, known);
    return known;
  };
  for (const message of messages) at(message.namespace)?.messages.push(message);
  for (const note of notes) at(note.namespace)?.notes.push(note);
  return [...found].map(([key, { messages, notes }]) => ({ key, name: nameOf(key), messages, notes }));
}

/** The name of a subgraph's node: the part of its namespace before the id of its task. */
export function nameOf(part: string): string {
  return part.replace(/:[^:]*$/, "") || part;
}

/** How far something is, as its data says. */
export interface Progress {
  readonly done: number;
  readonly total: number;
}

/** Return the progress that data tells: `done` of `total`, by whichever of the usual names. */
export function progressOf(data: unknown): Progress | undefined {
  if (typeof data !== "object" || data === null) return undefined;
  const fields = data as { [key: string]: unknown };
  const first = (names: readonly string[]) =>
    names.map((name) => fields[name]).find((value): value is number => typeof value === "number");
  const done = first(["done", "current", "completed", "step"]);
  const total = first(["total", "of", "steps"]);
  if (done !== undefined && total !== undefined && total > 0) return { done: Math.min(done, total), total };
  const part = first(["progress"]);
  if (part !== undefined && part >= 0 && part <= 1) return { done: part, total: 1 };
  const percent = first(["percent", "pct"]);
  return percent !== undefined && percent >= 0 && percent <= 100 ? { done: percent, total: 100 } : undefined;
}
