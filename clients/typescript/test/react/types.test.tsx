/** The types of the client's graphs reach the hooks. */

import { expect, test } from "vitest";
import type { Client } from "../../src/index.js";
import { useConnection, useLatest, useRun, useThread, useValues } from "../../src/react/index.js";

interface Graphs {
  chat: { input: { text: string }; state: { count: number; title: string } };
}

// Never called: the type checker reads it.
function useTyped(client: Client<Graphs> | undefined): number {
  const run = useRun(client, { run: "r", graph: "chat", input: { text: "hi" }, modes: ["values"] });
  // @ts-expect-error no such graph
  useRun(client, { run: "r", graph: "chatt", input: { text: "hi" } });
  // @ts-expect-error not this graph's input
  useRun(client, { run: "r", graph: "chat", input: { txt: "hi" } });
  // @ts-expect-error a start without an id would start a run with each mount
  useRun(client, { graph: "chat", input: { text: "hi" } });
  // @ts-expect-error no such mode
  useRun(client, "r", { modes: ["value"] });
  const title: string | undefined = useValues(run, (values) => values.title);
  const thread = useThread(client, "chat", "t");
  void thread.start({ text: "hi" });
  // @ts-expect-error not this graph's input
  void thread.start({ txt: "hi" });
  useConnection(client);
  // @ts-expect-error no such key
  useValues(run, (values) => values.subtitle);
  const attached = useRun<{ title: string }>(client, title);
  const other: string | undefined = useValues(attached)?.title;
  const done: unknown = useLatest(run, "custom")?.data;
  const state: { count: number } | undefined = useLatest(run, "values")?.data;
  return (useValues(run)?.count ?? 0) + (other && done && state ? 1 : 0);
}

test("hooks are typed by the client's graphs", () => {
  expect(typeof useTyped).toBe("function");
});
