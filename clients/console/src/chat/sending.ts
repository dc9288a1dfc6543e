/**
 * What this page sends to a thread, from the moment of sending until the thread shows it.
 *
 * The page chooses the ids of run and message, so that it can cancel what the server has not heard of, and find its
 * message again. A message is never only here: until the server has taken it, its text stays in the box.
 */

import { type Client, type frames, type Message, Refused, type RunRow } from "graphwire";
import type { ThreadView } from "graphwire/react";
import { useCallback, useEffect, useRef, useState } from "react";
import { remember } from "../starts";
import { MESSAGES, recordOf, titleOf } from "./graph_kind";

/** What to do if the thread has a run: wait for its end, or end it. */
export type IfBusy = "enqueue" | "interrupt";

/** A message on its way. */
export interface Outgoing {
  readonly run: string;
  /** The id of the message. */
  readonly message: string;
  readonly text: string;
  readonly isTaken: boolean;
}

/** A message that the thread does not show yet. */
export interface Waiting {
  readonly run: string;
  /** The text; of a message from elsewhere only its beginning, undefined if its run does not tell. */
  readonly text: string | undefined;
  readonly isOwn: boolean;
  /** `dropped`: its run was cancelled before it began, so the thread never hears it. */
  readonly state: "starting" | "queued" | "dropped";
}

const OVER = /^(completed|failed|cancelled)$/;

/** Return what waits, in the order in which it was sent: of this page, and what is queued from elsewhere. */
export function waitingOf(
  outgoing: readonly Outgoing[],
  rows: readonly RunRow[],
  messages: readonly Message[],
): readonly Waiting[] {
  const isShown = (id: string) => messages.findLast((each) => each.id === id) !== undefined;
  const own = outgoing.flatMap(({ run, message, text }): Waiting[] => {
    if (isShown(message)) return [];
    const row = rows.find((each) => each.run === run);
    const hasBegun = row?.thread_seq !== undefined;
    if (row && OVER.test(row.status)) return hasBegun ? [] : [{ run, text, isOwn: true, state: "dropped" }];
    return [{ run, text, isOwn: true, state: row?.status === "queued" ? "queued" : "starting" }];
  });
  const others = rows.flatMap(({ run, status, metadata }): Waiting[] => {
    if (status !== "queued" || outgoing.some((each) => each.run === run)) return [];
    const { title } = metadata;
    return [{ run, text: typeof title === "string" ? title : undefined, isOwn: false, state: "queued" }];
  });
  return [...own, ...others.reverse()];
}

/** What is said, and where: `checkpoint` branches the thread there. */
export interface Say {
  readonly text: string;
  readonly ifBusy: IfBusy;
  /** What the graph takes beside messages. */
  readonly others?: { readonly [key: string]: unknown };
  /** A message to say again, in place of a new one with `text`. */
  readonly again?: { readonly [key: string]: unknown };
  readonly checkpoint?: string;
}

export interface Sending {
  readonly outgoing: readonly Outgoing[];
  /** Send; resolved as soon as the server has taken it. */
  readonly say: (what: Say) => Promise<void>;
  /** Run the graph from where the thread stands. */
  readonly goOn: () => Promise<void>;
  /** Cancel a run, even one that the server has not heard of. */
  readonly cancel: (run: string) => Promise<void>;
  readonly forget: (run: string) => void;
}

/** Send to a thread. */
export function useSending(
  client: Client,
  graph: frames.GraphRow,
  view: ThreadView,
  messages: readonly Message[],
): Sending {
  const [outgoing, setOutgoing] = useState<readonly Outgoing[]>([]);
  const cancelled = useRef(new Set<string>());
  const unknown = useRef(new Set<string>());
  const { start } = view;

  const forget = useCallback((run: string) => {
    setOutgoing((all) => all.filter((each) => each.run !== run));
  }, []);

  const begin = useCallback(
    async (run: string, input: unknown, options: Parameters<typeof start>[1]) => {
      unknown.current.add(run);
      try {
        await start(input, { run, record: recordOf(graph), ...options });
        if (input !== undefined) remember(run, graph.name, input);
      } finally {
        unknown.current.delete(run);
      }
      if (cancelled.current.delete(run)) await client.cancel(run, STOPPED);
    },
    [client, graph, start],
  );

  const say = useCallback(
    async ({ text, ifBusy, others, again, checkpoint }: Say) => {
      const run = `run-${crypto.randomUUID()}`;
      const id = crypto.randomUUID();
      const message = again ?? { type: "human", id, content: text };
      const metadata = { title: titleOf(text), message: String(message.id) };
      // A message that is said again is shown already.
      if (!again) setOutgoing((all) => [...all, { run, message: id, text, isTaken: false }]);
      try {
        await begin(run, { ...others, [MESSAGES]: [message] }, { ifBusy, metadata, checkpoint });
        setOutgoing((all) => all.map((each) => (each.run === run ? { ...each, isTaken: true } : each)));
      } catch (error) {
        forget(run);
        throw error;
      }
    },
    [begin, forget],
  );

  const goOn = useCallback(
    () => begin(`run-${crypto.randomUUID()}`, undefined, { ifBusy: "reject" }),
    [begin],
  );

  const cancel = useCallback(
    async (run: string) => {
      if (unknown.current.has(run)) cancelled.current.add(run);
      try {
        await client.cancel(run, STOPPED);
      } catch (error) {
        const isEarly = error instanceof Refused && error.code === "not_found" && cancelled.current.has(run);
        if (!isEarly) throw error; // else `begin` cancels it as soon as it is known
      }
    },
    [client],
  );

  useEffect(() => {
    if (!outgoing.length) return;
    const shown = new Set(messages.map(({ id }) => id));
    if (outgoing.some(({ message }) => shown.has(message)))
      setOutgoing((all) => all.filter(({ message }) => !shown.has(message)));
  }, [outgoing, messages]);

  return { outgoing, say, goOn, cancel, forget };
}

/** The reason that viewers of a run see. */
export const STOPPED = "stopped in the console";
