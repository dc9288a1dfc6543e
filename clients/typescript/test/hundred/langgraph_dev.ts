/** `langgraph dev`, LangChain's own server, as a process: `LANGGRAPH` names the command of `langgraph-cli[inmem]`. */

import { type ChildProcess, spawn } from "node:child_process";
import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export class LangGraphDev {
  private constructor(
    readonly url: string,
    readonly process: ChildProcess,
    readonly folder: string,
  ) {}

  /** Start the server with the graph `tokens`, and places for 120 runs at once. */
  static async start(command: string): Promise<LangGraphDev> {
    const folder = mkdtempSync(join(tmpdir(), "graphwire-langgraph-"));
    cpSync(fileURLToPath(new URL("tokens.py", import.meta.url)), join(folder, "tokens.py"));
    const graphs = { tokens: "./tokens.py:tokens" };
    writeFileSync(join(folder, "langgraph.json"), JSON.stringify({ dependencies: ["."], graphs }));
    const port = await freePort();
    const options = ["--no-browser", "--no-reload", "--n-jobs-per-worker", "120", "--port", String(port)];
    const env = { ...process.env, LANGSMITH_TRACING: "false", LANGGRAPH_CLI_NO_ANALYTICS: "1" };
    const child = spawn(command, ["dev", ...options], { cwd: folder, env, detached: true, stdio: "ignore" });
    const url = `http://127.0.0.1:${port}`;
    for (let tries = 0; !(await answers(`${url}/ok`)); tries += 1) {
      if (tries > 600 || child.exitCode !== null) throw new Error(`langgraph dev does not answer at ${url}`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    return new LangGraphDev(url, child, folder);
  }

  stop(): void {
    if (this.process.pid) process.kill(-this.process.pid, "SIGKILL"); // its workers too
    rmSync(this.folder, { recursive: true, force: true });
  }
}

const answers = (url: string) =>
  fetch(url).then(
    ({ ok }) => ok,
    () => false,
  );

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address ? address.port : 0));
    });
  });
}
