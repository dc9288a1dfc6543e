/** Hooks where there is no page: they render what is known before anything is, and open nothing. */

import { renderToString } from "react-dom/server";
import { expect, test } from "vitest";
import type { Client } from "../../src/index.js";
import {
  useConnection,
  useEvents,
  useInterrupts,
  useLatest,
  useMessages,
  useRun,
  useValues,
  useWatch,
} from "../../src/react/index.js";
import { connected } from "./page.js";

function Page({ client }: { client: Client | undefined }) {
  const run = useRun(client, "r", { modes: ["messages", "values", "custom"] });
  useEvents(run, () => {});
  const { rows, isSynced } = useWatch(client);
  const parts = [
    useConnection(client).state,
    run.status,
    run.isLoading,
    useMessages(run).length,
    useValues(run),
    useLatest(run, "custom"),
    useInterrupts(run).length,
    useInterrupts(client).length,
    rows.length,
    isSynced,
  ];
  return <p>{parts.join(" ")}</p>;
}

test("without a client everything is empty, and nothing is loading", () => {
  expect(renderToString(<Page client={undefined} />)).toBe("<p>connecting  false 0   0 0 0 false</p>");
});

test("with a client nothing is asked for while a server renders", async () => {
  const { client, socket } = await connected();
  expect(renderToString(<Page client={client} />)).toBe("<p>connecting  true 0   0 0 0 false</p>");
  expect(socket.sent.map(({ type }) => type)).toEqual(["hello"]);
  client.close();
});

test("the connection says that there is no client, with its reason", () => {
  function Connected({ client }: { client?: Client }) {
    const { state, reason } = useConnection(client);
    return <p title={reason}>{state}</p>;
  }
  expect(renderToString(<Connected />)).toContain('title="no client"');
});
