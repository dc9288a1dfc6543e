/** The console as it is built, before a gateway of a test. */

import { fileURLToPath } from "node:url";
import { build, type PreviewServer, preview } from "vite";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

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

/** Build the console into a folder and serve it beside the gateway at a port; return the server and its address. */
export async function served(outDir: string, port: () => number): Promise<[PreviewServer, string]> {
  await build({ root: ROOT, logLevel: "warn", build: { outDir, emptyOutDir: true } });
  const server = await preview({
    root: ROOT,
    logLevel: "warn",
    build: { outDir },
    preview: {
      port: 0,
      host: "127.0.0.1",
      headers: { "content-security-policy": POLICY },
      proxy: {
        "/ws": { target: `ws://127.0.0.1:${port()}`, ws: true },
        "/readyz": `http://127.0.0.1:${port()}`,
      },
    },
  });
  const address = server.httpServer.address();
  if (typeof address !== "object" || !address) throw new Error("the server has no port");
  return [server, `http://127.0.0.1:${address.port}`];
}
