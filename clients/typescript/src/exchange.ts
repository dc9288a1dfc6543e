/**
 * Requests and replies, subscriptions and their queues: what a client exchanges with its server.
 *
 * It outlives every WebSocket. The protocol's `ClientSession` decides what to send and what a message means; the
 * exchange completes requests with their replies, and puts events into the queues of their subscriptions. The
 * `Reconnector` has the sockets: it calls `connected`, `outgoing`, `receive` and `disconnected`.
 */

import { type GraphwireError, refusedOf } from "./errors.js";
import { EventQueue, type Queue } from "./event_queue.js";
import { type Asked, ClientSession, type Delivery, type Happening, type Reply } from "./protocol/client.js";
import type { Subscription } from "./protocol/cursor.js";
import type * as frames from "./protocol/frames.js";

/** How long a request that is `rate_limited` is sent again, in all. */
const PATIENCE_MS = 5000;
const FIRST_JITTER_MS = 20;

interface Waiting {
  resolve: (reply: Reply) => void;
  reject: (error: unknown) => void;
}

/** Sends requests, hands out replies, and fills the queues of subscriptions. */
export class Exchange {
  /** Called when there is something to send. */
  onOutgoing: () => void = () => {};
  /** How long the server asked to stay away before the next connection (`goaway`). */
  resumeAfterMs = 0;
  /** The words with which the server refused this connection's `hello`. */
  refusal: string | undefined;
  /** How many connections the server has welcomed. */
  connections = 0;
  readonly #session: ClientSession;
  readonly #waiting = new Map<number, Waiting>();
  readonly #queues = new Map<number, Queue>();
  readonly #timers = new Map<number, ReturnType<typeof setTimeout>>();
  #error: GraphwireError | undefined;

  constructor(
    readonly url: string,
    product: frames.Product,
    /** Called with what a person should know. */
    readonly onNotice: (notice: frames.Notice | frames.Error) => void,
  ) {
    this.#session = new ClientSession(product);
  }

  /** The latest `welcome` of the server. */
  get welcome(): frames.Welcome | undefined {
    return this.#session.welcome;
  }

  /** The subscriptions by their numbers, as they are now. */
  get subscriptions(): ReadonlyMap<number, Subscription> {
    return this.#session.subscriptions;
  }

  /** Whether the server has welcomed this client, and the connection is not lost since. */
  get isOpen(): boolean {
    return this.#session.state === "open";
  }

  /** Fail everything that waits, and every later request, with `error`; the first call decides which it is. */
  end(error: GraphwireError): void {
    this.#error ??= error;
    for (const { reject } of this.#waiting.values()) reject(this.#error);
    for (const queue of this.#queues.values()) queue.fail(this.#error);
    this.#waiting.clear();
    this.#queues.clear();
    this.#stopTimers();
  }

  // ── requests ─────────────────────────────────────────────────────────────────────────────────

  /** Send a request and wait for its reply, across connections; again, within a bound, if it came too soon. */
  async ask<R = frames.Ok>(asked: Asked, signal?: AbortSignal): Promise<R> {
    let patienceMs = PATIENCE_MS;
    for (let jitterMs = FIRST_JITTER_MS; ; jitterMs *= 2) {
      const reply = await this.#askOnce(asked, signal);
      if (reply.type !== "error") return reply as R;
      // Many that were refused together would come again together, hence the jitter.
      const delayMs = (reply.after_ms ?? 0) + Math.random() * jitterMs;
      if (reply.code !== "rate_limited" || delayMs > patienceMs) throw refusedOf(reply);
      patienceMs -= delayMs;
      await new Promise((resolve) => setTimeout(resolve, delayMs));
    }
  }

  /** Send the request that opens the subscription or watch `sub`; return its reply and its queue. */
  async open<Q extends Queue, R = frames.Subscribed>(
    make: (sub: number) => Asked,
    queueOf: (sub: number) => Q,
    signal: AbortSignal | undefined,
  ): Promise<[Q, R]> {
    const sub = this.#session.nextSub();
    const queue = queueOf(sub);
    this.#queues.set(sub, queue);
    try {
      return [queue, await this.ask<R>(make(sub), signal)];
    } catch (error) {
      this.leave(queue); // the reply may have come in the same turn
      throw error;
    }
  }

  async #askOnce(asked: Asked, signal: AbortSignal | undefined): Promise<Reply> {
    signal?.throwIfAborted();
    if (this.#error) throw this.#error;
    const id = this.#session.request(asked);
    let abort: () => void;
    return new Promise<Reply>((resolve, reject) => {
      abort = () => {
        this.#session.forget(id);
        reject(signal?.reason);
        this.onOutgoing();
      };
      this.#waiting.set(id, { resolve, reject });
      signal?.addEventListener("abort", abort);
      this.onOutgoing();
    }).finally(() => {
      this.#waiting.delete(id);
      signal?.removeEventListener("abort", abort);
    });
  }

  // ── queues ───────────────────────────────────────────────────────────────────────────────────

  /** Account for an event that its reader took from `queue`: the server may send another. */
  took(queue: EventQueue, mode: string): void {
    this.#session.consumed(queue.sub, mode);
    this.onOutgoing();
  }

  /** Tell whether `queue` is empty and gets events as they happen. */
  isLive(queue: EventQueue): boolean {
    return this.isOpen && !queue.length && this.#session.subscriptions.get(queue.sub)?.state === "live";
  }

  /** Unsubscribe `queue`; nothing more is put into it. */
  leave(queue: Queue): void {
    if (!this.#queues.delete(queue.sub) || !this.#session.isAttached(queue.sub)) return;
    this.#session.request({ type: "unsubscribe", sub: queue.sub });
    this.onOutgoing();
  }

  // ── one connection after the other ───────────────────────────────────────────────────────────

  /** Prepare the first flight of a new socket: `hello`, all subscriptions, all open requests. */
  connected(token: string | null | undefined): void {
    this.#handle(this.#session.connect(token));
  }

  /** Take the messages that are to be sent. */
  outgoing(): string[] {
    return this.#session.outgoing();
  }

  /** Ask the server for a sign of life. */
  ping(): void {
    this.#session.ping();
    this.onOutgoing();
  }

  /** Take in one message; return whether it brought the server's `welcome`. Throws for what is not allowed. */
  receive(message: string): boolean {
    return this.#handle(this.#session.receive(message));
  }

  /** Prepare for the next socket: this one was closed with `code`. */
  disconnected(code: number): void {
    for (const queue of this.#queues.values()) queue.beginList();
    this.#stopTimers(); // the next flight asks for all of it
    this.#handle(this.#session.disconnected(code));
  }

  #stopTimers(): void {
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
  }

  #handle(happenings: Happening[]): boolean {
    const before = this.connections;
    for (const happening of happenings) {
      if (happening.kind === "delivered") this.#deliver(happening);
      else if (happening.kind === "answered") {
        const { id, reply, subscribed } = happening;
        const queue = subscribed && this.#queues.get(subscribed.sub);
        if (queue instanceof EventQueue) queue.start = subscribed;
        this.#waiting.get(id)?.resolve(reply);
      } else if (happening.kind === "deferred") {
        const { id, afterMs } = happening;
        const again = () => {
          this.#timers.delete(id);
          this.#session.resend(id);
          this.onOutgoing();
        };
        this.#timers.set(id, setTimeout(again, afterMs));
      } else {
        const { frame } = happening;
        if (frame.type === "welcome") this.connections += 1;
        else if (frame.type === "goaway") this.resumeAfterMs = frame.after_ms;
        else if (frame.type === "error" && this.#session.state === "opening") this.refusal = frame.message;
        else if (frame.type === "error" || frame.type === "notice") this.onNotice(frame);
      }
    }
    return this.connections > before;
  }

  #deliver({ sub, frame, epoch }: Delivery): void {
    const queue = this.#queues.get(sub);
    if (!queue) return;
    if (frame.type === "error" || frame.type === "closed") this.#queues.delete(sub);
    if (frame.type === "error") queue.fail(refusedOf(frame));
    else queue.put({ frame, epoch });
  }
}
