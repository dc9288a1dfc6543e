// Bundles the client as an application would, prints its size, and fails above the limit; then its adapters.
import { resolve } from "node:path";
import { gzipSync } from "node:zlib";
import { build, buildSync } from "esbuild";

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

// An adapter is measured without the client, which its application has anyway.
const ADAPTERS = { ai: 7000 };

for (const [name, limit] of Object.entries(ADAPTERS)) {
  const clientIsThere = {
    name: "the client is there",
    setup: ({ onResolve }) =>
      onResolve({ filter: /^\.\.?\// }, ({ kind, path, resolveDir }) =>
        kind !== "entry-point" && !resolve(resolveDir, path).includes(`/src/${name}/`)
          ? { path, external: true }
          : undefined,
      ),
  };
  const built = await build({
    entryPoints: [`./src/${name}.ts`],
    absWorkingDir: new URL("..", import.meta.url).pathname,
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    write: false,
    plugins: [clientIsThere],
  });
  const code = built.outputFiles[0].contents;
  const gzipped = gzipSync(code, { level: 9 }).length;
  console.log(`graphwire/${name}: ${code.length} bytes minified, ${gzipped} gzipped, of at most ${limit}`);
  if (gzipped > limit) process.exitCode = 1;
}
