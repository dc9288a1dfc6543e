// Bundles the client and what goes with it as an application would, prints the sizes, and fails above the limits.
import { resolve } from "node:path";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

// Bytes, minified and gzipped. A part is its entry and the folder of its name; the client itself, and other
// people's packages, are left out of it: an application has them.
const CORE = { name: "graphwire", entry: "src/index.ts", limit: 12_000 };
const PARTS = [
  { name: "graphwire/react", entry: "src/react/index.ts", folder: "src/react/", limit: 3000 },
  { name: "graphwire/ai", entry: "src/ai.ts", folder: "src/ai/", limit: 7000 },
  { name: "graphwire/langchain", entry: "src/langchain/index.ts", folder: "src/langchain/", limit: 7000 },
];

const root = new URL("..", import.meta.url).pathname;

const clientIsThere = (folder) => ({
  name: "the client is there",
  setup: ({ onResolve }) =>
    onResolve({ filter: /^\.\.?\// }, ({ kind, path, resolveDir }) =>
      kind !== "entry-point" && !resolve(resolveDir, path).startsWith(root + folder)
        ? { path, external: true }
        : undefined,
    ),
});

for (const { name, entry, folder, limit } of [CORE, ...PARTS]) {
  const { outputFiles } = await build({
    entryPoints: [`./${entry}`],
    absWorkingDir: root,
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    write: false,
    external: ["react", "ai", "@langchain/*"],
    plugins: folder ? [clientIsThere(folder)] : [],
  });
  const [{ contents }] = outputFiles;
  const size = gzipSync(contents, { level: 9 }).length;
  console.log(`${name}: ${contents.length} bytes minified, ${size} gzipped, of at most ${limit}`);
  if (size > limit) process.exitCode = 1;
}
