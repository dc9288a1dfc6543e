/** What a LangChain message holds, in the AI SDK's words: texts, reasoning, calls of tools, files, sources. */

import type { ProviderMetadata, UIMessageChunk } from "ai";
import type { Message } from "../messages.js";
import { isObject, type JsonObject } from "../protocol/json.js";

/** Text or reasoning that may still grow. */
export interface TextPart {
  readonly kind: "text" | "reasoning";
  text: string;
}

/** A call of a tool; `input` is undefined if `error` says why it cannot be read. */
export interface CallPart {
  readonly id: string;
  readonly name: string;
  readonly input: unknown;
  readonly error: string | undefined;
}

/** Blocks that repeat what `tool_calls` says. */
const CALLS = /^(tool_use|tool_call|tool_call_chunk|invalid_tool_call|input_json_delta|function_call)$/;
const MEDIA = /^(image|audio|video|file|image_url)$/;

/** Tell whether a message is a model's, as far as its type says. */
export const isFromModel = ({ type }: Message): boolean =>
  type === "ai" || type === "chat" || type.endsWith("MessageChunk");

/** Return the texts of a message in their order, and the chunks for what else it holds. */
export function partsOf(message: Message): { texts: TextPart[]; others: UIMessageChunk[] } {
  const { content, fields, call } = message;
  const texts: TextPart[] = [];
  const others: UIMessageChunk[] = [];
  const add = (kind: TextPart["kind"], text: unknown) => {
    if (typeof text !== "string" || !text) return;
    const last = texts.at(-1);
    if (last?.kind === kind) last.text += text;
    else texts.push({ kind, text });
  };
  if (isObject(fields.additional_kwargs)) add("reasoning", fields.additional_kwargs.reasoning_content);
  const blocks = typeof content === "string" ? [content] : content;
  for (const [index, block] of blocks.entries()) {
    if (!isObject(block)) {
      add("text", block);
      continue;
    }
    const id = `${call}:${index}`;
    const type = String(block.type ?? "text");
    if (type === "text") {
      add("text", block.text);
      for (const note of notesOf(block)) others.push(sourceOf(note, `${id}:${others.length}`));
    } else if (type === "reasoning") add("reasoning", block.reasoning ?? summaryOf(block.summary));
    else if (type === "thinking") add("reasoning", block.thinking);
    else if (!CALLS.test(type)) others.push(fileOf(block, type) ?? { type: "data-content", id, data: block });
  }
  return { texts, others };
}

function summaryOf(summary: unknown): string {
  return Array.isArray(summary) ? summary.map((item) => (isObject(item) ? item.text : "")).join("\n\n") : "";
}

function notesOf({ annotations, citations }: JsonObject): JsonObject[] {
  return [annotations, citations].flatMap((list) => (Array.isArray(list) ? list.filter(isObject) : []));
}

function sourceOf(note: JsonObject, sourceId: string): UIMessageChunk {
  const { url, title } = note;
  if (typeof url !== "string") return { type: "data-citation", id: sourceId, data: note };
  return { type: "source-url", sourceId, url, ...(typeof title === "string" && { title }) };
}

function fileOf(block: JsonObject, type: string): UIMessageChunk | undefined {
  if (!MEDIA.test(type)) return undefined;
  const { image_url: image } = block;
  const url = isObject(image) ? image.url : (image ?? block.url);
  const mediaType = String(block.mime_type ?? (type === "image_url" ? "image" : type));
  if (typeof url === "string") return { type: "file", url, mediaType };
  const base64 = block.base64 ?? block.data;
  if (typeof base64 !== "string" || !block.mime_type) return undefined;
  return { type: "file", url: `data:${mediaType};base64,${base64}`, mediaType };
}

/** Return the calls of a message that is complete. */
export function callsOf(message: Message): CallPart[] {
  const invalid = message.fields.invalid_tool_calls;
  const calls = message.toolCalls.map(({ id, name, args, argsText }, index) => ({
    id: id ?? `${message.call}:tool${index}`,
    name,
    input: args ?? argsText,
    error: args ? undefined : "the arguments are no JSON object",
  }));
  const known = new Set(calls.map(({ id }) => id));
  for (const [index, item] of (Array.isArray(invalid) ? invalid.filter(isObject) : []).entries()) {
    const id = String(item.id ?? `${message.call}:invalid${index}`);
    const error = String(item.error ?? "the arguments are no JSON object");
    if (!known.has(id)) calls.push({ id, name: String(item.name ?? ""), input: item.args as string, error });
  }
  return calls;
}

/** Return the calls of a message that is still written, as far as they have a name and an id. */
export function pendingCallsOf({ sent }: Message): { id: string; name: string; args: string }[] {
  const pieces = Array.isArray(sent.tool_call_chunks) ? sent.tool_call_chunks.filter(isObject) : [];
  return pieces.flatMap(({ id, name, args }) =>
    typeof id === "string" && name
      ? [{ id, name: String(name), args: typeof args === "string" ? args : "" }]
      : [],
  );
}

/** Return what a tool returned: data if its text is JSON of an object or a list, as LangChain's tool node writes it. */
export function outputOf({ content }: Message): unknown {
  if (typeof content !== "string" || !/^\s*[[{]/.test(content)) return content;
  try {
    return JSON.parse(content);
  } catch {
    return content;
  }
}

/** Return what a part says of its message under `providerMetadata.graphwire`. */
export function aboutOf(message: Message): ProviderMetadata {
  const { id, node, namespace, fields } = message;
  const { usage_metadata: usage, response_metadata: response } = fields;
  const about = { message: id, node, namespace: [...namespace], usage, response };
  const known = Object.entries(about).filter(([, value]) => value !== undefined);
  return { graphwire: Object.fromEntries(known) } as ProviderMetadata;
}
