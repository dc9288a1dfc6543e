/** The console before a gateway, with a line between them that a test can cut. */

import { mkdtempSync, rmSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { PreviewServer } from "vite";
import { served } from "./served";

/** The line between the page and its gateway, which can be cut. */
export class Line {
  readonly #sockets = new Set<Socket>();
  #isCut = false;

  private constructor(
    readonly server: Server,
    readonly port: number,
  ) {}

  static open(gateway: string): Promise<Line> {
    const server = createServer();
    const to = Number(new URL(gateway).port);
    return new Promise((resolve) =>
      server.listen(0, "127.0.0.1", () => {
        const address = server.address();
        const line = new Line(server, typeof address === "object" && address ? address.port : 0);
        server.on("connection", (socket) => line.#pass(socket, to));
        resolve(line);
      }),
    );
  }

  #pass(near: Socket, port: number): void {
    if (this.#isCut) return void near.destroy();
    const far = connect(port, "127.0.0.1");
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      this.#sockets.add(socket);
      socket.pipe(other);
      socket.on("error", () => other.destroy()).on("close", () => other.destroy());
      socket.on("close", () => this.#sockets.delete(socket));
    }
  }

  /** Cut every connection, and refuse new ones until it is mended. */
  cut(): void {
    this.#isCut = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  mend(): void {
    this.#isCut = false;
  }

  close(): void {
    this.cut();
    this.server.close();
  }
}

export class ConsoleSite {
  private constructor(
    readonly folder: string,
    readonly server: PreviewServer,
    readonly address: string,
    readonly line: Line,
  ) {}

  /** Build the console and serve it with the sockets of the gateway at `gateway`, `ws://127.0.0.1:PORT/ws`. */
  static async open(gateway: string): Promise<ConsoleSite> {
    const folder = mkdtempSync(join(tmpdir(), "graphwire-console-"));
    const line = await Line.open(gateway);
    const health = () => Number(new URL(gateway).port);
    const [server, address] = await served(folder, () => line.port, health);
    return new ConsoleSite(folder, server, address, line);
  }

  /** The address of a page: `url("#/runs")`. */
  url(hash = ""): string {
    return `${this.address}/${hash}`;
  }

  async close(): Promise<void> {
    this.line.close();
    await this.server.close();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
