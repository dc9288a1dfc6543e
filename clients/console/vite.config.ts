import { fileURLToPath } from "node:url";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** `npm run dev` takes the gateway of `make demo`, or the one that GRAPHWIRE_URL names. */
const GATEWAY = process.env.GRAPHWIRE_URL ?? "ws://127.0.0.1:8765";

export default defineConfig({
  base: "./", // the gateway may be behind a path
  plugins: [react()],
  resolve: {
    alias: [
      { find: /^graphwire\/react$/, replacement: here("../typescript/src/react/index.ts") },
      { find: /^graphwire$/, replacement: here("../typescript/src/index.ts") },
    ],
    dedupe: ["react", "react-dom"],
  },
  build: {
    outDir: here("../../gateway/graphwire_gateway/console"),
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: 0, // the Content-Security-Policy allows no data: but in images
    modulePreload: { polyfill: false },
  },
  server: { proxy: { "/ws": { target: GATEWAY, ws: true }, "/readyz": GATEWAY.replace(/^ws/, "http") } },
});
