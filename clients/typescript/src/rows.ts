/** Rows of lists and watches: what they show of a run, or of a thread. */

import { type Interrupt, interruptsOf } from "./events.js";
import type * as frames from "./protocol/frames.js";

type Row<R> = Omit<R, "questions" | "type" | "sub"> & { questions?: readonly Interrupt[] | undefined };
/** A run as a list or a watch shows it, with the values of its questions restored. */
export type RunRow = Row<frames.RunRow>;
/** A thread as a list or a watch shows it, with the values of its questions restored. */
export type ThreadRow = Row<frames.ThreadRow>;

/** Return the row of a frame, with the values of its questions restored. */
export function rowOf<R extends { questions?: frames.PendingInterrupt[] | undefined }>({
  type: _,
  sub: __,
  questions,
  ...row
}: R & { type?: unknown; sub?: unknown }): Row<R> {
  return (questions ? { ...row, questions: interruptsOf(questions) } : row) as never;
}
