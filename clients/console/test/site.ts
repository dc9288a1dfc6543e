/** The console, built of the sources as they are, before a gateway of its own: what tests with a browser open. */

import { mkdtempSync, rmSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build, type PreviewServer, preview } from "vite";

const root = fileURLToPath(new URL("..", import.meta.url));

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
    readonly line: Line,
  ) {}

  /** Build the console and serve it with the sockets of the gateway at `gateway`, `ws://127.0.0.1:PORT/ws`. */
  static async open(gateway: string): Promise<ConsoleSite> {
    const folder = mkdtempSync(join(tmpdir(), "graphwire-console-"));
    const common = { root, configFile: join(root, "vite.config.ts"), logLevel: "silent" } as const;
    // What runs tests says `test`, with which a build would be React's slow one for developers.
    const before = process.env.NODE_ENV;
    process.env.NODE_ENV = "production";
    try {
      await build({ ...common, mode: "production", build: { outDir: folder, emptyOutDir: true } });
    } finally {
      process.env.NODE_ENV = before;
    }
    const line = await Line.open(gateway);
    const configure = (proxy: { on: (event: "error", listener: () => void) => void }) =>
      void proxy.on("error", () => {}); // a line that is cut is no news
    const proxy = { "/ws": { target: `ws://127.0.0.1:${line.port}`, ws: true, configure } };
    const server = await preview({
      ...common,
      build: { outDir: folder },
      preview: { host: "127.0.0.1", port: 0, proxy },
    });
    return new ConsoleSite(folder, server, line);
  }

  /** The address of a page: `url("#/runs")`. */
  url(hash = ""): string {
    const address = this.server.httpServer.address();
    return `http://127.0.0.1:${typeof address === "object" && address ? address.port : 0}/${hash}`;
  }

  async close(): Promise<void> {
    this.line.close();
    await this.server.close();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
