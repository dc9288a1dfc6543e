/** The chat in Chromium, before a gateway of its own, as a person uses it. */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, BrowserContext, Locator, Page } from "playwright";
import type { PreviewServer } from "vite";
import { expect } from "vitest";
import { launch } from "../../typescript/test/chromium.js";
import { Gateway } from "../../typescript/test/gateway.js";
import { served } from "./served";
import { Line } from "./site";

/** A browser, a gateway and the console between them; `page` is a new one for each test. */
export class Chat {
  page!: Page;
  errors: string[] = [];
  context!: BrowserContext;

  private constructor(
    readonly browser: Browser,
    public gateway: Gateway,
    readonly server: PreviewServer,
    readonly base: string,
    /** What is between the pages and the gateway, and can be cut. */
    readonly line: Line,
    readonly folder: string,
    readonly options: readonly string[],
  ) {}

  /** Serve graphs, and the console before them. */
  static async start(...options: string[]): Promise<Chat> {
    const folder = await mkdtemp(join(tmpdir(), "console-chat-"));
    process.env.CHAT_DB = join(folder, "chat.db");
    const [browser, gateway] = await Promise.all([launch(), Gateway.start(...options, "--port", "0")]);
    const line = await Line.open(gateway.url);
    const health = () => gateway.port;
    const [server, base] = await served(() => line.port, health);
    return new Chat(browser, gateway, server, base, line, folder, options);
  }

  async stop(): Promise<void> {
    this.line.close();
    await Promise.all([this.browser.close(), this.gateway.stop(), this.server.close()]);
    await rm(this.folder, { recursive: true });
  }

  /** End the gateway, and start another one in its place. */
  async restart(): Promise<void> {
    const { port } = this.gateway;
    await this.gateway.stop();
    this.gateway = await Gateway.start(...this.options, "--port", String(port));
  }

  async begin(): Promise<void> {
    this.errors = [];
    const { base, errors } = this;
    this.context = await this.browser.newContext({ viewport: { width: 1280, height: 800 } });
    this.context.on("request", (request) => {
      const url = request.url();
      if (!url.startsWith(base) && !url.startsWith("data:")) errors.push(`asked ${url}`);
    });
    this.context.on("page", (page) => {
      page.on("pageerror", (error) => errors.push(String(error)));
      page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
      page.on("dialog", (dialog) => {
        errors.push(`opened a dialog: ${dialog.message()}`);
        void dialog.dismiss();
      });
      page.on("websocket", (socket) => {
        if (socket.url() !== `${base.replace("http", "ws")}/ws`) errors.push(`connected ${socket.url()}`);
      });
    });
    this.page = await this.opened("");
  }

  /** Close the pages; they must have reported nothing, and asked nobody but their own server. */
  async end(isCut = false): Promise<void> {
    await this.context.close();
    const lost = /WebSocket connection to|ERR_CONNECTION|ERR_INTERNET|status of 50\d/; // of the proxy, too
    expect(this.errors.filter((error) => !isCut || !lost.test(error))).toEqual([]);
  }

  /** Open a tab. */
  async opened(hash: string): Promise<Page> {
    const tab = await this.context.newPage();
    await tab.goto(`${this.base}/${hash}`);
    return tab;
  }

  /** Begin a thread of a graph. */
  async talk(graph: string): Promise<void> {
    await this.page.goto(`${this.base}/#/chat/${graph}`);
    await this.box().waitFor();
  }

  async say(text: string, tab = this.page): Promise<void> {
    await this.box(tab).fill(text);
    await this.box(tab).press("Enter");
  }

  box(tab = this.page): Locator {
    return tab.getByRole("textbox", { name: "Message", exact: true });
  }

  answers(tab = this.page): Locator {
    return tab.getByRole("article", { name: "Assistant said" });
  }

  own(tab = this.page): Locator {
    return tab.getByRole("article", { name: "You said" });
  }

  threads(tab = this.page): Locator {
    return tab.locator(".chat-side .thread-item");
  }

  /** The text of the latest answer, without what one can do with it. */
  async text(tab = this.page): Promise<string> {
    return String(await this.answers(tab).last().locator(".message-body").textContent());
  }

  /** Wait until nothing runs any more, and an answer is there. */
  async ended(tab = this.page): Promise<void> {
    await tab.getByRole("button", { name: "Regenerate" }).last().waitFor();
  }
}
