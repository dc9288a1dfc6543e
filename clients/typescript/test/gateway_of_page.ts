/** `gateway.ts` for tests that run in Chromium: vitest's process in Node starts and stops what a page cannot. */

import { commands } from "@vitest/browser/context";
import type * as node from "./gateway.js";

declare module "@vitest/browser/context" {
  interface BrowserCommands {
    python: typeof python;
    startGateway: (options: string[]) => Promise<number>;
    stopGateway: (port: number) => Promise<void>;
    newDatabase: typeof node.newDatabase;
    startProxy: (port: number, plan: number | node.Cuts) => Promise<string>;
    proxyCounts: (url: string) => ReturnType<node.CuttingProxy["counts"]>;
    stopProxy: (url: string) => Promise<void>;
  }
}

/** The platform's. */
export const webSocket: unknown = undefined;

/** Run a Python program with `input`; return what it prints. */
export const python = (program: string, input: string): Promise<string> => commands.python(program, input);

/** See `newDatabase` in `gateway.ts`. */
export const newDatabase = (): Promise<string> => commands.newDatabase();

/** See `Gateway` in `gateway.ts`. */
export class Gateway {
  private constructor(readonly port: number) {}

  static async start(...options: string[]): Promise<Gateway> {
    return new Gateway(await commands.startGateway(options));
  }

  get url(): string {
    return `ws://127.0.0.1:${this.port}/ws`;
  }

  stop(): Promise<void> {
    return commands.stopGateway(this.port);
  }
}

/** See `CuttingProxy` in `gateway.ts`. */
export class CuttingProxy {
  private constructor(readonly url: string) {}

  static async start(port: number, plan: number | node.Cuts): Promise<CuttingProxy> {
    return new CuttingProxy(await commands.startProxy(port, plan));
  }

  counts(): ReturnType<node.CuttingProxy["counts"]> {
    return commands.proxyCounts(this.url);
  }

  stop(): Promise<void> {
    return commands.stopProxy(this.url);
  }
}
