/** The console before a gateway, with a line between them that a test can cut. */

import { connect, createServer, type Server, type Socket } from "node:net";
import type { PreviewServer } from "vite";
import { served } from "./served";

/** The line between the page and its gateway, which can be cut. */
export class Line {
  readonly #sockets = new Set<Socket>();
  #isCut = false;

  private constructor(
    readonly server: Server,
    readonly port: number,
    /** The gateway to which the next connections lead. */
    public gateway: string,
  ) {}

  static open(gateway: string): Promise<Line> {
    const server = createServer();
    return new Promise((resolve) =>
      server.listen(0, "127.0.0.1", () => {
        const address = server.address();
        const line = new Line(server, typeof address === "object" && address ? address.port : 0, gateway);
        server.on("connection", (socket) => line.#pass(socket));
        resolve(line);
      }),
    );
  }

  #pass(near: Socket): void {
    if (this.#isCut) return void near.destroy();
    const far = connect(Number(new URL(this.gateway).port), "127.0.0.1");
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
    readonly server: PreviewServer,
    readonly address: string,
    readonly line: Line,
  ) {}

  /** Serve the console with the sockets of the gateway at `gateway`, `ws://127.0.0.1:PORT/ws`. */
  static async open(gateway: string): Promise<ConsoleSite> {
    const line = await Line.open(gateway);
    const health = () => Number(new URL(gateway).port);
    const [server, address] = await served(() => line.port, health);
    return new ConsoleSite(server, address, line);
  }

  /** The address of a page: `url("#/runs")`. */
  url(hash = ""): string {
    return `${this.address}/${hash}`;
  }

  async close(): Promise<void> {
    this.line.close();
    await this.server.close();
  }
}
