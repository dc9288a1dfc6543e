/** Chromium, and a server of the files that a page needs. */

import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { buildSync } from "esbuild";
import { type Browser, chromium } from "playwright";
import { atEnd } from "./at_end.js";
import { watchPages } from "./seen_pages.js";

/** The folder of this package: `dist`, `examples` and `node_modules` are in it. */
export const PACKAGE = fileURLToPath(new URL("..", import.meta.url));

const PLACES = [
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
];

/** How Chromium starts: it does not ask the network for anything by itself, and it may be run by root. */
export const ARGUMENTS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** Return the path of Chromium: `GRAPHWIRE_CHROMIUM`, or where systems have it. Throws if there is none. */
export function chromiumPath(): string {
  const found = process.env.GRAPHWIRE_CHROMIUM ?? PLACES.find((path) => existsSync(path));
  if (!found)
    throw new Error("no Chromium here: `apt-get install chromium`, or set GRAPHWIRE_CHROMIUM=/path/to/it");
  return found;
}

/** How long a page is waited for, in milliseconds: a machine that runs all tests at once is ten times slower. */
const PAGE_MS = 60_000;

/**
 * Start Chromium without a window, with a profile of its own; `browser.close()` ends it, or the end of the file of tests.
 * What a page throws, and that it crashed, is printed: a test that waits for such a page sees only that nothing comes.
 */
export async function launch(...more: string[]): Promise<Browser> {
  const browser = await chromium.launch({ executablePath: chromiumPath(), args: [...ARGUMENTS, ...more] });
  atEnd(() => browser.close());
  browser.on("context", (context) => {
    context.setDefaultTimeout(PAGE_MS);
    watchPages(context);
    context.on("weberror", (error) => console.warn("a page threw", error.error()));
    context.on("page", (page) => page.on("crash", () => console.warn("a page crashed:", page.url())));
  });
  return browser;
}

/** Return a module and all that it imports as one ES module, of the sources as they are now. */
export function bundle(entry: string): string {
  const { outputFiles } = buildSync({
    entryPoints: [join(PACKAGE, entry)],
    bundle: true,
    format: "esm",
    target: "es2022",
    jsx: "automatic",
    define: { "process.env.NODE_ENV": '"production"' },
    write: false,
  });
  return outputFiles[0]?.text ?? "";
}

const TYPES: { [extension: string]: string } = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".mjs": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".json": "application/json",
  ".svg": "image/svg+xml",
};

/** A page that a test wrote, or a folder, served over HTTP on a free port of loopback. */
export class Site {
  private constructor(
    readonly port: number,
    readonly server: Server,
  ) {}

  /** Serve a folder. `pages` are served before its files: `{ "/": "<!doctype html>…" }`. */
  static serve(folder: string, pages: { readonly [path: string]: string } = {}): Promise<Site> {
    const server = createServer(async ({ url = "/" }, response) => {
      const path = decodeURIComponent(new URL(url, "http://localhost").pathname);
      const type = TYPES[extname(path)] ?? "text/html; charset=utf-8";
      try {
        // The URL's own parser has resolved every `..`, so that no path leaves the folder.
        const body = pages[path] ?? (await readFile(join(folder, normalize(path))));
        response.writeHead(200, { "content-type": type, "cache-control": "no-store" }).end(body);
      } catch {
        response.writeHead(404).end(`there is no ${path} here`);
      }
    });
    return new Promise((resolve) =>
      server.listen(0, "127.0.0.1", () => {
        const address = server.address();
        const site = new Site(typeof address === "object" && address ? address.port : 0, server);
        atEnd(() => site.stop());
        resolve(site);
      }),
    );
  }

  /** The address; with another `host`, such as `other.localhost`, pages have another origin. */
  url(path = "/", host = "127.0.0.1"): string {
    return `http://${host}:${this.port}${path}`;
  }

  stop(): void {
    this.server.close();
    this.server.closeAllConnections();
  }
}
