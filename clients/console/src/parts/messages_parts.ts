/** What a message holds, as it is shown: its role, texts, reasoning, calls of tools, other content, usage. */

import type { Message, ToolCall } from "graphwire";

export type Role = "human" | "ai" | "system" | "tool" | "other";

/** A piece of a message's content, in order. */
export type Part =
  | { readonly kind: "text" | "reasoning"; text: string }
  | { readonly kind: "file"; readonly label: string; readonly url: string | undefined }
  | { readonly kind: "data"; readonly label: string; readonly value: unknown };

export interface Usage {
  readonly input: number | undefined;
  readonly output: number | undefined;
  readonly model: string | undefined;
}

/** A call of a tool and what came back, as far as it has. */
export interface Call extends ToolCall {
  readonly result: Message | undefined;
  /** Why the arguments cannot be read. */
  readonly problem: string | undefined;
}

type Fields = { readonly [key: string]: unknown };

const isFields = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Map);

/** Blocks that say again what the calls of tools say. */
const OF_CALLS =
  /^(tool_use|tool_call|tool_call_chunk|invalid_tool_call|input_json_delta|function_call|server_tool_call_chunk)$/;
const OF_FILES = /^(image|image_url|audio|video|file|document)$/;

/** Return who speaks. */
export function roleOf({ type }: Pick<Message, "type">): Role {
  if (type === "human" || type === "user" || type.startsWith("Human")) return "human";
  if (type === "ai" || type === "assistant" || type === "chat" || type.startsWith("AI")) return "ai";
  if (type === "system" || type === "developer" || type.startsWith("System")) return "system";
  if (type === "tool" || type === "function" || /^(Tool|Function)/.test(type)) return "tool";
  return "other";
}

/** Return what the message says, in its order; texts that follow each other are one. */
export function partsOf({ content, fields }: Message): readonly Part[] {
  const parts: Part[] = [];
  const add = (kind: "text" | "reasoning", text: unknown) => {
    if (typeof text !== "string" || !text) return;
    const last = parts.at(-1);
    if (last?.kind === kind) last.text += text;
    else parts.push({ kind, text });
  };
  const { additional_kwargs: more } = fields;
  if (isFields(more)) add("reasoning", more.reasoning_content);
  const blocks: readonly unknown[] = Array.isArray(content) ? content : [content];
  for (const block of blocks) {
    if (!isFields(block)) {
      if (typeof block === "string") add("text", block);
      else if (block !== undefined && block !== null)
        parts.push({ kind: "data", label: "content", value: block });
      continue;
    }
    const type = String(block.type ?? "text");
    if (type === "text" || type === "output_text") add("text", block.text);
    else if (type === "reasoning")
      add("reasoning", block.reasoning ?? summaryIn(block.summary) ?? block.text);
    else if (type === "thinking") add("reasoning", block.thinking);
    else if (type === "refusal") add("text", block.refusal);
    else if (OF_FILES.test(type)) parts.push(fileOf(block, type));
    else if (!OF_CALLS.test(type)) parts.push({ kind: "data", label: type, value: block });
  }
  return parts;
}

function summaryIn(summary: unknown): string | undefined {
  if (!Array.isArray(summary)) return undefined;
  return summary.map((item) => (isFields(item) ? String(item.text ?? "") : "")).join("\n\n");
}

function fileOf(block: Fields, type: string): Part {
  const { image_url: image, filename, mime_type: mime, base64, data } = block;
  const url = isFields(image) ? image.url : (image ?? block.url);
  const kind = type.replace("_url", "");
  const name = typeof filename === "string" ? filename : typeof mime === "string" ? mime : kind;
  const bytes = [base64, data, url].find((value) => typeof value === "string");
  const isInline = typeof url !== "string" || url.startsWith("data:");
  const size = isInline && typeof bytes === "string" ? `, about ${sizeOf((bytes.length * 3) / 4)}` : "";
  return { kind: "file", label: `${name}${size}`, url: isInline ? undefined : (url as string) };
}

/** Return a number of bytes as people read it. */
export function sizeOf(bytes: number): string {
  if (bytes < 1024) return `${Math.round(bytes)} B`;
  if (bytes < 1024 * 1024) return `${Math.round(bytes / 1024)} KiB`;
  return `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
}

/** Return the calls of a message, those whose arguments a model got wrong included. */
export function callsOf(message: Message, results: ReadonlyMap<string, Message> = NONE): readonly Call[] {
  const resultOf = (id: string | undefined) => (id === undefined ? undefined : results.get(id));
  const calls: Call[] = message.toolCalls.map((call) => ({
    ...call,
    result: resultOf(call.id),
    problem: undefined,
  }));
  const { invalid_tool_calls: invalid } = message.fields;
  for (const item of Array.isArray(invalid) ? invalid.filter(isFields) : []) {
    const id = typeof item.id === "string" ? item.id : undefined;
    if (calls.some((call) => call.id === id && call.argsText === String(item.args ?? ""))) continue;
    const problem = String(item.error ?? "the arguments are no JSON object");
    const argsText = String(item.args ?? "");
    calls.push({
      id,
      name: String(item.name ?? ""),
      args: undefined,
      argsText,
      result: resultOf(id),
      problem,
    });
  }
  return calls;
}

const NONE: ReadonlyMap<string, Message> = new Map();

/**
 * Finds the results of tools by the id of the call; those of calls that no message makes are left out.
 *
 * Of a list that grows at its end only the end is looked at, and the map stays the same object until a result comes.
 */
export class Results {
  #seen: readonly Message[] = [];
  #made = new Set<string>();
  #found: ReadonlyMap<string, Message> = new Map();

  /** Return the results among these messages. */
  in(messages: readonly Message[]): ReadonlyMap<string, Message> {
    let from = 0;
    while (from < this.#seen.length && this.#seen[from] === messages[from]) from += 1;
    if (from < this.#seen.length - 1) {
      from = 0; // another list, such as another branch of the thread
      this.#made = new Set();
      this.#found = new Map();
    }
    const found = new Map<string, Message>();
    for (const message of messages.slice(from)) {
      const { answers, makes } = linksOf(message);
      if (answers !== undefined && this.#made.has(answers)) found.set(answers, message);
      for (const id of makes) this.#made.add(id);
    }
    this.#seen = messages;
    const isNew = [...found].some(([id, message]) => this.#found.get(id) !== message);
    if (isNew) this.#found = new Map([...this.#found, ...found]);
    return this.#found;
  }
}

interface Links {
  /** The id of the call whose result the message is. */
  readonly answers: string | undefined;
  /** The ids of the calls that it makes. */
  readonly makes: readonly string[];
}

/** A message never changes, so what it is linked to is found once: a page may have ten thousand. */
const links = new WeakMap<Message, Links>();

function linksOf(message: Message): Links {
  const known = links.get(message);
  if (known) return known;
  const isTool = roleOf(message) === "tool";
  const { tool_call_id: id } = isTool ? message.fields : ({} as Fields);
  const found = {
    answers: typeof id === "string" ? id : undefined,
    makes: isTool ? [] : callsOf(message).flatMap((call) => call.id ?? []),
  };
  links.set(message, found);
  return found;
}

/** Return the messages that stand for themselves: all but the results that are shown with their calls. */
export function shownOf(
  messages: readonly Message[],
  results: ReadonlyMap<string, Message>,
): readonly Message[] {
  if (!results.size) return messages;
  const hidden = new Set(results.values());
  return messages.filter((message) => !hidden.has(message));
}

/** Return what the model used for the message; undefined if it does not say. */
export function usageOf({ fields }: Message): Usage | undefined {
  const { usage_metadata: usage, response_metadata: response } = fields;
  const tokens = isFields(usage) ? usage : {};
  const about = isFields(response) ? response : {};
  const model = [about.model_name, about.model].find((name) => typeof name === "string");
  const found = {
    input: typeof tokens.input_tokens === "number" ? tokens.input_tokens : undefined,
    output: typeof tokens.output_tokens === "number" ? tokens.output_tokens : undefined,
    model: model as string | undefined,
  };
  return Object.values(found).some((value) => value !== undefined) ? found : undefined;
}

/** Return arguments, or any value, in one short line. */
export function gistOf(value: unknown, longest = 120): string {
  const text = isFields(value)
    ? Object.entries(value)
        .map(([name, item]) => `${name}: ${json(item)}`)
        .join(", ")
    : json(value);
  const line = text
    .slice(0, longest * 4)
    .replace(/\s+/g, " ")
    .trim();
  return line.length > longest ? `${line.slice(0, longest - 1)}…` : line;
}

function json(value: unknown): string {
  if (typeof value === "string" || typeof value === "bigint") return String(value);
  try {
    return (
      JSON.stringify(value, (_, item) => (typeof item === "bigint" ? String(item) : item)) ?? String(value)
    );
  } catch {
    return String(value);
  }
}

/** Return what a tool returned: data if its text is JSON of an object or a list. */
export function resultOf({ content, text }: Message): unknown {
  if (typeof content !== "string") return content;
  if (!/^\s*[[{]/.test(content)) return text;
  try {
    return JSON.parse(content);
  } catch {
    return text;
  }
}
