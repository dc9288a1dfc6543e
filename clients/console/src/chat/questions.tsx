/** The questions of a thread, and answering them: those of a run, or those that only its checkpoints know. */

import type { Client, Interrupt, ThreadRow } from "graphwire";
import type { ThreadView } from "graphwire/react";
import { useCallback, useEffect, useRef, useState } from "react";
import { useAttempt } from "../parts/attempt";
import { Problem } from "../parts/problem";
import { Question } from "../parts/question";

export interface Questions {
  readonly interrupts: readonly Interrupt[];
  /** Whether the graph waits at a breakpoint, which asks nothing. */
  readonly isBreakpoint: boolean;
  /** Whether the server has forgotten the run that asks, as after a restart: then all answers are sent at once. */
  readonly isAlone: boolean;
  readonly error: Error | undefined;
  readonly answer: (id: string, value: unknown) => Promise<void>;
  /** Answers that wait for the others. */
  readonly kept: ReadonlyMap<string, unknown>;
  readonly goOn: () => Promise<void>;
}

/** The questions of a thread. `isAlone` says that no run of it is known to wait. */
export function useQuestions(
  client: Client,
  graph: string,
  thread: string,
  view: ThreadView,
  row: ThreadRow | undefined,
  hasWaitingRun: boolean,
): Questions {
  const { status } = view;
  const isAsking = status === "interrupted";
  const isAlone = !isAsking && !hasWaitingRun && row?.status === "interrupted" && row.run === undefined;
  const [found, setFound] = useState<{ interrupts: readonly Interrupt[]; error?: Error }>();
  const kept = useRef(new Map<string, unknown>());
  const [, setCount] = useState(0);

  useEffect(() => {
    if (!isAlone) return;
    const controller = new AbortController();
    client.state(graph, thread, { keys: [], signal: controller.signal }).then(
      ({ interrupts }) => setFound({ interrupts }),
      (error) => !controller.signal.aborted && setFound({ interrupts: [], error }),
    );
    return () => {
      controller.abort();
      setFound(undefined);
      kept.current.clear();
    };
  }, [client, graph, thread, isAlone]);

  const interrupts = isAsking ? view.interrupts : isAlone ? (found?.interrupts ?? NONE) : NONE;
  const { respond } = view;

  const answer = useCallback(
    async (id: string, value: unknown) => {
      if (isAsking) {
        await respond({ [id]: value });
        return;
      }
      kept.current.set(id, value);
      setCount(kept.current.size);
      if (interrupts.some((each) => !kept.current.has(each.id))) return;
      try {
        await client.respond({ graph, thread }, Object.fromEntries(kept.current));
      } catch (error) {
        kept.current.delete(id);
        setCount(kept.current.size);
        throw error;
      }
    },
    [client, graph, thread, isAsking, respond, interrupts],
  );

  const goOn = useCallback(async () => {
    if (isAsking) await respond({});
    else await client.respond({ graph, thread }, {});
  }, [client, graph, thread, isAsking, respond]);

  return {
    interrupts,
    isBreakpoint: !interrupts.length && (isAsking || (isAlone && found !== undefined && !found.error)),
    isAlone,
    error: isAlone ? found?.error : undefined,
    answer,
    kept: kept.current,
    goOn,
  };
}

const NONE: readonly Interrupt[] = [];

/** Show the questions with a form for each answer. */
export function QuestionList({
  questions,
  onCancel,
}: {
  questions: Questions;
  onCancel?: (() => void) | undefined;
}) {
  const { interrupts, isBreakpoint, isAlone, error, answer, kept } = questions;
  if (error) return <Problem error={error} />;
  if (isBreakpoint) return <Breakpoint questions={questions} />;
  return (
    <>
      {interrupts.map((interrupt) =>
        kept.has(interrupt.id) ? (
          <p key={interrupt.id} className="chat-notice">
            Your answer is kept here. It is sent when every question has one.
          </p>
        ) : (
          <OneQuestion key={interrupt.id} interrupt={interrupt} answer={answer} />
        ),
      )}
      {interrupts.length > 0 && isAlone && interrupts.length > 1 && (
        <p className="chat-notice">
          The server was restarted since it asked, so all answers are sent together.
        </p>
      )}
      {interrupts.length > 0 && onCancel && (
        <p className="chat-notice">
          <button type="button" onClick={onCancel}>
            Cancel the run
          </button>
        </p>
      )}
    </>
  );
}

/** Show one question; what is wrong with its answer stands with it. */
export function OneQuestion({
  interrupt,
  answer,
}: {
  interrupt: Interrupt;
  answer: (id: string, value: unknown) => Promise<unknown>;
}) {
  const { attempt, problem, busy } = useAttempt();
  return (
    <Question
      interrupt={interrupt}
      busy={busy}
      error={problem}
      onAnswer={(value: unknown) => attempt(answer(interrupt.id, value))}
    />
  );
}

function Breakpoint({ questions }: { questions: Questions }) {
  const { attempt, problem, busy } = useAttempt();
  return (
    <div className="chat-notice chat-asks">
      <p>The graph is paused at a breakpoint and asks no question.</p>
      <button
        type="button"
        className="chat-primary"
        disabled={busy}
        onClick={() => attempt(questions.goOn())}
      >
        Continue
      </button>
      {problem && <Problem error={problem} />}
    </div>
  );
}
