/** One thread of a graph that one talks to: its messages, what runs, what waits, and the box to write in. */

import type { frames, Message, Run, RunRow, ThreadRow } from "graphwire";
import { useConnection, useEvents, useLatest, useMessages, useThread, useWatch } from "graphwire/react";
import { type ReactNode, useCallback, useMemo, useRef, useState } from "react";
import { go, hrefOf } from "../address";
import { useClient } from "../client";
import { useAttempt } from "../parts/attempt";
import { Empty } from "../parts/empty";
import { Messages } from "../parts/messages";
import { roleOf, sizeOf } from "../parts/messages_parts";
import { Problem } from "../parts/problem";
import { Text } from "../parts/text";
import { Activity } from "./activity";
import { Announcer } from "./announcer";
import { Composer, type Standing } from "./composer";
import { keepDraft, useDraft } from "./draft";
import { Editor } from "./editor";
import { BadEnd, WaitingMessage } from "./end";
import { checkpointBefore, endsTurn, inputOf, saidBefore } from "./fork";
import { isNeeded, othersSchema, titleOf } from "./graph_kind";
import { Others, useOthers } from "./others";
import { QuestionList, useQuestions } from "./questions";
import { type IfBusy, useSending, waitingOf } from "./sending";
import { TurnLog } from "./turns";

const OPTIONS = { modes: ["messages" as const, "custom" as const], namespaces: [["**"]] };
const isRoot = ({ namespace }: Message) => !namespace.length;
const isHuman = (message: Message) => roleOf(message) === "human";
/** A run that was cancelled before it began has no number, and nothing to tell. */
const hasBegun = ({ thread_seq }: RunRow) => thread_seq !== undefined;

export interface ConversationProps {
  graph: frames.GraphRow;
  thread: string;
  /** Whether the thread begins with the first message: then it is not in the address yet. */
  isNew: boolean;
  row: ThreadRow | undefined;
}

/** Show a thread, and talk. */
export function Conversation({ graph, thread, isNew, row }: ConversationProps) {
  const client = useClient();
  const { state } = useConnection(client);
  const view = useThread(client, graph.name, thread, OPTIONS);
  const messages = useMessages(view, isRoot);
  const tooLarge = useLatest(view, "thread")?.cutBytes;
  const { rows } = useWatch(client, { graphs: [graph.name], thread });
  const sending = useSending(client, graph, view, messages);
  const { outgoing, say, goOn, cancel, forget } = sending;
  const [text, setText] = useDraft(graph.name, isNew ? undefined : thread);
  const [others, setOthers] = useOthers(graph.name);
  const [editing, setEditing] = useState<string>();
  const { attempt, problem } = useAttempt();
  const stopping = useAttempt();

  const current = rows.find(hasBegun);
  const running = rows.find(({ status }) => status === "running");
  const asking = rows.find(({ status }) => status === "interrupted");
  const questions = useQuestions(client, graph.name, thread, view, row, !!asking);
  const isAsking = questions.interrupts.length > 0 || questions.isBreakpoint;
  const isSending = outgoing.some(({ isTaken }) => !isTaken);
  const waiting = waitingOf(outgoing, rows, messages);
  const isStarting = waiting.some((each) => each.state === "starting");
  const isBusy = !!running || view.status === "running" || (isStarting && !isSending && !isAsking);
  const standing: Standing = isAsking
    ? questions.isAlone
      ? "asking-alone"
      : "asking"
    : isBusy
      ? "busy"
      : "idle";

  // ── what a run does beside answering ─────────────────────────────────────────────────────────

  const log = useRef(new TurnLog()).current;
  const runs = useRef(new Map<string, Run>()).current;
  /** The message behind which the activity of a run stands. */
  const places = useRef(new Map<string, string>()).current;
  const latest = useRef(messages);
  latest.current = messages;
  useEvents(
    view,
    useCallback((event) => log.take(event), [log]),
  );
  if (view.run) runs.set(view.run.id, view.run as Run);
  const said = messages.findLast(isHuman)?.id;
  const turn = log.turns.at(-1);
  // A run may be over before anything of it was drawn; a later message is not what it answers.
  if (turn && said !== undefined && !(turn.isOver && places.has(turn.run))) places.set(turn.run, said);
  const isInAnswer = useCallback(
    (id: string | undefined) => id !== undefined && latest.current.some((message) => message.id === id),
    [],
  );

  // ── acting ───────────────────────────────────────────────────────────────────────────────────

  const send = async (ifBusy: IfBusy) => {
    const draft = text.trim();
    const isFirst = isNew || (!messages.length && !rows.length);
    await say({ text: draft, ifBusy, others });
    setText("");
    if (isFirst) {
      if (isNew) keepDraft(graph.name, undefined, "");
      go(hrefOf(["chat", graph.name, thread]), { replace: isNew });
      await client.threadUpdate(graph.name, thread, { title: titleOf(draft) });
    }
  };

  const stop = () => {
    const own = outgoing.filter(({ isTaken }) => !isTaken).map(({ run }) => run);
    const live = running?.run ?? (view.status === "running" ? view.id : undefined);
    const all = [...new Set([...own, ...(live ? [live] : outgoing.slice(0, 1).map(({ run }) => run))])];
    stopping.attempt(Promise.all(all.map(cancel)));
  };

  const branch = async (message: Message, newText?: string) => {
    const { id = "" } = message;
    const checkpoint = await checkpointBefore(client, graph.name, thread, id, rows);
    const again = inputOf(message, newText);
    await say({ text: newText ?? message.text, ifBusy: "interrupt", others, again, checkpoint });
    setEditing(undefined);
  };
  const branches = useRef(branch);
  branches.current = branch;

  const again = async () => {
    const { next } = await client.state(graph.name, thread, { keys: [] });
    if (next.length) return goOn();
    const last = messages.findLast(isHuman);
    if (last && last.id === current?.metadata.message) return branch(last);
    throw new Error(
      "The run ended before it kept anything, and the server no longer has its input. Say it once more.",
    );
  };

  const canBranch = !isBusy && !isSending;
  const actions = useMemo(() => {
    void messages.length; // which message ends a turn changes with their number
    return (message: Message): ReactNode => {
      if (!canBranch || message.id === undefined) return null;
      if (isHuman(message))
        return (
          <button type="button" onClick={() => setEditing(message.id)}>
            Edit
          </button>
        );
      if (isAsking || !endsTurn(latest.current, message)) return null;
      return <Again onAgain={() => branches.current(saidBefore(latest.current, message) ?? message)} />;
    };
  }, [canBranch, isAsking, messages.length]);

  const active = turn?.run;
  const behind = useMemo(() => {
    void said;
    return (message: Message): ReactNode => (
      <>
        {editing !== undefined && editing === message.id && (
          <Editor
            text={message.text}
            isLast={latest.current.findLast(isHuman) === message}
            onCancel={() => setEditing(undefined)}
            onSend={(next) => branches.current(message, next)}
          />
        )}
        {[...places].map(
          ([run, place]) =>
            place === message.id && (
              <Activity
                key={run}
                view={view}
                log={log}
                id={run}
                run={runs.get(run)}
                isInAnswer={isInAnswer}
              />
            ),
        )}
      </>
    );
  }, [editing, said, active, view, log, runs, places, isInAnswer]);

  const ended =
    current && /^(failed|cancelled)$/.test(current.status) && !isBusy && !isSending ? current : undefined;
  const takeBack = async ({ run, text: words, isOwn, state }: (typeof waiting)[number]) => {
    if (state !== "dropped") await cancel(run);
    if (isOwn) {
      forget(run);
      if (words) setText(text ? `${text}\n${words}` : words);
    }
  };
  const schema = othersSchema(graph);

  const end = (
    <>
      {ended && ended.reason !== "superseded" && (
        <BadEnd client={client} row={ended} messages={messages} onAgain={again} />
      )}
      <QuestionList
        questions={questions}
        onCancel={asking ? () => stopping.attempt(cancel(asking.run)) : undefined}
      />
      {waiting.map((each) => (
        <WaitingMessage key={each.run} waiting={each} isAsking={isAsking} onBack={() => takeBack(each)} />
      ))}
      {turn?.missing.includes("messages") && !turn.isOver && (
        <p className="chat-notice">
          This run does not record messages, so its answer appears when it is whole. Whoever starts it can
          record them: record: {'{"modes": ["messages"]}'}.
        </p>
      )}
      {tooLarge !== undefined && (
        <p className="chat-notice">
          The thread's messages have {sizeOf(tooLarge)}. That is more than the server sends at once
          (max_event_bytes), so they are not shown. What is said from now on is.
        </p>
      )}
      {view.error && !ended && view.status !== "failed" && <Problem error={view.error} />}
    </>
  );

  return (
    <div className="chat-thread">
      {!messages.length && !waiting.length && !isAsking && !ended && !view.error && tooLarge === undefined ? (
        <div className="chat-start">
          {view.isLoading && !isNew ? (
            <p className="chat-notice">Loading…</p>
          ) : (
            <Empty title={`Talk to ${graph.name}`}>
              <Text>{graph.description ?? "Write a message to start a thread."}</Text>
            </Empty>
          )}
        </div>
      ) : (
        <Messages
          label="Conversation"
          messages={messages}
          isLive={isBusy || isAsking}
          actions={actions}
          behind={behind}
          end={end}
        />
      )}
      <Announcer
        messages={messages}
        isLoaded={view.isCaughtUp || isNew}
        question={isAsking ? "The graph waits for your answer." : undefined}
      />
      <Composer
        text={text}
        onText={setText}
        standing={standing}
        isSending={isSending}
        isConnected={state === "connected"}
        onSend={(ifBusy) => attempt(send(ifBusy))}
        onStop={stop}
      >
        {(problem ?? stopping.problem) && <Problem error={(problem ?? stopping.problem) as Error} />}
        {schema && <Others schema={schema} value={others} onChange={setOthers} isOpen={isNeeded(schema)} />}
      </Composer>
    </div>
  );
}

function Again({ onAgain }: { onAgain: () => Promise<unknown> }) {
  const { attempt, problem, busy } = useAttempt();
  return (
    <>
      <button type="button" disabled={busy} onClick={() => attempt(onAgain())}>
        Regenerate
      </button>
      {problem && <Problem error={problem} />}
    </>
  );
}
