/** `connect()` and the `Client` that it returns. */

import { BACKOFF, type Backoff } from "./backoff.js";
import { listen } from "./errors.js";
import { Exchange } from "./exchange.js";
import type { FollowOptions, ThreadFollower } from "./follow.js";
import type * as frames from "./protocol/frames.js";
import { type Connection, NORMAL, Reconnector, type Token, type WebSocketClass } from "./reconnector.js";
import { type GraphTypes, Streams } from "./streams.js";

/** The version of this package. */
export const VERSION = "0.1.0";

/** The options of `connect()`. */
export interface ConnectOptions {
  /** A token, or a function that returns a fresh one: it is called before each connection, and after 4401. */
  token?: Token | undefined;
  /** How many events of a run may wait for their reader until the server stops sending; 256 by default. */
  window?: number | undefined;
  /** Called with each new `client.connection`. Without it, the console warns of a first connection that fails, and of the end of all. */
  onState?: ((connection: Connection) => void) | undefined;
  /** A class like the platform's, for Node before 22: that of the package `ws`. */
  webSocket?: unknown;
  /** The waits between attempts to connect. */
  backoff?: Partial<Backoff> | undefined;
  /**
   * How many milliseconds a server may be silent: before its welcome, and later before it is asked for a sign of life,
   * for which it has as long; 10 000 by default.
   */
  silenceMs?: number | undefined;
}

/** A subscription as a client knows it. */
export interface SubscriptionInfo {
  readonly run: string;
  /** Whether its events come as they happen; false while older ones are sent, or a gap is open. */
  readonly isLive: boolean;
  /** The position of the last event that has arrived. */
  readonly seq: number | undefined;
  /** How many events have arrived and wait for their reader, of at most `window`; the server may send the rest. */
  readonly held: number | undefined;
  readonly window: number | undefined;
}

/**
 * Connect to a server. The client is there at once and connects by itself; requests wait until it has.
 *
 *     const client = connect("ws://127.0.0.1:8765/ws");
 *     const run = await client.run("chat", { messages: [...] }, { modes: ["messages"] });
 *     for await (const event of run) show(run.messages);
 */
export function connect<G extends { [N in keyof G]: GraphTypes } = { [graph: string]: GraphTypes }>(
  url: string | URL,
  options: ConnectOptions = {},
): Client<G> {
  countClients(String(url));
  return new Client<G>(String(url), options);
}

/** So many clients of one address, each made within a second of the one before, are made by mistake. */
const MANY = 10;

/** The latest client of this page, and how many were made in such a row. */
let latest = { url: "", at: 0, count: 0 };

/** Warn of a component that connects whenever it renders. */
function countClients(url: string): void {
  const at = performance.now();
  const count = url === latest.url && at < latest.at + 1000 ? latest.count + 1 : 1;
  latest = { url, at, count };
  if (count === MANY && globalThis.document)
    console.warn(`graphwire: ${MANY} clients of ${url} in a row: connect() once, outside components`);
}

/** One connection to a server, shared by any number of runs. A lost connection is made again. */
export class Client<
  G extends { [N in keyof G]: GraphTypes } = { [graph: string]: GraphTypes },
> extends Streams<G> {
  readonly #reconnector: Reconnector;

  /** @internal */
  constructor(url: string, options: ConnectOptions) {
    const { window = 256, silenceMs = 10_000 } = options;
    if (!(window >= 1)) throw new RangeError("window is at least 1");
    const product = { name: "graphwire-typescript", version: VERSION };
    const exchange = new Exchange(url, product, warnOf);
    super(exchange, window);
    const warn = (now: Connection) => {
      const isNews =
        now.state === "closed" ? now.error.code !== NORMAL : now.state === "waiting" && !exchange.connections;
      if (isNews) console.warn(`graphwire: ${now.reason}`);
    };
    this.#reconnector = new Reconnector(exchange, {
      ...(options as { token?: Token | undefined; webSocket?: WebSocketClass | undefined }),
      silenceMs,
      backoff: { ...BACKOFF, ...options.backoff },
    });
    this.onState(options.onState ?? warn);
  }

  /** The state of the connection, with its reason. */
  get connection(): Connection {
    return this.#reconnector.connection;
  }

  /** Call `listener` with each new `connection`, as `onState` is; return a function that ends it. */
  onState(listener: (connection: Connection) => void): () => void {
    return listen(this.#reconnector.listeners, listener);
  }

  /** The server's latest `welcome`: version, limits, principal; undefined before the first one. */
  get server(): frames.Welcome | undefined {
    return this.exchange.welcome;
  }

  /** The subscriptions to runs, as they are now: what a page about the connection shows. */
  get subscriptions(): readonly SubscriptionInfo[] {
    return [...this.exchange.subscriptions.values()].map(({ run, state, seq, window }) => ({
      run,
      isLive: state === "live",
      seq,
      held: window?.held,
      window: window?.size,
    }));
  }

  /**
   * Follow a thread, whoever runs it: its messages so far, the run that executes, and every later run.
   *
   *     const follower = await client.follow("chat", "ann");
   *     for await (const event of follower) show(follower.messages);
   *
   * It yields the events of one run after the other, each once, between a `FollowRun` and the `FollowMessages` of its
   * end. It survives reconnects and restarts of the server: what was lost with the process is withdrawn by a
   * `FollowDiscard`. Only the application ends it.
   *
   * The loop throws `Refused` with code `not_found` for an unknown graph, `invalid_argument` for a graph without a
   * checkpointer or a malformed thread. The first call loads the code, so a page that never follows does not.
   */
  async follow<N extends keyof G & string>(
    graph: N,
    thread: string,
    options: FollowOptions = {},
  ): Promise<ThreadFollower<G[N]["state"]>> {
    const { ThreadFollower } = await import("./follow.js");
    return new ThreadFollower(this.exchange, graph, thread, options, this.window);
  }

  /** Wait for the first connection. Throws `ConnectionClosed`, or `Unauthenticated`, which is one. */
  opened(): Promise<void> {
    return this.#reconnector.opened;
  }

  /** Close the connection. Runs continue unless started with `onDisconnect: "cancel"`. */
  close(): void {
    this.#reconnector.close();
  }
}

function warnOf({ code, message }: frames.Notice | frames.Error): void {
  console.warn(`graphwire: ${message} (${code})`);
}
