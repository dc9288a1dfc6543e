/** Events of a run, made by hand, for the tests of what is made of them. */

import { type Event, type Interrupt, Message } from "graphwire";

const base = (seq: number, namespace: readonly string[] = [], node?: string) => ({
  run: "r",
  seq,
  namespace,
  node,
  cutBytes: undefined,
});

export function life(seq: number, status: string, more: object = {}): Event {
  const rest = {
    attempt: 1,
    at: new Date(1_000_000 + seq * 1000).toISOString(),
    discard: [],
    voidAfter: undefined,
  };
  return {
    ...base(seq),
    mode: "lifecycle",
    reason: undefined,
    error: undefined,
    ...rest,
    status,
    ...more,
  } as Event;
}

export function task(seq: number, id: string, name: string, namespace: readonly string[] = []): Event {
  return {
    ...base(seq, namespace, name),
    mode: "tasks",
    data: { id, name, input: { of: id }, triggers: [] },
  };
}

export function result(
  seq: number,
  id: string,
  name: string,
  namespace: readonly string[] = [],
  more = {},
): Event {
  const data = { id, name, error: null, result: { from: id }, interrupts: [], ...more };
  return { ...base(seq, namespace, name), mode: "tasks", data };
}

export function update(seq: number, node: string, namespace: readonly string[] = []): Event {
  return { ...base(seq, namespace, node), mode: "updates", data: { [node]: { seq } }, interrupts: undefined };
}

export function values(seq: number, data: unknown, namespace: readonly string[] = []): Event {
  return { ...base(seq, namespace), mode: "values", data, interrupts: undefined };
}

export function token(
  seq: number,
  node: string,
  namespace: readonly string[] = [],
  more: object = {},
): Event {
  const about = { call: `${node}${namespace}`, metadata: {}, namespace, node, cutBytes: undefined };
  const message = new Message({ type: "AIMessageChunk", id: "m", content: "a word " }, about);
  return {
    ...base(seq, namespace, node),
    mode: "messages",
    message,
    isWhole: false,
    discard: false,
    ...more,
  } as Event;
}

export function custom(seq: number, data: unknown, namespace: readonly string[] = []): Event {
  return { ...base(seq, namespace), mode: "custom", data, taskNamespace: undefined };
}

export function asks(seq: number, namespace: readonly string[] = []): Event {
  const interrupt: Interrupt = { id: "i", value: "sure?", namespace, responseSchema: undefined };
  return { ...base(seq), mode: "interrupt", interrupts: [interrupt] };
}

export function snapshot(seq: number, status = "running", heals?: unknown): Event {
  return {
    ...base(seq),
    mode: "snapshot",
    status,
    values: undefined,
    messages: [],
    interrupts: [],
    heals,
  } as Event;
}
