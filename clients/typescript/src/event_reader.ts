/**
 * How the frames of a run become its events.
 *
 * An `EventReader` restores values from the wire's tags, remembers the metadata that the server sends only once for
 * each call of a model, and keeps the view of the messages.
 */

import {
  cutBytes,
  type Event,
  failureOf,
  type GapEvent,
  type Interrupt,
  interruptsOf,
  type RunEvent,
} from "./events.js";
import { type About, callOf, Message, MessagesView } from "./messages.js";
import type * as frames from "./protocol/frames.js";
import { isObject, type JsonObject } from "./protocol/json.js";
import { restore } from "./protocol/projection.js";
import { STATUSES } from "./protocol/tables.js";

/** The modes whose events hold what LangGraph yields; a test compares them with the protocol's. */
const DATA = /^(values|updates|custom|tasks|checkpoints|debug)$/;

/** Makes events of the frames of one run, in order, across all its subscriptions. */
export class EventReader<S> {
  readonly messages = new MessagesView();
  /** The latest state of the root that was read. */
  values: S | undefined;
  readonly #metadata = new Map<string, JsonObject>();
  #gap: GapEvent | undefined;

  constructor(readonly run: string) {}

  read(frame: frames.Event | frames.Gap | frames.Snapshot): Event<S> {
    if (frame.type === "event") return this.#event(frame);
    return frame.type === "gap" ? this.#gapped(frame) : this.#snapshot(frame);
  }

  #base(frame: { seq: number; ns?: string[] | undefined; node?: string | undefined }): RunEvent {
    return {
      run: this.run,
      seq: frame.seq,
      namespace: frame.ns ?? [],
      node: frame.node,
      cutBytes: undefined,
    };
  }

  #event(frame: frames.Event): Event<S> {
    const { mode } = frame;
    const base = this.#base(frame);
    const unknown = { ...base, mode: "unknown", name: mode, data: frame.data } as const;
    if (mode === "messages") return this.#message(frame, base) ?? unknown;
    if (mode === "lifecycle") {
      const life = lifecycleIn(frame.data);
      if (!life) return unknown;
      const { status, attempt, at, reason, discard = [], void_after: voidAfter } = life;
      this.messages.discard(discard);
      return { ...base, mode, status, attempt, at, reason, discard, voidAfter, error: failureOf(life.error) };
    }
    if (mode === "interrupt") {
      const interrupts = interruptsIn(frame.data);
      return interrupts ? { ...base, mode, interrupts } : unknown;
    }
    if (!DATA.test(mode)) return unknown;
    const data = restore(frame.data);
    const size = cutBytes(data);
    if (mode === "values" && !base.namespace.length && size === undefined) this.values = data as S;
    const interrupts = frame.interrupts && interruptsOf(frame.interrupts);
    return { ...base, mode, data, cutBytes: size, interrupts, taskNamespace: frame.task_ns } as Event<S>;
  }

  /** Return undefined for data that this version does not know: the application gets it as it is. */
  #message(frame: frames.Event, base: RunEvent): Event<S> | undefined {
    const data = frame.data as frames.MessageData & { $cut?: unknown };
    if (!isObject(data)) return undefined;
    const { id, delta, $cut, discard = false } = data;
    const isWhole = delta === undefined;
    const part = delta ?? data.message ?? ($cut && { type: "unknown", $cut });
    if (!isObject(part) || !($cut || id)) return undefined;
    const call = callOf(data) ?? ""; // an older server names no message that it cut
    const about: About = {
      call,
      metadata: this.#remember(call, frame.meta),
      namespace: base.namespace,
      node: base.node,
      // A piece of a message that was too large for the snapshot adds to nothing.
      cutBytes: isWhole || discard ? cutBytes(part) : this.messages.get(call)?.cutBytes,
    };
    const message = new Message({ type: "AIMessageChunk", ...part, id }, about);
    this.messages.add(message, delta, discard);
    return { ...base, mode: "messages", message, isWhole, discard, cutBytes: about.cutBytes };
  }

  #remember(call: string, meta: JsonObject | undefined): JsonObject {
    if (meta) this.#metadata.set(call, restore(meta) as JsonObject);
    return this.#metadata.get(call) ?? {};
  }

  #gapped({ after_seq: afterSeq, upto_seq: seq, reason, lost }: frames.Gap): GapEvent {
    this.#gap = { ...this.#base({ seq }), mode: "gap", afterSeq, uptoSeq: seq, reason, lost };
    return this.#gap;
  }

  #snapshot(frame: frames.Snapshot): Event<S> {
    const messages = frame.messages.map((item) => {
      const call = callOf(item);
      const metadata = this.#remember(call, item.meta);
      return new Message(
        { ...item.message, id: item.id },
        { call, metadata, namespace: item.ns ?? [], node: item.node, cutBytes: cutBytes(item.message) },
      );
    });
    this.messages.replace(messages);
    const values = frame.values === null ? undefined : (restore(frame.values) as S | undefined);
    if (values !== undefined) this.values = values;
    const heals = this.#gap;
    this.#gap = undefined;
    const { status } = frame;
    return {
      ...this.#base(frame),
      mode: "snapshot",
      status,
      values,
      messages,
      interrupts: interruptsOf(frame.interrupts),
      heals,
    };
  }
}

/** Return the data of a lifecycle event, undefined if this version does not know it. */
export function lifecycleIn(data: unknown): frames.Lifecycle | undefined {
  const isKnown = isObject(data) && (STATUSES as readonly unknown[]).includes(data.status);
  return isKnown ? (data as unknown as frames.Lifecycle) : undefined;
}

/** Return the questions of an interrupt event, undefined if this version does not know its data. */
export function interruptsIn(data: unknown): Interrupt[] | undefined {
  const list = isObject(data) ? data.interrupts : undefined;
  return Array.isArray(list) && list.every(isObject)
    ? interruptsOf(list as unknown as frames.PendingInterrupt[])
    : undefined;
}
