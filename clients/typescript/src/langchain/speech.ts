/**
 * The messages of a run as events of the channels `messages` and `tools`.
 *
 * LangChain's hooks keep one open message for each namespace and node. So each message gets a place of its own: a
 * message of the root graph a `node` of its own, one of a subgraph a namespace below that of its subgraph.
 */

import type { Message, MessagesEvent } from "../index.js";
import { type Block, blocksOf, roleOf } from "./blocks.js";

/** Sends an event: its channel, its namespace, its data, and its node. */
export type Emit = (method: string, namespace: readonly string[], data: unknown, node?: string) => void;

/** What was sent of a message. */
interface Said {
  readonly id: string;
  readonly graph: readonly string[];
  readonly namespace: readonly string[];
  readonly node: string | undefined;
  blocks: Block[];
  isDone: boolean;
}

/** What the messages of one run are sent as. */
export class Speech {
  readonly #said = new Map<string, Said>();
  readonly #asked = new Map<string, readonly string[]>(); // tool calls without a result: their namespace

  constructor(readonly emit: Emit) {}

  /** Send what a piece adds. `sum` returns the message so far. */
  add({ message: piece, isWhole }: MessagesEvent, sum: () => Message | undefined): void {
    const said = this.#said.get(piece.call);
    const { content } = piece;
    const isText = !isWhole && typeof content === "string" && !piece.toolCalls.length;
    const [block, ...others] = said?.blocks ?? [];
    if (!said || said.isDone || !isText || block?.type !== "text" || others.length) {
      const message = sum() ?? piece;
      this.show(message);
    } else {
      // The common case, without looking at what was sent before.
      if (content) this.#append(said, 0, String(content));
      if (piece.isComplete) this.show(sum() ?? piece);
    }
  }

  /** Send what a message has and was not sent yet. */
  show(message: Message): void {
    const said = this.#said.get(message.call) ?? this.#begin(message);
    const blocks = blocksOf(message, message.isComplete);
    if (said.isDone) {
      if (JSON.stringify(blocks) === JSON.stringify(said.blocks)) return;
      this.#begin(message); // it was replaced by another text
      this.show(message);
      return;
    }
    if (!message.isComplete) {
      for (const [index, block] of blocks.entries()) this.#put(said, index, block);
      return;
    }
    this.#finish(said, blocks, message);
  }

  /** Finish the messages of a graph that are open: its step is over. `sum` returns the message of a call. */
  finish(graph: readonly string[] | undefined, sum: (call: string) => Message | undefined): void {
    for (const [call, said] of this.#said) {
      if (said.isDone || (graph && said.graph.join("\0") !== graph.join("\0"))) continue;
      const message = sum(call);
      const blocks = message ? blocksOf(message, true) : said.blocks;
      this.#finish(said, blocks, message);
    }
  }

  /** Take back a message whose node begins again; return its id if it was sent for the root graph. */
  discard(call: string): string | undefined {
    const said = this.#said.get(call);
    if (!said) return undefined;
    this.#said.delete(call);
    this.#tell(said, { event: "message-start", role: "ai", id: said.id });
    this.#tell(said, { event: "message-finish" });
    return said.graph.length ? undefined : said.id;
  }

  /** Say of the tools that have no result that they get none. */
  fail(message: string): void {
    for (const [id, namespace] of this.#asked)
      this.emit("tools", namespace, { event: "tool-error", tool_call_id: id, message });
    this.#asked.clear();
  }

  #begin(message: Message): Said {
    const { call, namespace: graph, node: name, metadata } = message;
    const node = name ?? (metadata.langgraph_node as string | undefined) ?? "node";
    const namespace = graph.length ? [...graph, `${node}:${call}`] : [];
    const id = message.id ?? call;
    const said: Said = { id, graph, namespace, node: `${node}:${call}`, blocks: [], isDone: false };
    this.#said.set(call, said);
    const role = roleOf(message);
    const { tool_call_id } = message.fields;
    this.#tell(said, { event: "message-start", role, id, ...(tool_call_id ? { tool_call_id } : {}) });
    return said;
  }

  #put(said: Said, index: number, block: Block): void {
    const old = said.blocks[index];
    const [before, now] = [old?.text, block.text];
    if (old?.type === "text" && typeof before === "string" && typeof now === "string") {
      if (now === before) return;
      if (now.startsWith(before)) {
        this.#append(said, index, now.slice(before.length));
        return;
      }
    } else if (JSON.stringify(old) === JSON.stringify(block)) return;
    said.blocks[index] = block;
    this.#tell(said, { event: "content-block-start", index, content: block });
  }

  #append(said: Said, index: number, text: string): void {
    const block = said.blocks[index] as Block;
    said.blocks[index] = { ...block, text: `${block.text}${text}` };
    this.#tell(said, { event: "content-block-delta", index, delta: { type: "text-delta", text } });
  }

  #finish(said: Said, blocks: Block[], message: Message | undefined): void {
    for (const [index, content] of blocks.entries())
      this.#tell(said, { event: "content-block-finish", index, content });
    said.blocks = blocks;
    said.isDone = true;
    const { usage_metadata: usage, tool_call_id, status } = message?.fields ?? {};
    this.#tell(said, { event: "message-finish", ...(usage ? { usage } : {}) });
    for (const { id, name, args, argsText } of message?.toolCalls ?? []) {
      if (!id || this.#asked.has(id)) continue;
      this.#asked.set(id, said.graph);
      const input = args ?? argsText;
      this.emit("tools", said.graph, { event: "tool-started", tool_call_id: id, tool_name: name, input });
    }
    if (typeof tool_call_id !== "string" || !message) return;
    const namespace = this.#asked.get(tool_call_id) ?? said.graph;
    this.#asked.delete(tool_call_id);
    const result =
      status === "error"
        ? { event: "tool-error", message: message.text }
        : { event: "tool-finished", output: { type: "tool", content: message.content, tool_call_id } };
    this.emit("tools", namespace, { ...result, tool_call_id });
  }

  #tell(said: Said, data: unknown): void {
    this.emit("messages", said.namespace, data, said.node);
  }
}
