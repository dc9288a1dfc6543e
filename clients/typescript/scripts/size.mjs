// Bundles the client as an application would, prints its sizes, and fails above the limit of the core.
//
// Vite and Rollup keep in the core what both the core and a part on demand use, so that is what a page loads first.
import { gzipSync } from "node:zlib";
import { transformSync } from "esbuild";
import { build } from "vite";

const LIMIT = 12_000; // bytes, minified and gzipped

const [{ output }] = await build({
  configFile: false,
  logLevel: "error",
  build: {
    lib: { entry: new URL("../src/index.ts", import.meta.url).pathname, formats: ["es"], fileName: "core" },
    target: "es2022",
    minify: false, // of a library Vite would keep the spaces
    rollupOptions: { preserveEntrySignatures: "allow-extension" }, // no file that only exports the core again
    write: false,
  },
});
for (const { isEntry, name, code } of output) {
  const minified = transformSync(code, { minify: true, format: "esm", target: "es2022" }).code;
  const size = gzipSync(minified, { level: 9 }).length;
  const title = isEntry ? "graphwire" : `graphwire, ${name} on demand`;
  console.log(
    `${title}: ${minified.length} bytes minified, ${size} gzipped${isEntry ? `, of at most ${LIMIT}` : ""}`,
  );
  if (isEntry && size > LIMIT) process.exitCode = 1;
}
