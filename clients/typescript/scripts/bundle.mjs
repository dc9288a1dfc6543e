// Writes dist/graphwire.min.js: the whole client in one file, for pages without a build step.
import { buildSync } from "esbuild";

const { pathname: root } = new URL("..", import.meta.url);
buildSync({
  absWorkingDir: root,
  entryPoints: ["src/index.ts"],
  outfile: "dist/graphwire.min.js",
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
});
