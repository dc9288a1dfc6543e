/**
 * The client's side of the protocol, without I/O: open requests, cursors, and what to send again.
 *
 * How the session works. One session outlives its connections. The caller owns the socket and the clock; the
 * session owns everything that has to survive a lost connection. `connect` and `disconnected` say that a socket
 * was opened or lost, `request` sends a request, `receive` takes a message and returns happenings. After each of
 * them the caller sends what `outgoing` returns.
 *
 * *Requests.* A request is open until its whole answer has arrived: one reply, and for `run` the `subscribed` of
 * its only spec. Every request but one is idempotent (the client chooses a run's id), so `connect` sends each open one
 * again. The exception is `state_update`, which might be written twice: `disconnected` answers it with an error.
 * After a close with 1009 (message too big), `disconnected` answers the largest open request with an error as
 * well; sent again, it would break every further connection.
 *
 * *Subscriptions.* Each has a cursor (`Subscription`), which decides what is shown. `connect` attaches every
 * subscription again from its cursor, in the same flight as `hello`. If a frame is illegal, such as an event behind
 * a hole in `n`, the session unsubscribes and subscribes again from the cursor.
 *
 * *Three kinds of requests* share one table, told apart by `resumes`. Those of the application have their answers
 * reported. Those by which the session attaches again carry the number of the subscription, and are reported only if
 * they are refused for good. Of the others, nobody waits for the answer. Until the reply to an `unsubscribe`, old frames
 * may arrive; `#leaving` says to drop them.
 */

import { type SubFrame, Subscription } from "./cursor.js";
import type * as frames from "./frames.js";
import { isObject } from "./json.js";
import { encode } from "./projection.js";
import { type ConnectionState, OutOfStep } from "./state.js";
import { MAX_FRAME_BYTES } from "./tables.js";

/** A frame that gets a reply. */
export type Request = Extract<frames.ClientFrame, { id: number }>;
/** What answers a request. */
export type Reply = frames.Welcome | frames.Started | frames.Subscribed | frames.Ok | frames.Error;
type Without<T, K extends string> = T extends unknown ? Omit<T, K> : never;
/** A request without its id, which the session chooses. */
export type Asked = Without<Request, "id">;

/** What happened: see `ClientSession.receive`. */
export type Happening =
  /** A request is answered: by `reply`, and by `subscribed` if it opened a subscription or a watch. */
  | { kind: "answered"; id: number; reply: Reply; subscribed: frames.Subscribed | undefined }
  /**
   * A frame of a subscription or a watch: new, in order, delivered once. `subscribed` says that a subscription is
   * attached again, after which there may be nothing new; an `error` ends it.
   */
  | { kind: "delivered"; sub: number; frame: Delivered; epoch: string | undefined }
  /** A frame for the whole connection. */
  | { kind: "announced"; frame: Announced }
  /** The server refused request `id` for a while: call `resend(id)` after `afterMs`. */
  | { kind: "deferred"; id: number; afterMs: number };

/** The frames that only watches have. */
export type WatchFrame = frames.RunInfo | frames.RunGone | frames.ThreadInfo | frames.ThreadGone;
/** A frame of a subscription or a watch. */
export type Delivered = Exclude<SubFrame, frames.Mark> | WatchFrame | frames.Subscribed | frames.Error;
/** A frame of the whole connection. */
export type Announced = frames.Welcome | frames.Notice | frames.Goaway | frames.Pong | frames.Error;

interface Open {
  command: Request;
  size: number;
  /** The subscription or watch that the session attaches again by itself; 0 if nobody waits for the answer. */
  resumes: number | undefined;
  reply: Reply | undefined;
  subscribed: frames.Subscribed | undefined;
}

/** The codes by which an attachment is refused only for a while. */
const TEMPORARY = ["rate_limited", "draining", "unavailable"];
const TOO_BIG = 1009;
const NOBODY = 0;

/** The replies that are no `ok`; a test compares them with the protocol's table. */
export const REPLIES: { [type: string]: string } = {
  hello: "welcome",
  run: "started",
  subscribe: "subscribed",
  watch: "subscribed",
};

/** One client, from its first connection to its last. */
export class ClientSession {
  state: ConnectionState = "closed";
  welcome: frames.Welcome | undefined;
  readonly subscriptions = new Map<number, Subscription>();
  readonly #client: frames.Product | undefined;
  readonly #watches = new Map<number, frames.Watch>();
  readonly #open = new Map<number, Open>();
  readonly #leaving = new Set<number>();
  #outgoing: string[] = [];
  #nextId = 1;
  #nextSub = 1;

  constructor(client?: frames.Product) {
    this.#client = client;
  }

  // ── connections ──────────────────────────────────────────────────────────────────────────────

  /**
   * Begin a connection: put `hello` and all that has to be sent again into `outgoing`. Returns the requests that end
   * here: those for a subscription that was left before it began.
   */
  connect(token?: string | null): Happening[] {
    const waiting = [...this.#open.values()].filter((item) => item.resumes === undefined);
    this.#open.clear();
    this.#outgoing = [];
    this.state = "opening";
    this.#send({ type: "hello", id: this.#id(), token: token ?? undefined, client: this.#client }, NOBODY);
    for (const sub of [...this.#leaving]) this.#drop(sub);
    const starting = waiting.map(({ command }) => subOf(command));
    for (const [sub, subscription] of this.subscriptions)
      if (!starting.includes(sub)) this.#attach(sub, subscription);
    for (const [sub, watch] of this.#watches)
      if (!starting.includes(sub)) this.#send({ ...watch, id: this.#id() }, sub);
    return waiting.flatMap(({ command }) => {
      const sub = subOf(command);
      if (sub && command.type !== "run" && !this.isAttached(sub))
        return refusal(command.id, "not_found", "left before it began");
      this.#send(this.#current(command));
      return [];
    });
  }

  /**
   * Note that the connection is gone; `code` is its close code. Returns the requests that end with it.
   *
   * After 1009 the largest open request is answered with an error: it would break the next connection, too. A
   * `state_update` is answered with an error, because it may have been written already.
   */
  disconnected(code?: number): Happening[] {
    this.state = "closed";
    this.#outgoing = [];
    const out: Happening[] = [];
    let largest: Open | undefined;
    for (const [id, item] of [...this.#open]) {
      if (item.resumes !== undefined) continue;
      if (item.command.type === "state_update") {
        this.#open.delete(id);
        out.push(refusal(id, "unavailable", "the connection was lost: it may have been written"));
      } else if (item.size > (largest?.size ?? 0)) largest = item;
    }
    if (code === TOO_BIG && largest) {
      const { id } = largest.command;
      this.#open.delete(id);
      this.#drop(subOf(largest.command));
      out.push(refusal(id, "limit_exceeded", `${largest.size} bytes are too many`));
    }
    return out;
  }

  /** Return what is to be sent, one message each, and forget it. */
  outgoing(): string[] {
    const out = this.#outgoing;
    this.#outgoing = [];
    return out;
  }

  // ── requests ─────────────────────────────────────────────────────────────────────────────────

  /**
   * Send a request; return its id.
   *
   * The `credit` of each subscription that it opens is the window of its queue. Throws `RangeError` for a frame that
   * is too large for the server.
   */
  request(asked: Asked): number {
    const command = { ...asked, id: this.#id() } as Request;
    const limit = this.welcome?.limits.max_frame_bytes ?? MAX_FRAME_BYTES;
    const size = new TextEncoder().encode(encode(command)).length;
    if (size > limit) throw new RangeError(`${size} bytes are too many: max_frame_bytes is ${limit}`);
    const { type } = command;
    const spec = type === "run" ? command.subscribe?.[0] : type === "subscribe" && command;
    if (spec) this.subscriptions.set(spec.sub, new Subscription((command as frames.Subscribe).run, spec));
    if (type === "watch") this.#watches.set(command.sub, command);
    if (type === "unsubscribe") this.#leaving.add(command.sub);
    this.#send(this.#current(command), type === "unsubscribe" ? NOBODY : undefined);
    return command.id;
  }

  /** Tell whether `sub` is a subscription or a watch that has not ended or been left. */
  isAttached(sub: number): boolean {
    return !this.#leaving.has(sub) && (this.subscriptions.has(sub) || this.#watches.has(sub));
  }

  /** Return a number for a new subscription or watch. */
  nextSub(): number {
    return this.#nextSub++;
  }

  /** Stop waiting for the answer to request `id`: never resend it, and unsubscribe what it opens. */
  forget(id: number): void {
    const item = this.#open.get(id);
    if (!item) return;
    const sub = subOf(item.command);
    if (this.state === "closed") {
      this.#open.delete(id);
      this.#drop(sub);
      return;
    }
    item.resumes = NOBODY;
    if (sub) this.request({ type: "unsubscribe", sub });
  }

  /** Send the deferred request `id` again; nothing happens if it is not open. */
  resend(id: number): void {
    const item = this.#open.get(id);
    if (!item || this.state === "closed") return;
    this.#open.delete(id);
    this.#send(this.#current(item.command), item.resumes);
  }

  /** Note that the application took an event of `sub`; give credit back, half a window at once. */
  consumed(sub: number, mode: string): void {
    const events = this.subscriptions.get(sub)?.window?.take(mode);
    // If the subscription is being attached again, this is sent behind its `subscribe`.
    if (events) this.#put({ type: "credit", sub, events });
  }

  /** Ask for a sign of life: any message counts as one. */
  ping(): void {
    if (this.state === "open") this.#put({ type: "ping", t: null });
  }

  // ── receiving ────────────────────────────────────────────────────────────────────────────────

  /** Read one message; return what happened. Throws for what no version allows. */
  receive(data: string): Happening[] {
    const happenings: Happening[] = [];
    const message: unknown = JSON.parse(data);
    for (const frame of Array.isArray(message) ? message : [message]) {
      if (!isObject(frame) || typeof frame.type !== "string") throw new OutOfStep("no frame");
      this.#frame(frame as unknown as frames.ServerFrame, happenings);
    }
    return happenings;
  }

  #frame(frame: frames.ServerFrame, out: Happening[]): void {
    if (isReply(frame)) this.#reply(frame, out);
    else if ("sub" in frame) this.#subFrame(frame, out);
    else out.push({ kind: "announced", frame }); // its type may be one that this version does not know
  }

  #subFrame(frame: SubFrame | WatchFrame, out: Happening[]): void {
    const { sub } = frame;
    if (this.#watches.has(sub) && !this.#leaving.has(sub))
      out.push({ kind: "delivered", sub, frame: frame as Delivered, epoch: undefined });
    const subscription = this.subscriptions.get(sub);
    if (!subscription || this.#leaving.has(sub)) return;
    if (subscription.state === "requested") return; // of the old attachment, whose `unsubscribe` is on its way
    let shown: SubFrame | undefined;
    try {
      shown = subscription.receive(frame as SubFrame);
    } catch (error) {
      if (!(error instanceof OutOfStep)) throw error;
      this.#send({ type: "unsubscribe", id: this.#id(), sub }, NOBODY);
      this.#attach(sub, subscription);
      return;
    }
    if (frame.type === "event" && !shown) {
      subscription.window?.put(frame.mode); // it cost credit, and the application does not see it
      this.consumed(sub, frame.mode);
    }
    if (frame.type === "closed") this.subscriptions.delete(sub);
    if (shown && shown.type !== "mark")
      out.push({ kind: "delivered", sub, frame: shown, epoch: subscription.attachedEpoch });
  }

  #reply(frame: Reply, out: Happening[]): void {
    const item = frame.id === undefined ? undefined : this.#open.get(frame.id);
    if (!item) {
      if (frame.type === "error") out.push({ kind: "announced", frame });
      return;
    }
    const { command } = item;
    const { type } = command;
    if (frame.type === "error") {
      this.#refused(item, frame, out);
      return;
    }
    const expected = REPLIES[type] ?? "ok";
    if (frame.type === "subscribed") {
      this.subscriptions.get(frame.sub)?.subscribed(frame);
      item.subscribed = frame;
    } else if (frame.type !== expected) throw new OutOfStep(`${frame.type} is no reply to ${type}`);
    if (frame.type === expected) item.reply = frame;
    const { reply, subscribed } = item;
    if (!reply || (type === "run" && command.subscribe?.length && !subscribed)) return;
    this.#open.delete(command.id);
    if (reply.type === "welcome") {
      this.welcome = reply;
      this.state = "open";
      out.push({ kind: "announced", frame: reply });
      return;
    }
    if (type === "unsubscribe") this.#left(command.sub);
    const { resumes } = item;
    if (resumes === undefined) out.push({ kind: "answered", id: command.id, reply, subscribed });
    else if (subscribed && this.subscriptions.has(resumes))
      out.push({ kind: "delivered", sub: resumes, frame: subscribed, epoch: undefined });
  }

  #refused(item: Open, error: frames.Error, out: Happening[]): void {
    const { command, resumes } = item;
    if (resumes && error.retry === "after" && TEMPORARY.includes(error.code)) {
      out.push({ kind: "deferred", id: command.id, afterMs: error.after_ms || 1000 });
      return;
    }
    this.#open.delete(command.id);
    if (command.type === "hello") {
      out.push({ kind: "announced", frame: error });
      return;
    }
    if (command.type === "unsubscribe")
      this.#left(command.sub); // it ended by itself meanwhile
    else this.#drop(subOf(command));
    if (resumes) out.push({ kind: "delivered", sub: resumes, frame: error, epoch: undefined });
    else if (resumes === undefined)
      out.push({ kind: "answered", id: command.id, reply: error, subscribed: undefined });
  }

  // ── attaching, sending ───────────────────────────────────────────────────────────────────────

  #attach(sub: number, subscription: Subscription): void {
    this.#send({ type: "subscribe", id: this.#id(), run: subscription.run, ...subscription.spec() }, sub);
  }

  /** Return `command` as it is to be sent now: its subscriptions from their cursors. */
  #current(command: Request): Request {
    // Without a subscription it has been left.
    const spec = this.subscriptions.get(subOf(command) ?? 0)?.spec();
    if (command.type === "run") return { ...command, subscribe: spec ? [spec] : [] };
    return command.type === "subscribe" && spec ? { ...command, ...spec } : command;
  }

  #send(command: Request, resumes?: number): void {
    const text = encode(command);
    this.#open.set(command.id, {
      command,
      size: text.length,
      resumes,
      reply: undefined,
      subscribed: undefined,
    });
    if (this.state !== "closed") this.#outgoing.push(text);
  }

  #put(frame: frames.ClientFrame): void {
    if (this.state !== "closed") this.#outgoing.push(encode(frame));
  }

  /** Forget a subscription or watch, if there is one. */
  #drop(sub = 0): void {
    this.#leaving.delete(sub);
    this.subscriptions.delete(sub);
    this.#watches.delete(sub);
  }

  /** Take in the reply to an `unsubscribe`: of the application, or of the session, which attaches again. */
  #left(sub: number): void {
    if (this.#leaving.has(sub)) this.#drop(sub);
  }

  #id(): number {
    return this.#nextId++;
  }
}

function refusal(id: number, code: string, message: string): Happening {
  const reply = { type: "error", id, code, message, retry: "never" } as frames.Error;
  return { kind: "answered", id, reply, subscribed: undefined };
}

/** Return the subscription or watch that a request opens. */
function subOf(command: Request): number | undefined {
  if (command.type === "run") return command.subscribe?.[0]?.sub;
  return command.type === "subscribe" || command.type === "watch" ? command.sub : undefined;
}

/** Tell whether a frame answers a request. */
function isReply(frame: frames.ServerFrame): frame is Reply {
  return /^(welcome|started|subscribed|ok|error)$/.test(frame.type);
}
