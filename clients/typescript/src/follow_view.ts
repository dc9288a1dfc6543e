/**
 * The messages of a thread, put together from what following it yields: what a chat page shows.
 *
 * It takes events and does no I/O. The one of `follow` is `follower.messages`.
 */

import { cutBytes } from "./events.js";
import type { FollowEvent } from "./follow_events.js";
import { Message, MessagesView } from "./messages.js";
import { isObject } from "./protocol/json.js";
import { encode } from "./protocol/projection.js";

/**
 * The messages of a thread at one moment.
 *
 * It consists of the messages of a state, and of those that a run has streamed since: a streamed message replaces the
 * one of the same id, or is the next one. A later state replaces both; what a run was given only comes before what it streams.
 */
export class ThreadView {
  #settled: readonly Message[] = [];
  /** Where each message of the state is, by its id; undefined until it is asked for. A thread may be long. */
  #places: Map<string | undefined, number> | undefined;
  readonly #streamed = new MessagesView();
  #merged: readonly Message[] | undefined = [];

  /** All messages, in order. The list stays the same object until a message changes. */
  get messages(): readonly Message[] {
    this.#merged ??= this.#merge();
    return this.#merged;
  }

  /** Take the next event into account. */
  apply(event: FollowEvent): void {
    const streamed = this.#streamed;
    if (event.mode === "thread") {
      this.#settled = event.messages;
      this.#places = undefined;
      if (event.because !== "input") streamed.replace([]);
    } else if (event.mode === "discard") streamed.replace([]);
    else if (event.mode === "snapshot") {
      const known = new Set(this.#settled.map(({ id }) => id));
      streamed.replace(event.messages.filter(({ id }) => id === undefined || !known.has(id)));
    } else if (event.mode === "lifecycle") streamed.discard(event.discard);
    else if (event.mode === "messages") {
      const { message, isWhole, discard } = event;
      // What is cut adds up to nothing, and a removal shows nothing.
      const isNothing =
        message.cutBytes === undefined ? message.type === "remove" : streamed.get(message.call);
      if (discard || !isNothing) streamed.add(message, isWhole ? undefined : message.sent, discard);
    } else return;
    this.#merged = undefined;
  }

  #merge(): Message[] {
    const out = [...this.#settled];
    this.#places ??= new Map(out.map(({ id }, place) => [id, place]));
    for (const message of this.#streamed.list) {
      const place = message.id === undefined ? undefined : this.#places.get(message.id);
      if (place === undefined) out.push(message);
      else out[place] = message;
    }
    return out;
  }
}

/** Makes messages of those in states: equal ones of two states in a row are the same object. */
export class StateMessages {
  #known = new Map<string, Message>();
  readonly #texts = new WeakMap<Message, string>();

  constructor(readonly key: string) {}

  /** Return the list at the key of a state; undefined if there is none. */
  of(values: unknown): readonly Message[] | undefined {
    const list = isObject(values) ? values[this.key] : undefined;
    if (!Array.isArray(list)) return undefined;
    const known = new Map<string, Message>();
    const out = list.map((item) => {
      const fields = isObject(item) ? item : { content: item };
      const text = encode(fields);
      const message = this.#known.get(text) ?? settled(fields);
      this.#texts.set(message, text);
      known.set(text, message);
      return message;
    });
    this.#known = known;
    return out;
  }

  /** Tell whether two lists hold equal messages. */
  areEqual(one: readonly Message[] = [], other: readonly Message[] = []): boolean {
    return one.length === other.length && one.every((message, index) => this.#isEqual(message, other[index]));
  }

  /**
   * Return `now` up to the first message that the graph itself wrote; undefined if that is nothing new.
   *
   * The log shows what the graph writes, and shows it in order.
   */
  givenOf(before: readonly Message[] = [], now: readonly Message[] = []): readonly Message[] | undefined {
    const isNew = (message: Message) => !before.some((other) => this.#isEqual(message, other));
    const written = now.findIndex(
      (message) => isNew(message) && !/^(human|system|unknown)$/.test(message.type),
    );
    const given = written < 0 ? now : now.slice(0, written);
    return given.some(isNew) ? given : undefined;
  }

  #isEqual(one: Message, other: Message | undefined): boolean {
    return one === other || (other !== undefined && this.#texts.get(one) === this.#texts.get(other));
  }
}

function settled(fields: { [key: string]: unknown }): Message {
  const call = typeof fields.id === "string" ? fields.id : "";
  const about = { call, metadata: {}, namespace: [], node: undefined, cutBytes: cutBytes(fields) };
  return new Message(fields, about, fields);
}
