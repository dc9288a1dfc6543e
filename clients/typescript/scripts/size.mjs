// Bundles the client and what goes with it as an application would, prints the sizes, and fails above the limits.
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

// Bytes, minified and gzipped. React, and for a part the client itself, are left out: an application has them.
const PARTS = [
  { name: "graphwire", entry: "src/index.ts", limit: 12_000 },
  { name: "graphwire/react", entry: "src/react/index.ts", limit: 3000 },
];

const clientIsThere = {
  name: "the client is there",
  setup: ({ onResolve }) => onResolve({ filter: /^\.\.\/[^/]+$/ }, ({ path }) => ({ path, external: true })),
};

for (const { name, entry, limit } of PARTS) {
  const { outputFiles, metafile } = await build({
    entryPoints: [entry],
    absWorkingDir: new URL("..", import.meta.url).pathname,
    bundle: true,
    minify: true,
    metafile: true,
    format: "esm",
    target: "es2022",
    write: false,
    external: ["react"],
    plugins: [clientIsThere],
  });
  const [{ contents }] = outputFiles;
  const size = gzipSync(contents, { level: 9 }).length;
  console.log(`${name}: ${contents.length} bytes minified, ${size} gzipped, of at most ${limit}`);
  // Files of the client within a part would be there twice.
  const folder = entry.slice(0, entry.lastIndexOf("/") + 1);
  const twice = Object.keys(metafile.inputs).filter((path) => !path.startsWith(folder));
  if (twice.length) console.error(`${name} holds ${twice}`);
  if (size > limit || twice.length) process.exitCode = 1;
}
