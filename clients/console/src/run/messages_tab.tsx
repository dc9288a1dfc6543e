/** What models and tools said, as a person reads it, by the graphs that they spoke in. */

import { Message } from "graphwire";
import { useMessages } from "graphwire/react";
import { useMemo } from "react";
import { go, hrefOf, useAddress } from "../address";
import { Empty } from "../parts/empty";
import { Messages } from "../parts/messages";
import { Text } from "../parts/text";
import { isOver, useLog } from "./log";
import { NotRecorded } from "./not_recorded";
import type { Viewed } from "./page";
import { isObject, namesOf } from "./spans";

export function MessagesTab(viewed: Viewed) {
  return viewed.recorded.modes.includes("messages") ? <Spoken {...viewed} /> : <OfState {...viewed} />;
}

function Spoken(viewed: Viewed) {
  const { view } = viewed;
  return (
    <Grouped
      {...viewed}
      messages={useMessages(view)}
      isLive={!isOver(view.status) && view.status !== "interrupted"}
    />
  );
}

/** Without mode `messages`, the messages that the state holds. */
function OfState(viewed: Viewed) {
  const { view, row, log, recorded } = viewed;
  useLog(log);
  const values: unknown = view.run?.values;
  const messages = useMemo(() => messagesIn(values), [values]);
  return (
    <div className="run-stack">
      <NotRecorded modes={["messages"]} row={row}>
        <p>
          This run does not record mode <code>messages</code>
          {messages.length > 0
            ? ": these are the messages in its latest state, without those of subgraphs."
            : recorded.modes.includes("values")
              ? ", and its state has no list of messages."
              : " or its states, which may hold messages."}
        </p>
      </NotRecorded>
      {messages.length > 0 && <Grouped {...viewed} messages={messages} isLive={false} />}
    </div>
  );
}

function messagesIn(values: unknown): Message[] {
  const list = isObject(values) ? values.messages : undefined;
  if (!Array.isArray(list)) return [];
  return list.filter(isObject).map((fields, index) => {
    const about = { call: String(fields.id ?? index), metadata: {}, namespace: [], node: undefined };
    return new Message({ ...fields }, { ...about, cutBytes: undefined });
  });
}

/** How an address names the graph itself, whose namespace is empty. */
const ITSELF = "itself";

interface GroupedProps extends Viewed {
  messages: readonly Message[];
  isLive: boolean;
}

function Grouped({ id, messages, isLive, row, recorded, graph }: GroupedProps) {
  const { query } = useAddress();
  const asked = query.get("in") ?? undefined;
  const groups = useMemo(() => groupsOf(messages), [messages]);
  const group = groups.find(({ key }) => (key || ITSELF) === asked);
  const shown = group?.messages ?? messages;
  const originOf = useMemo(() => originIn(groups), [groups]);
  if (!messages.length)
    return (
      <div className="run-stack">
        <Empty title={isLive ? "No messages yet" : "No messages"}>
          {isLive
            ? "Messages of models and tools appear here as they are written."
            : "No model and no tool wrote a message in this run."}
        </Empty>
        {!recorded.subgraphs && !!graph?.subgraphs?.length && <Silent row={row} />}
      </div>
    );
  const choose = (key: string | undefined) =>
    go(hrefOf(["run", id], { tab: "messages", in: key }), { replace: true });
  return (
    <div className="run-messages">
      {groups.length > 1 && (
        <nav className="run-groups" aria-label="Messages by graph">
          <Choice isChosen={!group} onChoose={() => choose(undefined)} count={messages.length}>
            All
          </Choice>
          {groups.map(({ key, names, number, messages: own }) => (
            <Choice
              key={key}
              isChosen={key === group?.key}
              onChoose={() => choose(key || ITSELF)}
              count={own.length}
            >
              <Text>{names.length ? names.join(" / ") : "Main graph"}</Text>
              {number > 0 && ` ${number}`}
            </Choice>
          ))}
        </nav>
      )}
      <div className="run-messages-list">
        <Messages
          key={group?.key ?? ""}
          messages={shown}
          isLive={isLive}
          label="Messages of the run"
          human="Person"
          originOf={originOf}
        />
      </div>
      {!recorded.subgraphs && !!graph?.subgraphs?.length && <Silent row={row} />}
    </div>
  );
}

/** Return a function that says which node wrote a message, and in which call of which subgraph. */
export function originIn(groups: readonly Group[]): (message: Message) => string | undefined {
  const places = new Map(groups.map(({ key, names, number }) => [key, placeText(names, number)]));
  return ({ node, namespace }) =>
    [places.get(namespace.join("|")), node].filter(Boolean).join(" / ") || undefined;
}

const placeText = (names: readonly string[], number: number) =>
  `${names.join(" / ")}${number > 0 ? ` ${number}` : ""}`;

function Silent({ row }: Pick<Viewed, "row">) {
  return (
    <NotRecorded modes={[]} subgraphs row={row}>
      <p>Messages of subgraphs are not recorded.</p>
    </NotRecorded>
  );
}

interface ChoiceProps {
  isChosen: boolean;
  onChoose: () => void;
  count: number;
  children: React.ReactNode;
}

function Choice({ isChosen, onChoose, count, children }: ChoiceProps) {
  return (
    <button type="button" className="run-group" aria-pressed={isChosen} onClick={onChoose}>
      <span>{children}</span>
      <span className="run-group-count">{count}</span>
    </button>
  );
}

/** One namespace: the graph itself, or one call of a subgraph; `number` counts the calls of the same subgraph. */
export interface Group {
  readonly key: string;
  readonly names: readonly string[];
  readonly number: number;
  readonly messages: readonly Message[];
}

/** Return messages by their namespaces, in the order in which those began to speak, the graph itself first. */
export function groupsOf(messages: readonly Message[]): Group[] {
  const byKey = new Map<string, Message[]>();
  for (const message of messages) {
    const key = message.namespace.join("|");
    const own = byKey.get(key);
    if (own) own.push(message);
    else byKey.set(key, [message]);
  }
  const keys = [...byKey.keys()].sort((left, right) => Number(left !== "") - Number(right !== ""));
  const counts = new Map<string, number>();
  const groups = keys.map((key) => {
    const own = byKey.get(key) ?? [];
    const names = namesOf(own[0]?.namespace ?? []);
    const place = names.join("/");
    const number = (counts.get(place) ?? 0) + 1;
    counts.set(place, number);
    return { key, names, place, number, messages: own };
  });
  return groups.map(({ place, number, ...group }) => ({
    ...group,
    number: (counts.get(place) ?? 0) > 1 ? number : 0,
  }));
}
