/** The console as it is built, before a gateway of a test. */

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

/** Build the console as it is released; what runs tests says `test`, with which React would be its slow one. */
async function built(outDir: string): Promise<void> {
  const before = process.env.NODE_ENV;
  process.env.NODE_ENV = "production";
  try {
    await build({ ...COMMON, mode: "production", build: { outDir, emptyOutDir: true } });
  } finally {
    process.env.NODE_ENV = before;
  }
}

/**
 * Build the console into a folder and serve it beside the gateway at a port; return the server and its address.
 * `health` is the port at which the gateway says whether it is there, if that is another.
 */
export async function served(
  outDir: string,
  port: () => number,
  health = port,
): Promise<[PreviewServer, string]> {
  await built(outDir);
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
