/**
 * Chromium with tabs that hide each other, driven by the DevTools protocol itself.
 *
 * Playwright shows every page as if it were in front, and nothing can turn that off.
 */

import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { WebSocket } from "ws";
import { atEnd } from "../at_end.js";
import { ARGUMENTS, chromiumPath } from "../chromium.js";

type Reply = { id?: number; result?: object; error?: { message: string } };

/** A window; the tab that was opened or shown last is in front. */
export class Window {
  readonly #replies = new Map<number, (reply: Reply) => void>();
  #requests = 0;

  private constructor(
    readonly process: ChildProcess,
    readonly profile: string,
    readonly socket: WebSocket,
  ) {
    socket.on("message", (message) => {
      const reply: Reply = JSON.parse(String(message));
      if (reply.id !== undefined) this.#replies.get(reply.id)?.(reply);
    });
  }

  static async open(): Promise<Window> {
    const profile = mkdtempSync(join(tmpdir(), "graphwire-tabs-"));
    const args = ["--headless=new", "--remote-debugging-port=0", `--user-data-dir=${profile}`];
    const process = spawn(chromiumPath(), [...args, ...ARGUMENTS], { stdio: ["ignore", "ignore", "pipe"] });
    atEnd(() => process.kill("SIGKILL"));
    const address = await new Promise<string>((resolve, reject) => {
      let said = "";
      process.stderr?.on("data", (data) => {
        said += data;
        const found = /DevTools listening on (ws:\S+)/.exec(said)?.[1];
        if (found) resolve(found);
      });
      process.once("exit", (code) => reject(new Error(`Chromium ended with ${code}: ${said}`)));
    });
    const socket = new WebSocket(address);
    await new Promise((resolve) => socket.once("open", resolve));
    return new Window(process, profile, socket);
  }

  /** Open a tab, in front of the others. */
  async tab(url: string): Promise<Tab> {
    const { targetId } = await this.send<{ targetId: string }>("Target.createTarget", { url });
    const params = { targetId, flatten: true };
    const { sessionId } = await this.send<{ sessionId: string }>("Target.attachToTarget", params);
    return new Tab(this, targetId, sessionId);
  }

  /** Send a command and wait for its result. */
  async send<R>(method: string, params: object, sessionId?: string): Promise<R> {
    const id = ++this.#requests;
    const { result, error } = await new Promise<Reply>((resolve) => {
      this.#replies.set(id, resolve);
      this.socket.send(JSON.stringify({ id, method, params, sessionId }));
    });
    if (error) throw new Error(`${method}: ${error.message}`);
    return result as R;
  }

  async close(): Promise<void> {
    const ended = new Promise((resolve) => this.process.once("exit", resolve));
    await this.send("Browser.close", {});
    await ended;
    this.socket.close();
    // Its helper processes may still write for a moment.
    rmSync(this.profile, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  }
}

/** A page in a window. */
export class Tab {
  constructor(
    readonly window: Window,
    readonly target: string,
    readonly session: string,
  ) {}

  /** Bring the tab to the front: the others are hidden. */
  async show(): Promise<void> {
    await this.window.send("Target.activateTarget", { targetId: this.target });
  }

  /** Stop all of the page's tasks, or let them run again. */
  async freeze(isFrozen: boolean): Promise<void> {
    const state = isFrozen ? "frozen" : "active";
    await this.window.send("Page.setWebLifecycleState", { state }, this.session);
  }

  /** Return the value of an expression in the page; awaited, if it is a promise. */
  async value<V>(expression: string): Promise<V> {
    const params = { expression, awaitPromise: true, returnByValue: true };
    type Evaluated = { result: { value: V }; exceptionDetails?: { exception: { description: string } } };
    const found = await this.window.send<Evaluated>("Runtime.evaluate", params, this.session);
    if (found.exceptionDetails) throw new Error(found.exceptionDetails.exception.description);
    return found.result.value;
  }
}
