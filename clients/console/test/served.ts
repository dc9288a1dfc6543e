/** The console as it is built, before a gateway of a test. */

import { existsSync, mkdirSync, mkdtempSync, renameSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { build, type PreviewServer, preview } from "vite";

/** A gateway that goes away, and a line that is cut, are no news. */
const COMMON = { root: fileURLToPath(new URL("..", import.meta.url)), logLevel: "silent" } as const;

/** What a gateway sends with the console. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "font-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

/**
 * Return the folder with the built console: the first file of tests that needs it builds it, for all of one run.
 *
 * `vitest.config.ts` names the folder of the run, and `built_folder.ts` makes and removes it. Without vitest each call builds.
 */
async function built(): Promise<string> {
  const folder = process.env.CONSOLE_BUILT ?? mkdtempSync(join(tmpdir(), "graphwire-console-"));
  const done = join(folder, "done");
  try {
    mkdirSync(join(folder, "begun"));
  } catch {
    const patience = AbortSignal.timeout(100_000);
    while (!existsSync(done)) await wait(100, undefined, { signal: patience }); // another file builds it
    return done;
  }
  await buildInto(join(folder, "built"));
  renameSync(join(folder, "built"), done);
  return done;
}

/** Build the console as it is released; what runs tests says `test`, with which React would be its slow one. */
async function buildInto(outDir: string): Promise<void> {
  const before = process.env.NODE_ENV;
  process.env.NODE_ENV = "production";
  try {
    await build({ ...COMMON, mode: "production", build: { outDir, emptyOutDir: true } });
  } finally {
    process.env.NODE_ENV = before;
  }
}

/**
 * Serve the console, as this source makes it, beside the gateway at a port; return the server and its address.
 * `health` is the port at which the gateway says whether it is there, if that is another.
 */
export async function served(port: () => number, health = port): Promise<[PreviewServer, string]> {
  const outDir = await built();
  const server = await preview({
    ...COMMON,
    build: { outDir },
    preview: {
      port: 0,
      host: "127.0.0.1",
      headers: { "content-security-policy": POLICY },
      proxy: {
        "/ws": { target: `ws://127.0.0.1:${port()}`, ws: true },
        "/readyz": `http://127.0.0.1:${health()}`,
      },
    },
  });
  const address = server.httpServer.address();
  if (typeof address !== "object" || !address) throw new Error("the server has no port");
  return [server, `http://127.0.0.1:${address.port}`];
}
