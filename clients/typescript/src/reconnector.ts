/**
 * `Reconnector`: keeps a client connected, over one WebSocket after another.
 *
 * Why an application notices nothing when a connection is lost
 * ============================================================
 *
 * A connection is one WebSocket; it may break at any byte. What the application holds, a `Run` or a request that it
 * awaits, must not. So the state is divided by how long it lives. As long as one connection: the socket, its timers
 * and a token, all of it inside one call of `#connectOnce()`. As long as the client: the `Exchange`, with the requests
 * that have no reply yet, the cursor of each subscription, and a queue of events for each reader.
 *
 * One loop, `#serve()`, opens one connection after the other, so there are never two. A socket that is given up on may
 * still fire: each connection has a flag of its own, `isOver`, and nothing of it counts once that is set. Whatever the
 * loop awaits, a token, an opening, a wait, may outlast `close()`: behind each `await` and behind each callback of the
 * application it looks at `#isClosing` again. So a client that is closed while its token is fetched, as an effect of
 * React's StrictMode does, opens no socket.
 *
 * When a connection ends, its close code decides whether the client is closed for good. If not, the client waits,
 * connects, and sends one flight: `hello`, a `subscribe` from each cursor, and every open request again. Nothing is
 * lost, because the log holds what follows a cursor; nothing is repeated, because the session drops what lies at or
 * before it. What has been queued stays queued, and a reader that awaits an event sleeps through the gap.
 *
 * A browser brings three troubles of its own. It hides why a handshake failed, so a first connection is tried again
 * like any other, and the reason says what to look at. It cannot send WebSocket pings, so a connection on which nothing
 * arrives is asked for a sign of life by the protocol's `ping`, and given up on without one: one timer, first for the
 * welcome, then for the next message. And it slows the timers of a page that nobody looks at: when the page is seen
 * again or the network returns, a wait ends at once, though not before the time that the server asked for, and an open
 * connection has to show that it is alive. A timer that fires late costs a reconnect, never an event.
 */

import { type Backoff, delay } from "./backoff.js";
import { ConnectionClosed, Unauthenticated } from "./errors.js";
import type { Exchange } from "./exchange.js";
import { SUBPROTOCOL } from "./protocol/tables.js";

/** A token, or a function that returns a fresh one: it is called before each connection, and after 4401. */
export type Token =
  | string
  | null
  | undefined
  | (() => string | null | undefined | Promise<string | null | undefined>);

/** `waiting` for the next attempt, `retryMs` from now; `closed` for good, with the error that everything got. */
export type Connection =
  | { readonly state: "connecting" | "connected"; readonly reason: string }
  | { readonly state: "waiting"; readonly reason: string; readonly retryMs: number }
  | { readonly state: "closed"; readonly reason: string; readonly error: ConnectionClosed };

/** What a client uses of a WebSocket. */
export interface WebSocketLike {
  onopen: ((event: never) => unknown) | null;
  onmessage: ((event: never) => unknown) | null;
  onclose: ((event: never) => unknown) | null;
  onerror: ((event: never) => unknown) | null;
  send(data: string): void;
  close(code?: number): void;
}

/** A class of WebSockets: the platform's, or that of the package `ws`. */
export type WebSocketClass = new (url: string, protocols: string[]) => WebSocketLike;

/** How a client connects; `ConnectOptions` describes each field. */
export interface Settings {
  token?: Token | undefined;
  backoff: Backoff;
  silenceMs: number;
  webSocket?: WebSocketClass | undefined;
}

interface End {
  code: number;
  reason: string;
  /** Whether no other attempt can help. */
  isFinal: boolean;
}

/** The close code of a client that was closed by its application. */
export const NORMAL = 1000;
const LOST = 1006;
const MISUSE = 4400;
const UNAUTHENTICATED = 4401;
const OVERLOADED = [1013, 4429];
const OVERLOADED_WAIT_MS = 1000; // at least; a server that sheds load needs more than the shortest backoff

const nothing = () => {};

/** Opens a socket, serves it until it is lost, and opens the next one, until `close()`. */
export class Reconnector {
  connection: Connection = { state: "connecting", reason: "start" };
  /** Settled by the first welcome, or by the end. */
  readonly opened: Promise<void>;
  readonly #exchange: Exchange;
  readonly #settings: Settings;
  /** What hears of each new connection. */
  readonly listeners = new Set<(connection: Connection) => void>();
  readonly #ended = new AbortController();
  #resolveOpened: () => void = nothing;
  #rejectOpened: (error: unknown) => void = nothing;
  /** Ends the present connection. */
  #hangUp: (code: number, reason: string) => void = nothing;
  /** Ends the present wait. */
  #wake: () => void = nothing;
  /** The page is seen again, or the network is back. */
  #poke: () => void = nothing;

  constructor(exchange: Exchange, settings: Settings) {
    this.#exchange = exchange;
    this.#settings = settings;
    this.opened = new Promise((resolve, reject) => {
      this.#resolveOpened = resolve;
      this.#rejectOpened = reject;
    });
    this.opened.catch(nothing); // whoever awaits it gets the error, and nobody has to
    const seen = () => globalThis.document?.visibilityState === "hidden" || this.#poke();
    const { signal } = this.#ended;
    globalThis.addEventListener?.("online", seen, { signal });
    globalThis.document?.addEventListener("visibilitychange", seen, { signal });
    void this.#serve().catch((bug) => this.#end(new ConnectionClosed(LOST, `a bug in this client: ${bug}`)));
  }

  get #isClosing(): boolean {
    return this.#ended.signal.aborted;
  }

  /** Close for good. Everything that still waits gets `ConnectionClosed`. */
  close(): void {
    this.#end(new ConnectionClosed(NORMAL, "this client was closed"));
  }

  #end(error: ConnectionClosed): void {
    if (this.#isClosing) return;
    this.#ended.abort();
    this.#exchange.end(error);
    this.#hangUp(NORMAL, error.reason);
    this.#wake();
    this.#rejectOpened(error);
    this.#enter({ state: "closed", reason: error.reason, error });
  }

  #enter(connection: Connection): void {
    if (this.#isClosing && connection.state !== "closed") return;
    this.connection = connection;
    for (const listener of this.listeners) listener(connection);
  }

  // ── one connection after another ─────────────────────────────────────────────────────────────

  async #serve(): Promise<void> {
    const { token, backoff } = this.#settings;
    let attempt = 0;
    let hasRetriedToken = false;
    let { reason } = this.connection;
    await undefined; // so that the caller of connect() has the client before a callback runs
    while (!this.#isClosing) {
      this.#enter({ state: "connecting", reason });
      const since = performance.now();
      const { code, isFinal, reason: said } = await this.#connectOnce();
      if (this.#isClosing) return;
      const wasConnected = this.connection.state === "connected";
      if (wasConnected && performance.now() - since >= backoff.steadyMs) {
        attempt = 0;
        hasRetriedToken = false;
      }
      reason = said;
      if (code === UNAUTHENTICATED && typeof token === "function") {
        if (!hasRetriedToken) {
          hasRetriedToken = true;
          continue;
        }
        if (!wasConnected) return this.#end(new Unauthenticated(code, reason));
        // A token that was accepted and refused at once is asked for again, but not without a pause.
      } else if (isFinal)
        return this.#end(new (code === UNAUTHENTICATED ? Unauthenticated : ConnectionClosed)(code, reason));
      const atLeast = Math.max(
        this.#exchange.resumeAfterMs,
        OVERLOADED.includes(code) ? OVERLOADED_WAIT_MS : 0,
      );
      this.#exchange.resumeAfterMs = 0;
      const retryMs = atLeast + delay(backoff, attempt++);
      this.#enter({ state: "waiting", reason, retryMs });
      await this.#wait(atLeast, retryMs);
    }
  }

  async #wait(atLeastMs: number, ms: number): Promise<void> {
    if (this.#isClosing) return;
    const notBefore = performance.now() + atLeastMs;
    let timer: ReturnType<typeof setTimeout> | undefined;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      timer = setTimeout(resolve, ms);
      this.#poke = () => performance.now() < notBefore || resolve();
    });
    clearTimeout(timer);
    this.#poke = nothing;
  }

  // ── one connection ───────────────────────────────────────────────────────────────────────────

  /** Serve one connection from its opening to its end; return how it ended. */
  async #connectOnce(): Promise<End> {
    const exchange = this.#exchange;
    const { token, silenceMs, webSocket } = this.#settings;
    const failed = (reason: string, isFinal = false): End => ({ code: LOST, reason, isFinal });
    const Socket = webSocket ?? (globalThis as { WebSocket?: WebSocketClass | undefined }).WebSocket;
    if (!Socket) return failed("no WebSocket: use Node 22, or connect(url, { webSocket })", true);
    let fresh: string | null | undefined;
    let socket: WebSocketLike;
    try {
      fresh = typeof token === "function" ? await token() : token;
    } catch (error) {
      return failed(`the token function threw: ${error}`);
    }
    if (this.#isClosing) return failed("");
    try {
      socket = new Socket(exchange.url, [SUBPROTOCOL]);
    } catch (error) {
      return failed(String(error), true); // a malformed address, or ws:// on a page that came over https
    }
    return new Promise((resolve) => {
      let isOver = false;
      let isOpen = false;
      let timer: ReturnType<typeof setTimeout> | undefined;
      const over = (code: number, reason: string) => {
        if (isOver) return;
        isOver = true;
        clearTimeout(timer);
        this.#hangUp = this.#poke = exchange.onOutgoing = nothing;
        socket.onerror = nothing; // a socket that is closed while it opens may fire one
        socket.close(NORMAL); // does not wait for a server that may be gone
        if (isOpen) exchange.disconnected(code);
        resolve(isOpen ? endOf(code, exchange.refusal ?? reason) : failed(reason));
        exchange.refusal = undefined;
      };
      /** Allow the server some silence; then give up, or ask for a sign of life first. */
      const listen = (then: () => void) => {
        clearTimeout(timer);
        timer = setTimeout(then, silenceMs);
      };
      const silent = () => over(LOST, `nothing arrived from ${exchange.url} within ${silenceMs} ms`);
      const probe = () => {
        if (this.connection.state !== "connected") return;
        exchange.ping();
        listen(silent);
      };
      const flush = () => {
        for (const message of exchange.outgoing()) socket.send(message);
      };
      const handshakeFailed = (event: { message?: string | undefined }) =>
        over(LOST, handshakeReason(exchange.url, event.message));
      this.#hangUp = over;
      this.#poke = probe;
      listen(silent);
      socket.onopen = () => {
        if (isOver) return;
        isOpen = true;
        exchange.connected(fresh);
        exchange.onOutgoing = flush;
        flush();
      };
      socket.onmessage = ({ data }: { data: string }) => {
        if (isOver) return;
        try {
          const isWelcome = exchange.receive(data);
          flush();
          if (isWelcome) {
            this.#resolveOpened();
            this.#enter({ state: "connected", reason: "welcome" });
          }
        } catch (error) {
          over(MISUSE, `the server broke the protocol: ${error}`);
          return;
        }
        // A callback may have closed the client meanwhile.
        if (!isOver && this.connection.state === "connected") listen(probe);
      };
      socket.onclose = (event: { code: number; reason: string }) =>
        isOpen ? over(event.code, event.reason) : handshakeFailed({});
      // After a failed handshake Node 20 fires no close event; an open socket fires one, with its code.
      socket.onerror = (event: { message?: string | undefined }) => isOpen || handshakeFailed(event);
    });
  }
}

function endOf(code: number, said: string): End {
  const hint = code === UNAUTHENTICATED ? "the server wants a token: connect(url, { token })" : "";
  const reason = `close code ${code}${said || hint ? `: ${said || hint}` : ""}`;
  return { code, reason, isFinal: !reconnects(code) };
}

/** Tell whether a client connects again after a close code; a test compares this with the protocol's table. */
export function reconnects(code: number): boolean {
  return code === 4408 || code === 4429 || (code !== NORMAL && code < 4000);
}

function handshakeReason(url: string, error: string | undefined): string {
  const page = globalThis.location?.origin;
  return `no connection to ${url} ${error ?? ""}${page ? `: is it up, and do its allowed_origins have ${page}?` : ""}`;
}
