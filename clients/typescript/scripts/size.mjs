// Bundles the client and what goes with it as an application would, prints the sizes, and fails above the limits.
import { resolve } from "node:path";
import { gzipSync } from "node:zlib";
import { build, transformSync } from "esbuild";
import { build as bundle } from "vite";

// Bytes, minified and gzipped. A part is its entry and the folder of its name; the client itself, and other
// people's packages, are left out of it: an application has them.
const CORE_LIMIT = 12_000;
const PARTS = [
  { name: "graphwire/react", entry: "src/react/index.ts", folder: "src/react/", limit: 3100 },
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

function report(name, contents, limit) {
  const size = gzipSync(contents, { level: 9 }).length;
  const most = limit ? `, of at most ${limit}` : "";
  console.log(`${name}: ${contents.length} bytes minified, ${size} gzipped${most}`);
  if (size > limit) process.exitCode = 1;
}

// Vite and Rollup keep in the core what both the core and a part on demand use: it is what a page loads first.
const [{ output }] = await bundle({
  configFile: false,
  logLevel: "error",
  root,
  build: {
    lib: { entry: "src/index.ts", formats: ["es"], fileName: "core" },
    rollupOptions: { preserveEntrySignatures: "allow-extension" }, // no file that only exports the core again
    target: "es2022",
    minify: false, // of a library Vite would keep the spaces
    write: false,
  },
});
for (const { isEntry, name, code } of output) {
  const { code: minified } = transformSync(code, { minify: true, format: "esm", target: "es2022" });
  report(isEntry ? "graphwire" : `  on demand, ${name}`, minified, isEntry ? CORE_LIMIT : undefined);
}

for (const { name, entry, folder, limit } of PARTS) {
  const { outputFiles } = await build({
    entryPoints: [`./${entry}`],
    absWorkingDir: root,
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    write: false,
    external: ["react", "ai", "@langchain/*"],
    plugins: [clientIsThere(folder)],
  });
  const [{ contents }] = outputFiles;
  report(name, contents, limit);
}
