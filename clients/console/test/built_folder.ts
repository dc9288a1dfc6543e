/** The folder into which the console is built once for all files of tests; `served.ts` fills it. */

import { mkdirSync, rmSync } from "node:fs";
import type { TestProject } from "vitest/node";

/** Make the folder; return what removes it. */
export default function setup({ config }: TestProject): () => void {
  const folder = String(config.env.CONSOLE_BUILT);
  mkdirSync(folder, { recursive: true });
  return () => rmSync(folder, { recursive: true, force: true });
}
