// Bundles the client as an application would, prints its size, and fails above the limit.
import { gzipSync } from "node:zlib";
import { buildSync } from "esbuild";

const LIMIT = 12_000; // bytes, minified and gzipped

const { outputFiles } = buildSync({
  entryPoints: [new URL("../src/index.ts", import.meta.url).pathname],
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  write: false,
});
const [{ contents }] = outputFiles;
const size = gzipSync(contents, { level: 9 }).length;
console.log(`graphwire: ${contents.length} bytes minified, ${size} gzipped, of at most ${LIMIT}`);
process.exitCode = size > LIMIT ? 1 : 0;
