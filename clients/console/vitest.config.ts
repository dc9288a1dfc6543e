import { tmpdir } from "node:os";
import { join } from "node:path";
import { defineConfig, mergeConfig } from "vitest/config";
import vite from "./vite.config";

/** Tests of parts need no server and no browser; a file that renders says `@vitest-environment happy-dom`. */
export default mergeConfig(
  vite,
  defineConfig({
    test: {
      include: ["test/**/*.test.{ts,tsx}"],
      testTimeout: 20_000,
      maxWorkers: 2,
      passWithNoTests: true,
      globalSetup: "test/built_folder.ts",
      env: { CONSOLE_BUILT: join(tmpdir(), `graphwire-console-${process.pid}`) },
    },
  }),
);
