/**
 * A gateway as a process of its own, and a proxy before it that cuts and stalls connections.
 *
 * Tests that run in Node and in Chromium import this file in Node; in Chromium they get `gateway_of_page.ts`, which has
 * the same names.
 */

import { type ChildProcess, execFile, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { connect as connectTcp, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { WebSocket } from "ws";
import { atEnd } from "./at_end.js";

// Not `new URL("...", import.meta.url)`: in a test with a page Vite makes an address of a page of it.
const HERE = dirname(fileURLToPath(import.meta.url));
const VENV = join(HERE, "../../../.venv/bin/python");

/** The Python that has graphwire and its server. */
export const PYTHON = process.env.GRAPHWIRE_PYTHON ?? VENV;

/** The class of WebSockets to connect with: Node 20 has none. */
export const webSocket: unknown = WebSocket;

/** Run a Python program with `input`; return what it prints. */
export function python(program: string, input: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { encoding: "utf8", maxBuffer: 1 << 28 } as const;
    const ended = (error: Error | null, out: string) => (error ? reject(error) : resolve(out));
    execFile(PYTHON, ["-c", program], options, ended).stdin?.end(input);
  });
}

/** Make a folder for the threads of `chat.py`; return the variable of `Gateway.start()` that names a file in it. */
export async function newDatabase(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "graphwire-chat-"));
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  return `CHAT_DB=${join(folder, "chat.db")}`;
}

export class Gateway {
  private constructor(
    readonly port: number,
    readonly process: ChildProcess,
  ) {}

  /**
   * Start a gateway that serves the graphs of the conformance kit, on a free port of loopback. Options that begin like
   * `NAME=` are variables of its environment.
   */
  static start(...given: string[]): Promise<Gateway> {
    const isVariable = (option: string) => /^[A-Z_]+=/.test(option);
    const options = given.filter((option) => !isVariable(option));
    const variables = given.filter(isVariable).map((option) => option.split(/=(.*)/, 2));
    const args = [
      "-m",
      "graphwire",
      "serve",
      "--conformance-graphs",
      ...(options.length ? options : ["--port", "0"]),
    ];
    const child = spawn(PYTHON, args, {
      cwd: HERE,
      env: { ...process.env, ...Object.fromEntries(variables) },
    });
    atEnd(() => child.kill("SIGKILL"));
    return new Promise((resolve, reject) => {
      let said = "";
      const listen = (data: Buffer) => {
        said += data;
        const port = /ws:\/\/127\.0\.0\.1:(\d+)\/ws/.exec(said)?.[1];
        if (port) resolve(new Gateway(Number(port), child));
      };
      child.stdout.on("data", listen);
      child.stderr.on("data", listen);
      child.once("error", reject);
      child.once("exit", (code) => reject(new Error(`the gateway ended with ${code}: ${said}`)));
    });
  }

  get url(): string {
    return `ws://127.0.0.1:${this.port}/ws`;
  }

  stop(): Promise<void> {
    const { exitCode, signalCode } = this.process;
    if (exitCode !== null || signalCode !== null) return Promise.resolve();
    return new Promise((resolve) => {
      this.process.once("exit", () => resolve());
      this.process.kill("SIGKILL");
    });
  }
}

/** What happens to the bytes that a server sends on a connection, in order: so many pass, then a wait or the cut. */
export interface Fate {
  /** How many bytes pass until the connection is cut. */
  bytes: number;
  /** For how many milliseconds to hold back what arrives, at each of its chunks; 0 passes it at once. */
  stall: () => number;
}

/** The fate of each connection by its number; a number says after how many bytes it is cut. */
export type Plan = (connection: number) => number | Fate;

/** What a page can send of a plan: after how many bytes each connection is cut; the last number is for all others. */
export type Cuts = readonly number[];

/** Return a plan of cuts at any byte: mostly behind the welcome, now and then before; every tenth connection stalls. */
export function storm(seed: number): (connection: number) => Fate {
  let state = seed;
  const random = (below: number) => {
    state = (state * 1103515245 + 12345) % 2147483648;
    return state % below;
  };
  return (connection) => ({
    bytes: connection % 20 === 0 ? random(1500) : 1500 + random(2500),
    stall: () => (connection % 10 === 5 && random(4) === 0 ? random(40) : 0),
  });
}

/** Passes bytes between clients and a gateway, and cuts each connection after as many bytes as `plan` says. */
export class CuttingProxy {
  connections = 0;
  cuts = 0;
  stalls = 0;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(port: number, plan: Plan) {
    this.#server = createServer((client) => {
      const planned = plan(this.connections++);
      const fate = typeof planned === "number" ? { bytes: planned, stall: () => 0 } : planned;
      let left = fate.bytes;
      let line: Promise<void> = Promise.resolve(); // chunks pass in their order, however long one is held back
      const server = connectTcp(port, "127.0.0.1");
      const end = () => {
        client.destroy();
        server.destroy();
        this.#sockets.delete(client);
      };
      this.#sockets.add(client);
      for (const socket of [client, server]) socket.setNoDelay(true).on("error", end).on("close", end);
      const pass = (data: Buffer) => {
        if (client.destroyed || left <= 0) return;
        client.write(data.subarray(0, left));
        left -= data.length;
        if (left > 0) return;
        this.cuts += 1;
        // What was written before the cut arrives; then the connection is lost in the middle of a frame.
        client.destroySoon();
        server.destroy();
      };
      client.on("data", (data) => server.write(data));
      server.on("data", (data) => {
        const ms = fate.stall();
        if (ms > 0) {
          this.stalls += 1;
          line = line.then(() => new Promise((resolve) => setTimeout(resolve, ms)));
        }
        line = line.then(() => pass(data));
      });
    });
  }

  /** Start a proxy before a gateway. A number is the seed of a `storm`. */
  static start(port: number, plan: number | Cuts | Plan): Promise<CuttingProxy> {
    const cuts = (list: Cuts) => (connection: number) => list[Math.min(connection, list.length - 1)] ?? 0;
    const planned = typeof plan === "number" ? storm(plan) : typeof plan === "function" ? plan : cuts(plan);
    const proxy = new CuttingProxy(port, planned);
    return new Promise((resolve) => proxy.#server.listen(0, "127.0.0.1", () => resolve(proxy)));
  }

  /** Return how many connections there were so far, and how often one was cut and stalled. */
  async counts(): Promise<{ connections: number; cuts: number; stalls: number }> {
    const { connections, cuts, stalls } = this;
    return { connections, cuts, stalls };
  }

  get url(): string {
    const address = this.#server.address();
    return `ws://127.0.0.1:${typeof address === "object" && address?.port}/ws`;
  }

  async stop(): Promise<void> {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}
