/**
 * The messages of a thread, put together from what following it yields: what a chat page shows.
 *
 * It takes events and does no I/O. The one of `follow` is `follower.messages`.
 */

import { cutBytes } from "./events.js";
import type { FollowEvent } from "./follow_events.js";
import { Message, MessagesView } from "./messages.js";
import { has, isObject, type JsonObject } from "./protocol/json.js";
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

/**
 * Makes messages of those in states: equal ones of two states in a row are the same object.
 *
 * A thread may be long, and most of its messages are the same, in the same place, in the next state. A state that came
 * as a patch even shares them with the one before, so that comparing them costs nothing.
 */
export class StateMessages {
  #latest: readonly Message[] = [];

  constructor(readonly key: string) {}

  /** Return the list at the key of a state; undefined if there is none. */
  of(values: unknown): readonly Message[] | undefined {
    const list = isObject(values) ? values[this.key] : undefined;
    if (!Array.isArray(list)) return undefined;
    const before = this.#latest;
    let places: Map<string | undefined, Message> | undefined;
    this.#latest = list.map((item, index) => {
      const fields: JsonObject = isObject(item) ? item : { content: item };
      let known = before[index];
      if (known && isEqual(known.sent, fields)) return known;
      places ??= byId(before);
      known = places.get(fields.id as string | undefined);
      return known && isEqual(known.sent, fields) ? known : settled(fields);
    });
    return this.#latest;
  }

  /** Tell whether two lists hold equal messages. */
  areEqual(one: readonly Message[] = [], other: readonly Message[] = []): boolean {
    return one.length === other.length && one.every(({ sent }, index) => isEqual(sent, other[index]?.sent));
  }

  /**
   * Return `now` up to the first message that the graph itself wrote; undefined if that is nothing new.
   *
   * The log shows what the graph writes, and shows it in order.
   */
  givenOf(before: readonly Message[] = [], now: readonly Message[] = []): readonly Message[] | undefined {
    const known = new Set(before);
    const places = byId(before);
    const isNew = (message: Message) => {
      const { id, sent } = message;
      if (known.has(message)) return false;
      return id === undefined
        ? !before.some((other) => isEqual(sent, other.sent))
        : !isEqual(sent, places.get(id)?.sent);
    };
    const written = now.findIndex(
      (message) => !/^(human|system|unknown)$/.test(message.type) && isNew(message),
    );
    const given = written < 0 ? now : now.slice(0, written);
    return given.some(isNew) ? given : undefined;
  }
}

/** Return messages by their ids. */
function byId(messages: readonly Message[]): Map<string | undefined, Message> {
  return new Map(messages.map((message) => [message.id, message]));
}

/** Tell whether two values are equal; what JSON has no word for is compared as it would be sent. */
function isEqual(one: unknown, other: unknown): boolean {
  if (Object.is(one, other)) return true;
  if (typeof one !== "object" || typeof other !== "object" || !one || !other) return false;
  if (Array.isArray(one))
    return (
      Array.isArray(other) &&
      one.length === other.length &&
      one.every((item, index) => isEqual(item, other[index]))
    );
  const [left, right] = [one as JsonObject, other as JsonObject];
  if (!isPlain(left) || !isPlain(right)) return encode({ left }) === encode({ left: right });
  const keys = Object.keys(left);
  return (
    keys.length === Object.keys(right).length &&
    keys.every((key) => has(right, key) && isEqual(left[key], right[key]))
  );
}

const isPlain = (value: object) => Object.getPrototypeOf(value) === Object.prototype;

function settled(fields: { [key: string]: unknown }): Message {
  const call = typeof fields.id === "string" ? fields.id : "";
  const about = { call, metadata: {}, namespace: [], node: undefined, cutBytes: cutBytes(fields) };
  return new Message(fields, about, fields);
}
