/** What a run asks, answered where it is listed or at the side. */

import type { Interrupt, RunRow } from "graphwire";
import { useState } from "react";
import { hrefOf } from "../address";
import { useClient } from "../client";
import { useAttempt } from "../parts/attempt";
import { Problem } from "../parts/problem";
import { Question } from "../parts/question";
import { cutSize, sizeText } from "./gist";

/** All that an interrupted run in a list asks. */
export function Answer({ row, onAnswered }: { row: RunRow; onAnswered: () => void }) {
  const { run, interrupts = [], questions = [] } = row;
  return (
    <Answers
      run={run}
      questions={questions}
      hidden={interrupts.length - questions.length}
      onAnswered={onAnswered}
    />
  );
}

interface AnswersProps {
  run: string;
  questions: readonly Interrupt[];
  /** How many more there are, which are not among `questions`. */
  hidden?: number;
  onAnswered?: () => void;
}

export function Answers({ run, questions, hidden = 0, onAnswered }: AnswersProps) {
  // A run that asks several things stays as it is until the last answer: nothing says that one has come.
  const [given, setGiven] = useState<readonly string[]>([]);
  const left = questions.filter(({ id }) => !given.includes(id));
  const small = left.filter(({ value }) => cutSize(value) === undefined);
  const large = left.filter((question) => !small.includes(question));
  return (
    <div className="runs-questions">
      {!questions.length && !hidden && <Breakpoint run={run} onAnswered={onAnswered} />}
      {small.map((interrupt) => (
        <OneQuestion
          key={interrupt.id}
          run={run}
          interrupt={interrupt}
          onAnswered={() => {
            setGiven((given) => [...given, interrupt.id]);
            onAnswered?.();
          }}
        />
      ))}
      {given.length > 0 && left.length > 0 && (
        <p className="runs-note" role="status">
          {given.length === 1 ? "One answer is" : `${given.length} answers are`} sent. The run continues when
          every question has one.
        </p>
      )}
      {(large.length > 0 || hidden > 0) && (
        <p className="runs-note">
          {large.length > 0
            ? `A question of ${large.map(({ value }) => sizeText(cutSize(value)!)).join(" and ")} is too large for a list.`
            : `${hidden === 1 ? "One question is" : `${hidden} questions are`} not shown in this list.`}{" "}
          <a href={hrefOf(["run", run])}>Open the run to read and answer it</a>
        </p>
      )}
    </div>
  );
}

type OneProps = { run: string; interrupt: Interrupt; onAnswered: () => void };

function OneQuestion({ run, interrupt, onAnswered }: OneProps) {
  const client = useClient();
  const { attempt, problem, busy } = useAttempt();
  const answer = (value: unknown) => attempt(client.respond(run, { [interrupt.id]: value }).then(onAnswered));
  return <Question interrupt={interrupt} onAnswer={answer} busy={busy} error={problem} />;
}

/** A static breakpoint asks nothing. */
function Breakpoint({ run, onAnswered }: { run: string; onAnswered: (() => void) | undefined }) {
  const client = useClient();
  const { attempt, problem, busy } = useAttempt();
  return (
    <div className="runs-breakpoint">
      <p>The run is paused at a breakpoint of its graph and asks no question.</p>
      <button
        type="button"
        className="button button-main"
        disabled={busy}
        onClick={() => attempt(client.respond(run).then(() => onAnswered?.()))}
      >
        Continue
      </button>
      {problem && <Problem error={problem} />}
    </div>
  );
}
