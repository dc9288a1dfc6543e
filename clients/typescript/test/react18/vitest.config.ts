/** The tests of the hooks once more, with React 18. */

import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const here = fileURLToPath(new URL("node_modules/", import.meta.url));
const names = ["react", "react-dom", "@testing-library/react"];

export default defineConfig({
  root: fileURLToPath(new URL("../..", import.meta.url)),
  resolve: {
    alias: names.map((name) => ({ find: new RegExp(`^${name}(?=/|$)`), replacement: here + name })),
  },
  test: { include: ["test/react/**/*.test.tsx"], testTimeout: 10_000, maxWorkers: 2, env: { REACT: "18" } },
});
