import { expect, test } from "vitest";
import { GraphwireChatTransport } from "../src/ai.js";
import type { Client, Event, WatchItem } from "../src/index.js";

/** This compiles only while the switch names every mode. */
function nameOf(event: Event<{ count: number }>): string {
  switch (event.mode) {
    case "values":
      return `values ${event.data.count}`;
    case "updates":
      return Object.keys(event.data).join();
    case "messages":
      return event.message.text;
    case "lifecycle":
      return event.status;
    case "interrupt":
      return event.interrupts.map(({ id }) => id).join();
    case "gap":
      return event.reason;
    case "snapshot":
      return `snapshot ${event.values?.count}`;
    case "custom":
    case "tasks":
    case "checkpoints":
    case "debug":
    case "unknown":
      return String(event.data);
    default:
      return event satisfies never;
  }
}

function rowOf(item: WatchItem): string {
  if (item.status === "synced") return `${item.cut}`;
  return item.status === "gone" ? item.reason : item.graph;
}

type Graphs = {
  chat: { input: { text: string }; state: { count: number }; context: { user: string } };
  plain: { input: unknown; state: unknown };
};

// Never called: the type checker reads it.
async function typed(client: Client<Graphs>): Promise<number> {
  const run = await client.run("chat", { text: "hi" }, { modes: ["values"], signal: AbortSignal.timeout(1) });
  // @ts-expect-error no such graph
  await client.run("chatt", { text: "hi" });
  // @ts-expect-error not this graph's input
  await client.run("chat", { txt: "hi" });
  // @ts-expect-error no such mode
  await client.run("chat", { text: "hi" }, { modes: ["value"] });
  await client.run("chat", { text: "hi" }, { context: { user: "ann" } });
  // @ts-expect-error not this graph's context
  await client.run("chat", { text: "hi" }, { context: { user: 1 } });
  await client.run("plain", null, { context: { of: "any kind" } });
  const { count } = await run.result();
  new GraphwireChatTransport(client, "chat");
  return count;
}

test("a switch over the modes is whole", () => {
  expect([nameOf, rowOf, typed].map((each) => typeof each)).toEqual(["function", "function", "function"]);
});
