/** Messages of the AI SDK as an input of a graph, and a thread's messages as those of the AI SDK. */

import type { UIMessage } from "ai";
import { Message } from "../messages.js";
import { isObject, type JsonObject } from "../protocol/json.js";
import { aboutOf, callsOf, isFromModel, outputOf, partsOf } from "./parts.js";

/** Return a message of the user as LangChain has it, under the same id. Throws `TypeError` for what it cannot hold. */
export function humanOf(message: UIMessage): JsonObject {
  const { id } = message;
  const blocks = message.parts.map((part): JsonObject => {
    if (part.type === "text") return { type: "text", text: part.text };
    if (part.type !== "file")
      throw new TypeError(`a message with a part ${part.type} needs the option toInput`);
    const [, type = "file"] = /^(image|audio|video)(?:\/|$)/.exec(part.mediaType) ?? [];
    const [, base64] = /^data:[^,]*;base64,(.*)$/s.exec(part.url) ?? [];
    const extras = part.filename === undefined ? {} : { extras: { filename: part.filename } };
    return { type, ...(base64 ? { base64 } : { url: part.url }), mime_type: part.mediaType, ...extras };
  });
  const [only, ...more] = blocks;
  return { type: "human", id, content: only?.type === "text" && !more.length ? only.text : blocks };
}

/** Return the messages under a key of a state. */
export function messagesIn(values: unknown, key: string): JsonObject[] {
  const list = isObject(values) ? values[key] : undefined;
  return Array.isArray(list) ? list.filter(isObject) : [];
}

/** Return the messages of a thread as `useChat` has them: what is said between two messages of the user is one. */
export function conversationOf(list: readonly JsonObject[]): UIMessage[] {
  const out: UIMessage[] = [];
  const calls = new Map<string, JsonObject>();
  for (const [index, sent] of list.entries()) {
    const call = String(sent.id ?? `message-${index}`);
    const about = { call, metadata: {}, namespace: [], node: undefined, cutBytes: undefined };
    const message = new Message(sent, about);
    const { type } = message;
    if (type === "human" || type === "system") {
      const { texts, others } = partsOf(message);
      out.push({ id: call, role: type === "human" ? "user" : "system", parts: partsFor(texts, others) });
      continue;
    }
    let turn = out.at(-1);
    if (turn?.role !== "assistant") {
      turn = { id: call, role: "assistant", parts: [] };
      out.push(turn);
    }
    const parts = turn.parts as unknown[];
    if (isFromModel(message)) {
      const { texts, others } = partsOf(message);
      parts.push({ type: "step-start" }, ...partsFor(texts, others, message));
      for (const { id, name, input, error } of callsOf(message)) {
        const state = error === undefined ? "input-available" : "output-error";
        const part = {
          type: `tool-${name}`,
          toolCallId: id,
          state,
          input,
          errorText: error,
          providerExecuted: true,
        };
        calls.set(id, part);
        parts.push(part);
      }
    } else if (type === "tool") {
      const { tool_call_id: id, status, artifact, name } = message.fields;
      const part = calls.get(String(id)) ?? {
        type: `tool-${name ?? "unknown"}`,
        toolCallId: id,
        input: undefined,
      };
      if (!calls.has(String(id))) parts.push(part);
      const isError = status === "error";
      Object.assign(part, { state: isError ? "output-error" : "output-available", providerExecuted: true });
      Object.assign(part, isError ? { errorText: message.text } : { output: outputOf(message) });
      if (artifact != null) part.toolMetadata = { artifact };
    } else parts.push({ type: "data-message", id: call, data: message.fields });
  }
  return out;
}

function partsFor(
  texts: ReturnType<typeof partsOf>["texts"],
  others: readonly unknown[],
  message?: Message,
): UIMessage["parts"] {
  const more = message && { state: "done", providerMetadata: aboutOf(message) };
  return [...texts.map(({ kind, text }) => ({ type: kind, text, ...more })), ...others] as UIMessage["parts"];
}
