/**
 * The events of a run as chunks of one message of the AI SDK.
 *
 * A message of a model becomes parts as it grows: what a part has shown is remembered, and only the rest is sent. The
 * AI SDK takes parts back only a step at a time. So what the log takes back (a node that failed and began again) is
 * drawn anew if it belongs to the step that is open, and named by a part `data-revised` if not.
 *
 * A step begins with a model's message in another superstep than the last one's, once nothing is being written:
 * while something is, parts of the step must stay within reach.
 */

import type { ProviderMetadata, UIMessageChunk } from "ai";
import type { CustomEvent, Event, Interrupt, Status } from "../events.js";
import type { Message } from "../messages.js";
import { isObject } from "../protocol/json.js";
import { aboutOf, callsOf, isFromModel, outputOf, partsOf, pendingCallsOf, type TextPart } from "./parts.js";
import { asked, type OpenCall, QUESTION } from "./questions.js";

/** Makes the chunk that stands for custom data; undefined leaves it out. */
export type ToData = (event: CustomEvent) => UIMessageChunk | undefined;

interface Step {
  /** The superstep of the model's messages in it; undefined before the first. */
  superstep: string | undefined;
  /** What was shown in it, in order: calls of models, and chunks of other sorts. */
  readonly items: (string | UIMessageChunk)[];
}

/** What was shown of the message of one call of a model. */
interface Shown {
  readonly step: Step;
  readonly place: Place;
  readonly texts: (TextPart & { isOpen: boolean })[];
  /** How much of the arguments of each call of a tool was shown; Infinity once they are whole. */
  readonly args: Map<string, number>;
  isOpen: boolean;
}

interface Place {
  readonly namespace: string;
  readonly step: number;
}

/** Makes chunks of the events of one run, in order. */
export class Chunks {
  #out: UIMessageChunk[] = [];
  #step: Step | undefined;
  readonly #shown = new Map<string, Shown>();
  /** Calls of tools without an output, and the model's call that each is from, if it is shown here. */
  readonly #open = new Map<string, OpenCall & { from?: string | undefined }>();
  readonly #known = new Set<string>();
  /** Questions that were asked and not answered as far as the events say. */
  #asked: readonly Interrupt[] = [];

  /** `messages` are the run's so far; `known` are the calls of tools that the message shows already. */
  constructor(
    readonly messageId: string,
    readonly messages: () => readonly Message[],
    readonly toData: ToData = dataOf,
    known: ReadonlyMap<string, OpenCall & { isDone: boolean }> = new Map(),
  ) {
    for (const [id, { isDone, ...call }] of known) {
      this.#known.add(id);
      if (!isDone) this.#open.set(id, call);
    }
  }

  /** Begin a message; with `isContinued`, go on with one that has an answer now. */
  begin(isContinued: boolean): UIMessageChunk[] {
    this.#out = [];
    // The answered question stays behind in its step: the SDK sends again while it is in the last one. It takes note of
    // a step only with a chunk after it, of which there may be no other than the start.
    if (isContinued) this.#beginStep(undefined);
    this.#out.push({ type: "start", messageId: this.messageId });
    return this.#out;
  }

  /** Return the chunks for an event. */
  of(event: Event): UIMessageChunk[] {
    this.#out = [];
    switch (event.mode) {
      case "messages":
        if (event.discard) this.#revise(event.message.call);
        else this.#show(this.#find(event.message.call) ?? event.message);
        break;
      case "custom": {
        const { cutBytes: bytes } = event;
        const chunk =
          bytes === undefined ? this.toData(event) : { type: "data-cut" as const, data: { bytes } };
        if (chunk) this.#add(chunk);
        break;
      }
      case "interrupt":
        this.#ask(event.interrupts, event.node);
        break;
      case "lifecycle":
        for (const call of event.discard) this.#revise(call);
        if (event.status === "running") this.#settle();
        break;
      case "gap": {
        const { afterSeq, uptoSeq, reason, lost } = event;
        if (lost.length) this.#add({ type: "data-gap", data: { afterSeq, uptoSeq, reason, lost } });
        break;
      }
      case "snapshot":
        for (const message of event.messages) this.#show(message);
        if (event.values !== undefined) this.#state("values", event.namespace, event.values);
        if (event.status === "interrupted") this.#ask(event.interrupts, undefined);
        break;
      case "unknown":
        this.#add({ type: "data-unknown", data: { name: event.name, data: event.data } });
        break;
      default:
        this.#state(event.mode, event.namespace, event.data);
    }
    return this.#out;
  }

  /** End the message with the run, or at a question. */
  end(status: Status | undefined, reason: string | undefined): UIMessageChunk[] {
    this.#out = [];
    for (const message of this.messages()) {
      const shown = this.#shown.get(message.call);
      if (shown?.isOpen) this.#close(message, shown);
    }
    if (this.#step) this.#out.push({ type: "finish-step" });
    if (status === "cancelled") this.#out.push({ type: "abort", ...(reason !== undefined && { reason }) });
    const finishReason = { cancelled: "interrupted", interrupted: "tool-calls", completed: "stop" } as const;
    if (status !== "failed")
      this.#out.push({ type: "finish", finishReason: finishReason[status as "completed"] ?? "other" });
    return this.#out;
  }

  #find(call: string): Message | undefined {
    return this.messages().find((message) => message.call === call);
  }

  /** Send a chunk of its own, which is repeated if its step is drawn anew. */
  #add(chunk: UIMessageChunk): void {
    this.#step?.items.push(chunk);
    this.#out.push(chunk);
  }

  #state(mode: string, namespace: readonly string[], data: unknown): void {
    // A state takes the place of the one before; of the others each is a part.
    const id = mode === "values" && { id: ["values", ...namespace].join(":") };
    this.#add({ type: `data-${mode}`, ...id, data: { namespace, data } });
  }

  // ── steps ────────────────────────────────────────────────────────────────────────────────────

  #beginStep(superstep: string | undefined): Step {
    if (this.#step) this.#out.push({ type: "finish-step" });
    this.#out.push({ type: "start-step" });
    this.#step = { superstep, items: [] };
    return this.#step;
  }

  #begin(message: Message): Shown {
    const place = placeOf(message);
    for (const [call, shown] of this.#shown) {
      const older = shown.place.namespace === place.namespace && shown.place.step < place.step;
      if (shown.isOpen && older) this.#close(this.#find(call), shown);
    }
    const superstep = `${place.namespace} ${place.step}`;
    const isWriting = [...this.#shown.values()].some(({ isOpen }) => isOpen);
    let step = this.#step;
    if (!step || (step.superstep !== undefined && step.superstep !== superstep && !isWriting))
      step = this.#beginStep(superstep);
    step.superstep ??= superstep;
    step.items.push(message.call);
    const shown: Shown = { step, place, texts: [], args: new Map(), isOpen: true };
    this.#shown.set(message.call, shown);
    return shown;
  }

  // ── messages ─────────────────────────────────────────────────────────────────────────────────

  #show(message: Message): void {
    const { call, cutBytes, type } = message;
    if (cutBytes !== undefined)
      this.#add({ type: "data-cut", id: call, data: { message: call, bytes: cutBytes } });
    else if (isFromModel(message)) this.#say(message);
    else if (type === "tool") this.#output(message);
    else this.#add({ type: "data-message", id: call, data: message.fields });
  }

  #say(message: Message): void {
    const shown = this.#shown.get(message.call) ?? this.#begin(message);
    const { texts } = partsOf(message);
    if (!extend(shown, texts)) {
      this.#revise(message.call);
      return;
    }
    for (const [index, { kind, text }] of texts.entries()) {
      const id = `${message.call}:${index}`;
      let old = shown.texts[index];
      if (!old) {
        this.#endTexts(message.call, shown);
        old = { kind, text: "", isOpen: true };
        shown.texts.push(old);
        this.#out.push({ type: `${kind}-start`, id, providerMetadata: aboutOf(message) });
      }
      const delta = text.slice(old.text.length);
      if (delta) this.#out.push({ type: `${kind}-delta`, id, delta });
      old.text = text;
    }
    if (!shown.isOpen) return;
    for (const { id, name, args } of pendingCallsOf(message)) {
      const length = shown.args.get(id);
      if (length === undefined) {
        this.#endTexts(message.call, shown);
        this.#out.push({ type: "tool-input-start", toolCallId: id, toolName: name, providerExecuted: true });
      }
      const inputTextDelta = args.slice(length ?? 0);
      if (inputTextDelta) this.#out.push({ type: "tool-input-delta", toolCallId: id, inputTextDelta });
      shown.args.set(id, args.length);
    }
    if (message.isComplete) this.#close(message, shown);
  }

  #endTexts(call: string, shown: Shown, about?: ProviderMetadata): void {
    for (const [index, text] of shown.texts.entries()) {
      if (!text.isOpen) continue;
      text.isOpen = false;
      const more = about && { providerMetadata: about };
      this.#out.push({ type: `${text.kind}-end`, id: `${call}:${index}`, ...more });
    }
  }

  /** Show what is known only when a message is complete. */
  #close(message: Message | undefined, shown: Shown): void {
    shown.isOpen = false;
    if (!message) return;
    const about = aboutOf(message);
    this.#endTexts(message.call, shown, about);
    this.#out.push(...partsOf(message).others);
    for (const { id, name, input, error } of callsOf(message)) {
      const call = { toolCallId: id, toolName: name, input, providerExecuted: true, providerMetadata: about };
      this.#known.add(id);
      if (error === undefined) {
        this.#open.set(id, { name, input, from: message.call });
        this.#out.push({ type: "tool-input-available", ...call });
      } else this.#out.push({ type: "tool-input-error", ...call, errorText: error });
    }
  }

  #output(message: Message): void {
    const { tool_call_id, name, status, artifact } = message.fields;
    const toolCallId = String(tool_call_id);
    if (!this.#known.has(toolCallId)) {
      // The model's message was not shown, as by a filter.
      this.#known.add(toolCallId);
      const toolName = String(name ?? "unknown");
      this.#add({
        type: "tool-input-available",
        toolCallId,
        toolName,
        input: undefined,
        providerExecuted: true,
      });
    }
    this.#open.delete(toolCallId);
    const more = { providerExecuted: true, ...(artifact != null && { toolMetadata: { artifact } as never }) };
    if (status === "error")
      this.#add({ type: "tool-output-error", toolCallId, errorText: message.text, ...more });
    else this.#add({ type: "tool-output-available", toolCallId, output: outputOf(message), ...more });
  }

  /** Show a message as it is now, or that it is gone: what was shown of it does not hold. */
  #revise(call: string): void {
    const shown = this.#shown.get(call);
    if (!shown) return;
    const { step } = shown;
    if (step !== this.#step) {
      const message = this.#find(call);
      this.#shown.delete(call);
      this.#add({ type: "data-revised", id: call, data: { message: call, now: message?.fields ?? null } });
      return;
    }
    this.#out.push({ type: "reset-step" });
    const items = step.items.splice(0);
    const redrawn = items.filter((item) => typeof item === "string");
    for (const item of redrawn) this.#shown.delete(item);
    for (const [id, { from }] of this.#open) {
      if (from === undefined || !redrawn.includes(from)) continue;
      this.#open.delete(id);
      this.#known.delete(id);
    }
    for (const item of items) {
      if (typeof item !== "string") {
        this.#add(item);
        continue;
      }
      const message = this.#find(item);
      if (!message) continue;
      step.items.push(item);
      this.#shown.set(item, { step, place: placeOf(message), texts: [], args: new Map(), isOpen: true });
      this.#say(message);
    }
  }

  // ── questions ────────────────────────────────────────────────────────────────────────────────

  #ask(interrupts: readonly Interrupt[], node: string | undefined): void {
    if (!interrupts.length) this.#add({ type: "data-breakpoint", data: { node: node ?? null } });
    this.#asked = interrupts;
    for (const question of interrupts) for (const chunk of asked(question, this.#open)) this.#add(chunk);
  }

  /** The run runs again: whatever was asked is answered, and the log does not say how. */
  #settle(): void {
    for (const question of this.#asked) {
      for (const chunk of asked(question, this.#open)) {
        if (chunk.type !== "tool-approval-request") {
          this.#add({ type: "tool-output-available", toolCallId: question.id, output: null });
          continue;
        }
        const { toolCallId } = chunk;
        const { name, input } = this.#open.get(toolCallId) ?? { name: QUESTION, input: undefined };
        this.#add({
          type: "tool-input-available",
          toolCallId,
          toolName: name,
          input,
          providerExecuted: true,
        });
      }
    }
    this.#asked = [];
  }
}

/** Custom data that is a data part already is that part; any other is a part `data-custom`. */
export function dataOf({ data }: CustomEvent): UIMessageChunk {
  if (isObject(data) && typeof data.type === "string" && data.type.startsWith("data-") && "data" in data)
    return data as unknown as UIMessageChunk;
  return { type: "data-custom", data };
}

function placeOf({ namespace, metadata }: Message): Place {
  return { namespace: namespace.join("|"), step: Number(metadata.langgraph_step ?? 0) };
}

/** Tell whether `texts` are what was shown, and more of it. */
function extend({ texts: old }: Shown, texts: readonly TextPart[]): boolean {
  return old.every(({ kind, text, isOpen }, index) => {
    const now = texts[index];
    return now?.kind === kind && (isOpen ? now.text.startsWith(text) : now.text === text);
  });
}
