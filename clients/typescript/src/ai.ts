/**
 * A transport for the AI SDK's `useChat`: each chat is a thread of a graph, all of them on one connection.
 *
 *     const transport = new GraphwireChatTransport(client, "agent");
 *     const { messages, sendMessage } = useChat({ id, transport, resume: true });
 *
 * A message of the user starts a run, whose events become the parts of one message of the assistant; the message's id
 * is the run's. Nothing of the AI SDK is imported but types.
 */

import type { ChatTransport, UIMessage, UIMessageChunk } from "ai";
import { Chunks, dataOf, type ToData } from "./ai/chunks.js";
import { conversationOf, humanOf, messagesIn } from "./ai/conversation.js";
import { answersIn, type ToAnswer, toolPartsOf } from "./ai/questions.js";
import type { Client } from "./client.js";
import { isObject } from "./protocol/json.js";
import type { RunRow } from "./rows.js";
import type { Run } from "./run.js";
import type { Mode, RunOptions, ViewOptions } from "./streams.js";

export type { ToData } from "./ai/chunks.js";
export type { Approval, ToAnswer } from "./ai/questions.js";
export { dataOf };

/** What the AI SDK asks of a transport when the user sends. */
export type ChatRequest<M extends UIMessage = UIMessage> = Parameters<ChatTransport<M>["sendMessages"]>[0];

type Resume = Parameters<ChatTransport<UIMessage>["reconnectToStream"]>[0];

/** What of a run's start is the application's. */
export type ChatRun = Omit<RunOptions, keyof ViewOptions | "run" | "thread" | "checkpoint" | "command">;

/** The options of a `GraphwireChatTransport`. */
export interface ChatTransportOptions<M extends UIMessage = UIMessage>
  extends Omit<ViewOptions, "keys" | "start" | "values" | "signal" | "onHealed"> {
  /** Makes the graph's input; by default `{messages: [the last message], ...body}`. It must keep the message's id. */
  toInput?: ((request: ChatRequest<M>) => unknown) | undefined;
  /** How runs run: `context`, `config`, `metadata`, `ifBusy` and others, or a function that returns them. */
  run?: ChatRun | ((request: ChatRequest<M>) => ChatRun) | undefined;
  /** The thread of a chat; by default the chat's id. */
  thread?: ((chatId: string) => string) | undefined;
  /** What custom data becomes; `dataOf` by default. Undefined leaves it out. */
  toData?: ToData | undefined;
  /** Makes the answer to a question about calls of tools. */
  toAnswer?: ToAnswer | undefined;
  /** What `stop()` does: `cancel` the run, the default, or only `detach` from it. */
  onStop?: "cancel" | "detach" | undefined;
  /** The key of the state that holds the conversation; `messages` by default. */
  messagesKey?: string | undefined;
}

const LIVE = ["queued", "running", "interrupted"] as const;

/** Connects `useChat` to a graph, through a client that the application has made and may share. */
export class GraphwireChatTransport<M extends UIMessage = UIMessage> implements ChatTransport<M> {
  /** For the AI SDK: what it resumes is replayed from its beginning. */
  readonly resumeStreamIsReplay = true;
  readonly #key: string;
  readonly #modes: Mode[];
  /** Chats whose last run this transport has cancelled: its code may take a moment to stop. */
  readonly #stopped = new Set<string>();
  /** The runs whose messages `loadMessages` left to `reconnectToStream`, by chat. */
  readonly #left = new Map<string, string>();

  constructor(
    readonly client: ChatClient,
    /** The graph's name. */
    readonly graph: string,
    readonly options: ChatTransportOptions<M> = {},
  ) {
    this.#key = options.messagesKey ?? "messages";
    this.#modes = options.modes ?? ["messages", "custom"];
  }

  /**
   * For the AI SDK: start a run with the user's message, or give the answers that the assistant's message holds.
   *
   * A message that is edited, or whose answer is to be made again, starts at the checkpoint before it.
   */
  async sendMessages(request: ChatRequest<M>): Promise<ReadableStream<UIMessageChunk>> {
    const { chatId, messages, messageId, trigger, abortSignal } = request;
    refuseHeaders(request);
    const named = messages.find(({ id }) => id === messageId);
    const message = named?.role === "assistant" ? named : messages.at(-1);
    if (message?.role === "assistant") return this.#answer(request, message);
    if (message?.role !== "user")
      throw new TypeError("the last message is neither the user's nor the assistant's");
    const isAgain = trigger === "regenerate-message" || messageId !== undefined;
    const checkpoint = isAgain ? await this.#checkpointBefore(request, message) : undefined;
    const run = await this.#start(request, await this.#inputOf(request, message), { checkpoint });
    return this.#stream(
      run,
      new Chunks(run.id, () => run.messages, this.options.toData),
      chatId,
      abortSignal,
    );
  }

  /** For the AI SDK: show the run of a chat that is queued, running or interrupted; null if there is none. */
  async reconnectToStream(request: Resume): Promise<ReadableStream<UIMessageChunk> | null> {
    const { chatId, abortSignal: signal } = request;
    refuseHeaders(request);
    const id = this.#left.get(chatId) ?? (await this.#current(chatId, signal))?.run;
    this.#left.delete(chatId);
    if (id === undefined) return null;
    const row = await this.#rowOf(chatId, id, signal);
    if (!row) return null;
    const run = await this.client.attach(id, { ...this.#view(row), start: "start" });
    if (signal?.aborted) run.detach();
    signal?.throwIfAborted();
    return this.#stream(run, new Chunks(id, () => run.messages, this.options.toData), chatId, signal);
  }

  /**
   * Return a thread's messages, for `useChat({ messages, resume: true })` after a reload.
   *
   * What the run in progress has said so far is left out: `resume` shows it from its beginning.
   */
  async loadMessages(chatId: string, signal?: AbortSignal): Promise<M[]> {
    const row = await this.#current(chatId, signal);
    const thread = this.#threadOf(chatId);
    const read = async (checkpoint?: string) => {
      const options = { keys: [this.#key], signal, ...(checkpoint && { checkpoint }) };
      return messagesIn((await this.client.state(this.graph, thread, options)).values, this.#key);
    };
    const now = await read();
    this.#left.delete(chatId);
    if (!row || row.status === "queued" || row.checkpoint === undefined) return conversationOf(now) as M[];
    const before = row.checkpoint ? (await read(row.checkpoint)).length : 0;
    const said = now.slice(before).findIndex(({ type }) => type !== "human");
    this.#left.set(chatId, row.run);
    return conversationOf(said < 0 ? now : now.slice(0, before + said)) as M[];
  }

  /** Cancel what runs in a chat. */
  async cancel(chatId: string, reason?: string): Promise<void> {
    const row = await this.#current(chatId, undefined);
    if (row) await this.client.cancel(row.run, reason);
  }

  // ── starting ─────────────────────────────────────────────────────────────────────────────────

  #threadOf(chatId: string): string {
    return this.options.thread?.(chatId) ?? chatId;
  }

  async #inputOf(request: ChatRequest<M>, message: M): Promise<unknown> {
    const { toInput } = this.options;
    return toInput ? toInput(request) : { [this.#key]: [humanOf(message)], ...request.body };
  }

  #view(row?: RunRow): ViewOptions {
    const { namespaces, nodes, tags, exclude, window } = this.options;
    const modes = row ? this.#modes.filter((mode) => row.modes.includes(mode)) : this.#modes;
    return { modes: modes.length ? modes : ["lifecycle"], namespaces, nodes, tags, exclude, window };
  }

  async #start(request: ChatRequest<M>, input: unknown, more: RunOptions): Promise<Run> {
    const { chatId, metadata, abortSignal } = request;
    abortSignal?.throwIfAborted();
    const { run: given = {}, onStop } = this.options;
    const chosen = typeof given === "function" ? given(request) : given;
    const options = {
      // A run that was stopped holds its thread until its code has ended.
      ...(this.#stopped.delete(chatId) && { ifBusy: "enqueue" as const }),
      ...chosen,
      ...((chosen.metadata || isObject(metadata)) && {
        metadata: { ...chosen.metadata, ...(isObject(metadata) && metadata) },
      }),
      ...this.#view(),
      ...more,
      thread: this.#threadOf(chatId),
    };
    const starting = this.client.run(this.graph, input, options);
    return orAborted(starting, abortSignal, (run) => {
      run.detach();
      if (onStop !== "detach") this.#stop(chatId, run.id);
    });
  }

  /** Return the checkpoint in which the thread has not heard `message` yet; undefined if it never has. */
  async #checkpointBefore(
    { chatId, abortSignal: signal }: ChatRequest<M>,
    message: M,
  ): Promise<string | undefined> {
    const options = { keys: [this.#key], signal };
    let parent: unknown;
    for await (const state of this.client.stateHistory(this.graph, this.#threadOf(chatId), options)) {
      if (parent !== undefined && state.checkpoint !== parent) continue; // of another branch
      if (!messagesIn(state.values, this.#key).some(({ id }) => id === message.id)) {
        if (parent !== undefined) return state.checkpoint;
        break;
      }
      const above = state.parentConfig?.configurable;
      parent = isObject(above) ? above.checkpoint_id : undefined;
      if (parent === undefined)
        throw new Error(`thread of chat ${chatId}: no checkpoint is before message ${message.id}`);
    }
    if (parent !== undefined)
      throw new Error(`thread of chat ${chatId}: checkpoint ${String(parent)} is gone`);
    // A run that was stopped before it began left nothing; but an input without the id would be said twice.
    if (!this.options.toInput) return undefined;
    throw new Error(
      `thread of chat ${chatId} has no message ${message.id}: toInput must keep the ids of messages`,
    );
  }

  // ── answering ────────────────────────────────────────────────────────────────────────────────

  async #answer(request: ChatRequest<M>, message: M): Promise<ReadableStream<UIMessageChunk>> {
    const { chatId, abortSignal: signal } = request;
    const thread = this.#threadOf(chatId);
    const { interrupts, next } = await this.client.state(this.graph, thread, { keys: [this.#key], signal });
    const row = await first(this.#rows(chatId, ["interrupted"], signal));
    if (!row && !next.length) throw new Error(`chat ${chatId}: no question waits for an answer`);
    const answers = answersIn(message, interrupts, this.options.toAnswer);
    if (interrupts.length && !Object.keys(answers).length)
      throw new Error(`chat ${chatId}: no answer to ${interrupts.map(({ id }) => id).join(", ")}`);
    let run: Run;
    if (row) {
      run = await this.client.attach(row.run, {
        ...this.#view(row),
        start: { epoch: row.epoch, seq: row.head },
      });
      await orAborted(run.respond(answers), signal, () => this.#stop(chatId, run.id));
    } else run = await this.#start(request, undefined, { command: { resume: answers } });
    const known = toolPartsOf(message).map((part) => {
      const { toolCallId, type, input, state } = part;
      const name = part.type === "dynamic-tool" ? part.toolName : type.slice("tool-".length);
      return [toolCallId, { name, input, isDone: state.startsWith("output") }] as const;
    });
    const chunks = new Chunks(message.id, () => run.messages, this.options.toData, new Map(known));
    return this.#stream(run, chunks, chatId, signal, true);
  }

  // ── streaming ────────────────────────────────────────────────────────────────────────────────

  /** Return the run's events as chunks, made as they are read: a page that is slow slows down its stream only. */
  #stream(
    run: Run,
    chunks: Chunks,
    chatId: string,
    signal: AbortSignal | undefined,
    isContinued = false,
  ): ReadableStream<UIMessageChunk> {
    const events = run[Symbol.asyncIterator]();
    let reason: string | undefined;
    let stop = () => {};
    const leave = () => {
      signal?.removeEventListener("abort", stop);
      run.detach();
    };
    return new ReadableStream<UIMessageChunk>({
      start: (controller) => {
        for (const chunk of chunks.begin(isContinued)) controller.enqueue(chunk);
        stop = () => {
          leave();
          if (this.options.onStop !== "detach") this.#stop(chatId, run.id);
          controller.close();
        };
        if (signal?.aborted) stop();
        else signal?.addEventListener("abort", stop);
      },
      pull: async (controller) => {
        try {
          for (let count = 0; !count && !signal?.aborted; ) {
            const { value: event, done } = await events.next();
            if (signal?.aborted) return;
            if (!done && event.mode === "lifecycle") reason = event.reason;
            const made = done ? chunks.end(run.status, reason) : chunks.of(event);
            for (const chunk of made) controller.enqueue(chunk);
            count = made.length;
            if (!done) continue;
            leave();
            if (run.status === "failed") await run.result(); // throws what it failed with
            controller.close();
            return;
          }
        } catch (error) {
          leave();
          if (!signal?.aborted) throw error;
        }
      },
      cancel: leave,
    });
  }

  #stop(chatId: string, run: string): void {
    this.#stopped.add(chatId);
    this.client
      .cancel(run, "stopped")
      .catch((error) => console.error(`graphwire: ${run} was not stopped`, error));
  }

  // ── finding runs ─────────────────────────────────────────────────────────────────────────────

  #rows(
    chatId: string,
    status: readonly RunRow["status"][],
    signal: AbortSignal | undefined,
  ): AsyncIterable<RunRow> {
    return this.client.runs({
      graph: this.graph,
      thread: this.#threadOf(chatId),
      status: [...status],
      signal,
    });
  }

  /** Return the run of a chat that is executing, else the newest that waits for its turn or an answer. */
  async #current(chatId: string, signal: AbortSignal | undefined): Promise<RunRow | undefined> {
    let found: RunRow | undefined;
    for await (const row of this.#rows(chatId, LIVE, signal))
      if (!found || (row.status === "running" && found.status !== "running")) found = row;
    return found;
  }

  async #rowOf(chatId: string, id: string, signal: AbortSignal | undefined): Promise<RunRow | undefined> {
    const graph = this.graph;
    for await (const row of this.client.runs({ graph, thread: this.#threadOf(chatId), signal }))
      if (row.run === id) return row;
    return undefined;
  }
}

/** What the transport needs of a client, whatever its graphs' types are. */
export type ChatClient = Pick<Client, "run" | "attach" | "runs" | "state" | "stateHistory" | "cancel">;

function refuseHeaders({ headers }: { headers?: Record<string, string> | Headers | undefined }): void {
  const names = [...new Headers(headers).keys()];
  if (names.length)
    throw new TypeError(
      `headers (${names.join(", ")}) cannot be sent: the connection is open; use token, or body`,
    );
}

async function first<T>(items: AsyncIterable<T>): Promise<T | undefined> {
  for await (const item of items) return item;
  return undefined;
}

/** Wait for `promise`, but not longer than until `signal` is aborted; `late` gets what comes afterwards. */
async function orAborted<T>(
  promise: Promise<T>,
  signal: AbortSignal | undefined,
  late: (value: T) => void,
): Promise<T> {
  if (!signal) return promise;
  let abort = () => {};
  const aborted = new Promise<never>((_, reject) => {
    abort = () => reject(signal.reason);
    signal.addEventListener("abort", abort);
  });
  try {
    return await Promise.race([promise, aborted]);
  } catch (error) {
    if (signal.aborted) promise.then(late, () => {});
    throw error;
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
