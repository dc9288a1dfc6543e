/** A gateway as a process of its own, and a proxy before it that cuts connections. */

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { connect as connectTcp, createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";

// In a test with a DOM, `import.meta.url` is a page's address.
const FOLDER = import.meta.dirname;
const VENV = join(FOLDER, "../../../.venv/bin/python");

/** The Python that has graphwire and its server. */
export const PYTHON = process.env.GRAPHWIRE_PYTHON ?? VENV;

/** Run a Python program with `input`; return what it prints. */
export function python(program: string, input: string): string {
  return execFileSync(PYTHON, ["-c", program], { input, encoding: "utf8", maxBuffer: 1 << 28 });
}

export class Gateway {
  private constructor(
    readonly port: number,
    readonly process: ChildProcess,
  ) {}

  /** Start a gateway that serves the graphs of the conformance kit, on a free port of loopback. */
  static start(...options: string[]): Promise<Gateway> {
    const args = [
      "-m",
      "graphwire",
      "serve",
      "--conformance-graphs",
      ...(options.length ? options : ["--port", "0"]),
    ];
    const child = spawn(PYTHON, args, { cwd: FOLDER });
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
    return new Promise((resolve) => {
      this.process.once("exit", () => resolve());
      this.process.kill("SIGKILL");
    });
  }
}

/** Passes bytes between clients and a gateway, and cuts each connection after as many bytes as `plan` says. */
export class CuttingProxy {
  cuts = 0;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(port: number, plan: (connection: number) => number) {
    let connections = 0;
    this.#server = createServer((client) => {
      let left = plan(connections++);
      const server = connectTcp(port, "127.0.0.1");
      const end = () => {
        client.destroy();
        server.destroy();
        this.#sockets.delete(client);
      };
      this.#sockets.add(client);
      for (const socket of [client, server]) socket.setNoDelay(true).on("error", end).on("close", end);
      client.on("data", (data) => server.write(data));
      server.on("data", (data) => {
        client.write(data.subarray(0, left));
        left -= data.length;
        if (left > 0 || client.destroyed) return;
        this.cuts += 1;
        // What was written before the cut arrives; then the connection is lost in the middle of a frame.
        client.destroySoon();
        server.destroy();
      });
    });
  }

  static start(port: number, plan: (connection: number) => number): Promise<CuttingProxy> {
    const proxy = new CuttingProxy(port, plan);
    return new Promise((resolve) => proxy.#server.listen(0, "127.0.0.1", () => resolve(proxy)));
  }

  get url(): string {
    const address = this.#server.address();
    return `ws://127.0.0.1:${typeof address === "object" && address?.port}/ws`;
  }

  stop(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}
