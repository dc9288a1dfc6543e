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
      // Pages are waited for as long as `launch()` says; a test is there to say what did not come.
      testTimeout: 120_000,
      hookTimeout: 300_000,
      expect: { poll: { timeout: 20_000 } },
      maxWorkers: 2,
      passWithNoTests: true,
      globalSetup: "test/built_folder.ts",
      setupFiles: "test/failure_report.ts",
      env: { CONSOLE_BUILT: join(tmpdir(), `graphwire-console-${process.pid}`) },
    },
  }),
);
