/** A WebSocket without a network: the test is the server. */

import { type Client, type ConnectOptions, connect, type Run, type RunOptions } from "../src/index.js";

export type Frame = { type: string; id?: number; sub?: number; [field: string]: unknown };

/** A socket that a client has made; `open`, `say` and `drop` are what the server does. */
export class FakeSocket {
  onopen: ((event: never) => unknown) | null = null;
  onmessage: ((event: never) => unknown) | null = null;
  onclose: ((event: never) => unknown) | null = null;
  onerror: ((event: never) => unknown) | null = null;
  readonly sent: Frame[] = [];
  isClosed = false;

  constructor(
    readonly url: string,
    readonly protocols: string[],
  ) {}

  send(data: string): void {
    this.sent.push(JSON.parse(data));
  }

  close(): void {
    this.isClosed = true;
  }

  /** Accept the handshake, and say welcome unless told not to. */
  open(isWelcome = true): void {
    (this.onopen as (event: unknown) => void)({});
    if (isWelcome) this.say({ type: "welcome", id: this.last("hello").id as number, limits: {} });
  }

  say(...frames: Frame[]): void {
    this.hear(JSON.stringify(frames));
  }

  hear(data: string): void {
    (this.onmessage as (event: unknown) => void)({ data });
  }

  /** Refuse the handshake, as a browser tells of it. */
  fail(): void {
    (this.onerror as (event: unknown) => void)({});
  }

  drop(code = 1006, reason = ""): void {
    (this.onclose as (event: unknown) => void)({ code, reason });
  }

  /** Return the last frame of a type that the client has sent. */
  last(type: string): Frame {
    const frame = this.sent.filter((each) => each.type === type).at(-1);
    if (!frame) throw new Error(`no ${type} among ${this.sent.map((each) => each.type)}`);
    return frame;
  }
}

/** Return a client, and the sockets that it opens. */
export function fakeClient(options: ConnectOptions = {}): { client: Client; sockets: FakeSocket[] } {
  const sockets: FakeSocket[] = [];
  class Socket extends FakeSocket {
    constructor(url: string, protocols: string[]) {
      super(url, protocols);
      sockets.push(this);
    }
  }
  const backoff = { random: () => 0, ...options.backoff };
  return {
    client: connect("ws://test/ws", { onState: () => {}, ...options, backoff, webSocket: Socket }),
    sockets,
  };
}

/** Let everything happen that waits for nothing but its turn. */
export async function turn(): Promise<void> {
  for (let round = 0; round < 20; round += 1) await Promise.resolve();
}

/** Return a run that has just started, and the socket on which it did. */
export async function running(
  options: RunOptions = {},
): Promise<{ client: Client; run: Run; socket: FakeSocket; sockets: FakeSocket[] }> {
  const { client, sockets } = fakeClient();
  await turn();
  const socket = sockets[0] as FakeSocket;
  socket.open();
  const starting = client.run("graph", { x: 1 }, { run: "r", modes: ["custom"], ...options });
  await turn();
  socket.say(...started(socket.last("run")));
  return { client, run: await starting, socket, sockets };
}

/** Return a run with `head` events that has just been attached to; `more` is of the reply, `frames` come with it. */
export async function attached(
  head: number,
  more: object = {},
  ...frames: Frame[]
): Promise<{ client: Client; run: Run; socket: FakeSocket; sockets: FakeSocket[] }> {
  const { client, sockets } = fakeClient();
  await turn();
  const socket = sockets[0] as FakeSocket;
  socket.open();
  const attaching = client.attach("r", { modes: ["custom"] });
  await turn();
  socket.say({ ...subscribed(socket.last("subscribe").id, head), ...more }, ...frames);
  return { client, run: await attaching, socket, sockets };
}

/** Return the replies that start a run on subscription `sub`. */
export function started({ id, run = "r" }: Frame, sub = 1, head = 0): Frame[] {
  return [
    { type: "started", id: id as number, run, status: "running", created: true, epoch: "e" },
    { type: "subscribed", id: id as number, sub, run, epoch: "e", head, after: 0, recovery: "live" },
  ];
}

/** Return the reply to a `subscribe`. */
export const subscribed = (id: unknown, head: number) =>
  ({
    type: "subscribed",
    id: id as number,
    sub: 1,
    run: "r",
    epoch: "e",
    head,
    recovery: "replayed",
  }) as const;

/** Return an event frame. */
export function event(n: number, seq: number, mode: string, data: unknown, more: object = {}): Frame {
  return { type: "event", sub: 1, n, seq, mode, data, ...more };
}

/** Return the lifecycle event of a status. */
export function life(n: number, seq: number, status: string, more: object = {}): Frame {
  return event(n, seq, "lifecycle", { status, attempt: 1, at: "2026-03-01T12:00:00Z", ...more });
}

/** Return a function that counts the listeners which the signal has got from now on and still has. */
export function listenersOf(signal: AbortSignal): () => number {
  const there = new Set<unknown>();
  const { addEventListener, removeEventListener } = signal;
  signal.addEventListener = (...args: unknown[]) => {
    there.add(args[1]);
    addEventListener.apply(signal, args as never);
  };
  signal.removeEventListener = (...args: unknown[]) => {
    there.delete(args[1]);
    removeEventListener.apply(signal, args as never);
  };
  return () => there.size;
}
