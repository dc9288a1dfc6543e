/** The content blocks of a message, as LangChain's protocol streams them. */

import type { Message, ToolCall } from "../index.js";

/** A content block: text, a tool call, or what a model sent. */
export interface Block {
  readonly type: string;
  readonly [key: string]: unknown;
}

/** The types of messages whose role has the same name; all others are spoken by the model. */
const ROLES = ["human", "system", "tool"];

/** Return the role of a message: `ai`, `human`, `system` or `tool`. */
export function roleOf({ type }: Message): string {
  const role = type.replace(/MessageChunk$/, "").toLowerCase();
  return ROLES.includes(role) ? role : "ai";
}

/** Return the blocks of a message: its content, then its tool calls, which are chunks until `isDone`. */
export function blocksOf(message: Message, isDone: boolean): Block[] {
  const { content, toolCalls } = message;
  const parts = typeof content === "string" ? (content ? [content] : []) : content;
  const blocks = parts.map((part) =>
    typeof part === "string" ? { type: "text", text: part } : withoutIndex(part as Block),
  );
  const said = blocks.filter(({ type }) => !isCall(type));
  return [...said, ...toolCalls.map((call, index) => callBlock(call, index, isDone))];
}

/** Models put their tool calls into the content, too; the calls are told by `toolCalls`. */
function isCall(type: string): boolean {
  return ["tool_use", "tool_call", "tool_call_chunk", "input_json_delta", "function_call"].includes(type);
}

function withoutIndex({ index: _, ...block }: Block): Block {
  return block as Block;
}

function callBlock({ id, name, args, argsText }: ToolCall, index: number, isDone: boolean): Block {
  if (!isDone) return { type: "tool_call_chunk", id, name, args: argsText, index };
  if (args) return { type: "tool_call", id, name, args };
  return { type: "invalid_tool_call", id, name, args: argsText, error: "the arguments are no JSON object" };
}

/** Return a state with the chunks among its messages as whole messages: LangChain's hooks know only those. */
export function valuesOf(values: unknown): unknown {
  if (!isRecord(values)) return values;
  const entries = Object.entries(values).map(([key, value]) => [
    key,
    Array.isArray(value) ? value.map(messageOf) : value,
  ]);
  return Object.fromEntries(entries);
}

function messageOf(item: unknown): unknown {
  if (!isRecord(item) || typeof item.type !== "string" || !item.type.endsWith("MessageChunk")) return item;
  return { ...item, type: item.type.replace(/MessageChunk$/, "").toLowerCase() };
}

/** Return whether `value` is an object with names. */
export function isRecord(value: unknown): value is { readonly [key: string]: unknown } {
  return typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}
