/** `MessageView`: one message, with the calls of tools that it makes and what came back. */

import type { Message } from "graphwire";
import { memo, type ReactNode } from "react";
import { Copy } from "./copy";
import { Json } from "./json";
import { Markdown } from "./markdown";
import { safeUrl } from "./markdown_split";
import { callsOf, type Part, partsOf, type Role, roleOf, sizeOf, usageOf } from "./messages_parts";
import { ToolCallView, ToolResult } from "./messages_tool";
import { Text } from "./text";
import "./messages.css";

const NAMES: { [R in Role]: string } = {
  human: "You",
  ai: "Assistant",
  system: "System",
  tool: "Tool",
  other: "Message",
};

export interface MessageViewProps {
  message: Message;
  /** The results of tools by the ids of the calls. */
  results?: ReadonlyMap<string, Message> | undefined;
  /** Whether the message may still grow. A message that is not complete and does not grow is marked as unfinished. */
  isLive?: boolean | undefined;
  /** What one can do with the message, beside copying its text. */
  actions?: ReactNode;
  /** What people are called who write to the graph. */
  human?: string | undefined;
  /** Where the message is from. With it, each message of a row of them is introduced. */
  origin?: string | undefined;
}

/** Show a message. */
export const MessageView = memo(function MessageView(props: MessageViewProps) {
  const { message, results, isLive = false, actions, human = NAMES.human, origin } = props;
  const role = roleOf(message);
  const parts = partsOf(message);
  const calls = callsOf(message, results);
  const isWritten = isLive && !message.isComplete;
  const { name } = message.fields;
  const from = typeof name === "string" && name ? name : origin;
  const who = role === "human" ? human : NAMES[role];
  const isEmpty = !parts.length && !calls.length && message.cutBytes === undefined;
  return (
    <article
      className={`message message-${role}`}
      aria-label={`${who} said`}
      aria-busy={isWritten}
      data-origin={origin}
    >
      <header className="message-who">
        <span>{who}</span>
        {from && <Text>{from}</Text>}
      </header>
      <div className="message-body">
        {role === "tool" ? (
          <ToolResult message={message} />
        ) : (
          parts.map((part, index) => (
            <PartView
              key={index}
              part={part}
              isLive={isWritten && index === parts.length - 1 && !calls.length}
            />
          ))
        )}
        {calls.map((call, index) => (
          <ToolCallView key={call.id ?? index} call={call} isLive={isWritten} />
        ))}
        {message.cutBytes !== undefined && (
          <p className="message-note">
            This message has {sizeOf(message.cutBytes)}. That is more than the server sends at once
            (max_event_bytes), so it is not shown.
          </p>
        )}
        {isWritten && isEmpty && <span className="message-caret" aria-hidden />}
        {isEmpty && !isWritten && <p className="message-note">An empty message.</p>}
        {!isLive && !message.isComplete && (
          <p className="message-note">Unfinished: the message ended early.</p>
        )}
      </div>
      <Foot message={message} isWritten={isWritten} actions={actions} />
    </article>
  );
});

function Foot({ message, isWritten, actions }: { message: Message; isWritten: boolean; actions: ReactNode }) {
  const usage = usageOf(message);
  const { text } = message;
  if (isWritten || (!text && !usage && !actions)) return null;
  return (
    <footer className="message-foot">
      {text && <Copy text={text} label="Copy message" />}
      {actions}
      {usage && (
        <span className="message-usage">
          {[
            usage.model,
            usage.input !== undefined && `${usage.input.toLocaleString("en")} tokens in`,
            usage.output !== undefined && `${usage.output.toLocaleString("en")} out`,
          ]
            .filter(Boolean)
            .join(" · ")}
        </span>
      )}
    </footer>
  );
}

function PartView({ part, isLive }: { part: Part; isLive: boolean }) {
  switch (part.kind) {
    case "text":
      return <Markdown text={part.text} isLive={isLive} />;
    case "reasoning":
      return (
        <details className="message-reasoning">
          <summary>{isLive ? "Thinking…" : "Reasoning"}</summary>
          <Markdown text={part.text} isLive={isLive} />
        </details>
      );
    case "file": {
      const href = safeUrl(part.url);
      return (
        <p className="message-file">
          {href ? (
            <a href={href} target="_blank" rel="noreferrer">
              <Text>{part.label}</Text>
            </a>
          ) : (
            <Text>{part.label}</Text>
          )}
        </p>
      );
    }
    case "data":
      return <Json name={part.label} value={part.value} />;
  }
}
