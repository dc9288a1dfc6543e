/**
 * The events of one run as events of LangChain's protocol.
 *
 * A run that is found in its middle is replayed: what the hooks would show and take back again, older states and
 * pieces of messages, is left out until the replay is over, and then sent once as it is now.
 */

import type { Event, Interrupt, LifecycleEvent, Message, Run } from "../index.js";
import { isRecord, valuesOf } from "./blocks.js";
import { type Emit, Speech } from "./speech.js";

/** The statuses behind which nothing comes. */
const ENDS = ["completed", "failed", "cancelled"];

/** Translates the events of one run, in their order. */
export class RunEvents {
  readonly #speech: Speech;
  readonly #subgraphs = new Map<string, readonly string[]>(); // those that run
  readonly #asked = new Set<string>();
  #interrupts: readonly Interrupt[] = [];
  #last: LifecycleEvent | undefined;
  #values: { readonly [key: string]: unknown } | undefined;
  #isRunning = false;
  isOver = false;

  constructor(
    readonly run: Run,
    readonly graph: string,
    readonly emit: Emit,
    public isReplaying: boolean,
  ) {
    this.#speech = new Speech(emit);
  }

  /** Send what an event of the run becomes. */
  read(event: Event): void {
    if (event.mode === "lifecycle") {
      this.#last = event;
      if (event.status === "running") this.#begin();
    }
    if (event.mode === "interrupt") this.#interrupts = event.interrupts;
    if (event.mode === "snapshot") {
      this.#interrupts = event.interrupts;
      if (event.status !== "queued") this.#begin();
    }
    if (event.namespace.length) this.#enter(event.namespace);
    switch (event.mode) {
      case "values":
        if (event.namespace.length) this.emit("values", event.namespace, valuesOf(event.data));
        else if (!this.isReplaying) this.#showValues(event.data);
        if (!this.isReplaying) this.#speech.finish(event.namespace, this.#messageOf);
        break;
      case "updates":
        for (const [node, values] of Object.entries(event.data)) {
          this.emit("updates", event.namespace, { node, values }, node);
          this.#leave([...event.namespace, node]);
        }
        break;
      case "custom":
        this.emit("custom", event.namespace, customOf(event.data), event.node);
        break;
      case "messages":
        if (this.isReplaying) break;
        if (event.discard) this.#discard(event.message.call);
        else this.#speech.add(event, () => this.#messageOf(event.message.call));
        break;
      case "lifecycle":
        if (!this.isReplaying) this.#change(event);
        break;
      case "interrupt":
        if (!this.isReplaying) this.#ask();
        break;
      case "snapshot":
        if (!this.isReplaying) this.#showAll();
    }
  }

  /** The replay is over: send the run as it is now. */
  goLive(): void {
    if (!this.isReplaying) return;
    this.isReplaying = false;
    this.#showAll();
    if (this.#last && this.#last.status !== "running") this.#change(this.#last);
  }

  /** The run is lost to us, for a reason. */
  fail(reason: string): void {
    if (!this.isOver && this.#isRunning) this.#end("failed", reason);
    this.isOver = true;
  }

  readonly #messageOf = (call: string): Message | undefined =>
    this.run.messages.find((message) => message.call === call);

  #begin(): void {
    if (this.#isRunning) return;
    this.#isRunning = true;
    this.emit("lifecycle", [], { event: "running", graph_name: this.graph });
  }

  #change({ status, reason, error, discard }: LifecycleEvent): void {
    for (const call of discard) this.#discard(call);
    if (status === "running") this.#asked.clear();
    if (status === "running" || status === "queued") return;
    this.#speech.finish(undefined, this.#messageOf);
    this.isOver = ENDS.includes(status);
    if (status === "interrupted") {
      this.#ask();
      this.#isRunning = false;
      this.emit("lifecycle", [], { event: "interrupted" });
    } else if (status === "failed") {
      const { code = "unknown", message = "the run failed", type } = error ?? {};
      this.#end("failed", `${type ? `${type}: ` : ""}${message} (${code})`);
    } else if (status === "completed") this.#end("completed");
    // A run that makes way for another one is not what the hook waits for.
    else if (reason !== "superseded") this.#end("interrupted", reason ?? "the run was cancelled");
    else this.#close("interrupted", "another run took over");
  }

  #end(event: string, error?: string): void {
    this.#close(event, error);
    this.emit("lifecycle", [], event === "failed" ? { event, error } : { event });
  }

  #close(event: string, error?: string): void {
    if (error) this.#speech.fail(error);
    for (const path of [...this.#subgraphs.values()].reverse()) this.emit("lifecycle", path, { event });
    this.#subgraphs.clear();
    this.#isRunning = false;
  }

  #ask(): void {
    for (const { id, value, namespace } of this.#interrupts) {
      if (this.#asked.has(id)) continue;
      this.#asked.add(id);
      this.emit("input.requested", namespace, { interrupt_id: id, payload: value, value });
    }
  }

  #showAll(): void {
    if (this.run.values !== undefined) this.#showValues(this.run.values);
    for (const message of this.run.messages) this.#speech.show(message);
  }

  #showValues(data: unknown): void {
    const values = valuesOf(data);
    if (isRecord(values)) this.#values = values;
    this.emit("values", [], values);
  }

  /** Take a message back. The hooks drop a message when a state has it and the next has it not. */
  #discard(call: string): void {
    const id = this.#speech.discard(call);
    const { messages } = this.#values ?? {};
    if (!id || !Array.isArray(messages) || !messages.length) return;
    this.emit("values", [], { ...this.#values, messages: [...messages, { type: "ai", id, content: "" }] });
    this.emit("values", [], this.#values);
  }

  #enter(namespace: readonly string[]): void {
    for (let length = 1; length <= namespace.length; length++) {
      const path = namespace.slice(0, length);
      if (this.#subgraphs.has(path.join("\0"))) continue;
      this.#subgraphs.set(path.join("\0"), path);
      this.emit("lifecycle", path, { event: "started", graph_name: path.at(-1)?.split(":", 1)[0] });
    }
  }

  #leave(node: readonly string[]): void {
    const own = node.join("\0");
    for (const [key, path] of this.#subgraphs) {
      if (key !== own && !key.startsWith(`${own}:`) && !key.startsWith(`${own}\0`)) continue;
      this.#subgraphs.delete(key);
      this.emit("lifecycle", path, { event: "completed" });
    }
  }
}

/** What a node writes as `{name, payload}` is of the channel `custom:<name>`; everything else has no name. */
function customOf(data: unknown): { name?: string | undefined; payload: unknown } {
  const isNamed =
    isRecord(data) && typeof data.name === "string" && Object.keys(data).sort().join() === "name,payload";
  return isNamed ? (data as { name: string; payload: unknown }) : { payload: data };
}
