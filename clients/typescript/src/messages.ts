/**
 * Messages, their pieces, and the view that adds the pieces up.
 *
 * The protocol's `deltas` define how pieces add up. The view adds them as they were sent; what is read of a message is
 * restored from the wire's tags, and its tool calls parsed, only when somebody looks.
 */

import { addDelta } from "./protocol/deltas.js";
import type { MessageData, SnapshotMessage } from "./protocol/frames.js";
import { isObject, type JsonObject } from "./protocol/json.js";
import { restore } from "./protocol/projection.js";

/** A call of a tool. `args` is undefined until `argsText` is complete JSON of an object. */
export interface ToolCall {
  readonly id: string | undefined;
  readonly name: string;
  readonly args: { readonly [key: string]: unknown } | undefined;
  readonly argsText: string;
}

/** What a client knows of a message beside its fields. */
export interface About {
  /** The call of a model that wrote it, unique in the run. */
  readonly call: string;
  /** LangGraph's metadata, `langgraph_node` and others. */
  readonly metadata: { readonly [key: string]: unknown };
  readonly namespace: readonly string[];
  readonly node: string | undefined;
  /** The size of a message that was too large to send: it has no content then. */
  readonly cutBytes: number | undefined;
}

/** A message, or a piece of one. It never changes; what comes later is in another object. */
export class Message implements About {
  declare readonly call: string;
  declare readonly metadata: { readonly [key: string]: unknown };
  declare readonly namespace: readonly string[];
  declare readonly node: string | undefined;
  declare readonly cutBytes: number | undefined;
  #fields: JsonObject | undefined;
  #toolCalls: readonly ToolCall[] | undefined;

  /** `sent` holds the flat fields as the wire has them; `fields` are the same without tags, if they are known. */
  constructor(
    readonly sent: JsonObject,
    about: About,
    fields?: JsonObject,
  ) {
    this.#fields = fields;
    const { call, metadata, namespace, node, cutBytes } = about;
    Object.assign(this, { call, metadata, namespace, node, cutBytes });
  }

  /** All fields of the message: `type`, `content`, `id`, `usage_metadata` and what else the model sent. */
  get fields(): { readonly [key: string]: unknown } {
    // The keys of a message belong to the protocol; only the values may be tagged.
    this.#fields ??= Object.fromEntries(
      Object.entries(this.sent).map(([key, value]) => [key, restore(value)]),
    );
    return this.#fields;
  }

  get id(): string | undefined {
    return this.sent.id as string | undefined;
  }

  /** `human`, `ai`, `system`, `tool`, `AIMessageChunk` while it is written, or another of LangChain's types. */
  get type(): string {
    return String(this.sent.type ?? "unknown");
  }

  /** Text, or a list of strings and content blocks (objects with a `type`). */
  get content(): string | readonly unknown[] {
    return (this.fields.content ?? "") as string | readonly unknown[];
  }

  /** The content if it is a string, else its text blocks joined. */
  get text(): string {
    const { content } = this;
    if (typeof content === "string") return content;
    return content
      .map((block) =>
        typeof block === "string"
          ? block
          : isObject(block) && (block.type ?? "text") === "text"
            ? block.text
            : "",
      )
      .join("");
  }

  /** The tool calls so far, assembled from their pieces. */
  get toolCalls(): readonly ToolCall[] {
    this.#toolCalls ??= toolCallsOf(this.fields);
    return this.#toolCalls;
  }

  /** Whether the model has said its last word. */
  get isComplete(): boolean {
    return this.sent.chunk_position === "last" || !this.type.endsWith("MessageChunk");
  }
}

function toolCallsOf({ tool_call_chunks, tool_calls }: { readonly [key: string]: unknown }): ToolCall[] {
  const list = [tool_call_chunks, tool_calls].find((calls) => Array.isArray(calls) && calls.length) as
    | unknown[]
    | undefined;
  return (list ?? []).filter(isObject).map(({ id, name, args }) => {
    const argsText = typeof args === "string" ? args : JSON.stringify(args ?? {});
    const parsed = parse(argsText || "{}");
    return {
      id: id as string | undefined,
      name: String(name ?? ""),
      args: isObject(parsed) ? parsed : undefined,
      argsText,
    };
  });
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The messages of a run so far, each the sum of its pieces, in the order in which they began. */
export class MessagesView {
  readonly #byCall = new Map<string, Message>();
  #list: readonly Message[] | undefined;

  /** A list that stays the same object until a message changes. */
  get list(): readonly Message[] {
    this.#list ??= [...this.#byCall.values()];
    return this.#list;
  }

  /** Return the message of this call so far. */
  get(call: string): Message | undefined {
    return this.#byCall.get(call);
  }

  /** Add the delta of a piece, or take a whole message in the place of what there is of its `call`. */
  add(piece: Message, delta: JsonObject | undefined, isDiscarded: boolean): void {
    const { call, id } = piece;
    const old = this.#byCall.get(call);
    this.#list = undefined;
    if (isDiscarded) this.#byCall.delete(call);
    else if (!old || !delta) this.#byCall.set(call, piece);
    else this.#byCall.set(call, new Message({ ...addDelta(old.sent, delta), id }, piece));
  }

  /** Drop the messages of these calls. */
  discard(calls: readonly string[]): void {
    for (const call of calls) if (this.#byCall.delete(call)) this.#list = undefined;
  }

  /** Take the messages of a snapshot in the place of all others. */
  replace(messages: readonly Message[]): void {
    this.#byCall.clear();
    this.#list = undefined;
    for (const message of messages) this.#byCall.set(message.call, message);
  }
}

/** Return what a message is known by: its id alone may come again with another message. */
export function callOf(message: MessageData | SnapshotMessage): string {
  return message.call ?? message.id;
}
