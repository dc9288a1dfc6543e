import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";
import { ARGUMENTS, chromiumPath } from "./test/chromium.js";
import { commands } from "./test/gateway_commands.js";

/** What runs in Chromium too. The other tests need Node, or play the page themselves. */
const IN_CHROMIUM = [
  "acting_live",
  "ai/chunks",
  "ai/resume",
  "ai/use_chat",
  "caught_up",
  "cursor",
  "deltas",
  "follow_live",
  "langchain/live",
  "langchain/many",
  "live",
  "messages",
  "patches",
  "projection",
  "run",
  "run_lost",
  "run_tracker",
  "session",
  "tables",
  "threads_live",
  "watch_queue",
];

const LIBRARIES = [
  "@ai-sdk/react",
  "@langchain/react",
  "@testing-library/react",
  "ai",
  "fast-check",
  "react",
  "react/jsx-dev-runtime",
];

/** How long a condition is waited for, and a whole test: a machine that runs all of them at once is ten times slower. */
const POLL_MS = 20_000;
const TEST_MS = 40_000;

export default defineConfig({
  test: {
    maxWorkers: 2,
    projects: [
      {
        test: {
          name: "node",
          include: ["test/**/*.test.ts", "test/**/*.test.tsx"],
          setupFiles: "test/failure_report.ts",
          testTimeout: TEST_MS,
          expect: { poll: { timeout: POLL_MS } },
        },
      },
      {
        resolve: {
          alias: [
            {
              find: /^\.\.?\/gateway\.js$/,
              replacement: fileURLToPath(new URL("test/gateway_of_page.ts", import.meta.url)),
            },
          ],
        },
        // What is found only when a test imports it would reload the page under the test.
        optimizeDeps: { include: LIBRARIES },
        test: {
          name: "chromium",
          include: IN_CHROMIUM.map((name) => `test/${name}.test.{ts,tsx}`),
          testTimeout: TEST_MS,
          expect: { poll: { timeout: POLL_MS } },
          browser: {
            enabled: true,
            headless: true,
            screenshotFailures: false,
            provider: "playwright",
            instances: [{ browser: "chromium", launch: { executablePath: chromiumPath(), args: ARGUMENTS } }],
            commands,
          },
        },
      },
    ],
  },
});
