/** A call of a tool: one line that says what it is about, and all of it when it is opened. */

import type { Message } from "graphwire";
import { memo } from "react";
import { Json } from "./json";
import { Markdown, Plain } from "./markdown";
import { type Call, gistOf, resultOf } from "./messages_parts";
import { Text } from "./text";

/** What a call has come to. */
export function stateOf(call: Call, isLive: boolean): "writing" | "waiting" | "done" | "failed" {
  if (call.problem !== undefined || call.result?.fields.status === "error") return "failed";
  if (call.result) return "done";
  return isLive ? "writing" : "waiting";
}

const STATES = { writing: "writing…", waiting: "no result yet", done: "done", failed: "failed" };

/** Show a call; `isLive` says that its arguments may still grow. */
export const ToolCallView = memo(
  function ToolCallView({ call, isLive }: { call: Call; isLive: boolean }) {
    const { name, args, argsText, result, problem } = call;
    const state = stateOf(call, isLive);
    const shown = result && gistOf(resultOf(result), 80);
    return (
      <details className={`tool tool-${state}`}>
        <summary>
          <span className="tool-dot" aria-hidden />
          <b>
            <Text>{name || "a tool"}</Text>
          </b>
          <span className="tool-gist">
            <Text>{args ? gistOf(args, 90) : argsText.slice(-90)}</Text>
          </span>
          {shown && (
            <span className="tool-result">
              <span aria-hidden>→ </span>
              <Text>{shown}</Text>
            </span>
          )}
          <span className="tool-state">{STATES[state]}</span>
        </summary>
        <div className="tool-body">
          <p className="tool-label">Arguments</p>
          {args ? <Json value={args} open /> : <Plain text={argsText || "none yet"} isLive={isLive} />}
          {problem !== undefined && (
            <p className="message-note">
              <Text>{problem}</Text>
            </p>
          )}
          {result && (
            <>
              <p className="tool-label">Result</p>
              <ToolResult message={result} />
            </>
          )}
        </div>
      </details>
    );
  },
  (before, after) =>
    before.isLive === after.isLive &&
    before.call.result === after.call.result &&
    before.call.argsText === after.call.argsText &&
    before.call.problem === after.call.problem &&
    before.call.name === after.call.name,
);

/** Show what a tool returned: data as a tree, a text as text. */
export function ToolResult({ message }: { message: Message }) {
  const value = resultOf(message);
  const { artifact } = message.fields;
  return (
    <>
      {typeof value === "string" ? <Markdown text={value} /> : <Json value={value} open />}
      {artifact != null && <Json name="artifact" value={artifact} />}
    </>
  );
}
