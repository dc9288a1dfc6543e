// @vitest-environment happy-dom
/** Hydration, and renderings that are interrupted while events arrive. */

import { act, cleanup } from "@testing-library/react";
import { startTransition, useState } from "react";
import { createRoot, hydrateRoot } from "react-dom/client";
import { renderToString } from "react-dom/server";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Client } from "../../src/index.js";
import { useConnection, useMessages, useRun } from "../../src/react/index.js";
import type { FakeSocket } from "../fake_socket.js";
import { turn } from "../fake_socket.js";
import { connected, frame, piece, subscribed } from "./page.js";

let client: Client;
let socket: FakeSocket;

beforeEach(async () => {
  ({ client, socket } = await connected());
});

afterEach(() => {
  cleanup();
  client.close();
  vi.restoreAllMocks();
});

const options = { modes: ["messages" as const] };

test("a page that a server rendered is hydrated without a difference, and goes on from there", async () => {
  const errors = vi.spyOn(console, "error");
  function Page({ of }: { of: Client | undefined }) {
    const run = useRun(of, of && "r", options);
    return (
      <p>
        {useConnection(of).state} {useMessages(run).map(({ text }) => text)}
      </p>
    );
  }
  const container = document.createElement("div");
  container.innerHTML = renderToString(<Page of={undefined} />);
  document.body.append(container);
  const onRecoverableError = vi.fn();
  const root = await act(async () => hydrateRoot(container, <Page of={client} />, { onRecoverableError }));
  await frame();
  subscribed(socket);
  socket.say(piece(1, "hello"));
  await frame();
  expect(container.textContent).toBe("connected hello");
  expect(onRecoverableError).not.toHaveBeenCalled();
  expect(errors).not.toHaveBeenCalled();
  await act(async () => root.unmount());
});

test("components that are rendered at different moments of one transition show the same", async () => {
  const torn: string[][] = [];
  const pairs: string[][] = [];
  let pair: string[] = [];
  let go: () => void = () => {};
  function Slow() {
    const run = useRun(client, "r", options);
    const text = useMessages(run)
      .map((message) => message.text)
      .join();
    pair.push(text);
    const until = performance.now() + 6; // longer than React works without a pause
    while (performance.now() < until);
    return <i>{text}</i>;
  }
  const First = () => {
    pair = [];
    return null;
  };
  const Last = () => {
    pairs.push(pair);
    return null;
  };
  function Page() {
    const [isOn, setOn] = useState(false);
    go = () => startTransition(() => setOn(true));
    const run = useRun(client, "r", options);
    return (
      <p>
        {run.status}
        {isOn && (
          <>
            <First />
            <Slow />
            <Slow />
            <Slow />
            <Last />
          </>
        )}
      </p>
    );
  }
  const container = document.createElement("div");
  document.body.append(container);
  const root = createRoot(container);
  const scope = globalThis as { IS_REACT_ACT_ENVIRONMENT?: boolean };
  scope.IS_REACT_ACT_ENVIRONMENT = false; // within act() nothing is interrupted
  const observer = new MutationObserver(() => {
    const shown = [...container.querySelectorAll("i")].map(({ textContent }) => String(textContent));
    if (new Set(shown).size > 1) torn.push(shown);
  });
  observer.observe(container, { subtree: true, childList: true, characterData: true });
  root.render(<Page />);
  await expect.poll(() => socket.sent.some(({ type }) => type === "subscribe")).toBe(true);
  subscribed(socket);
  await turn();
  go();
  for (let seq = 1; seq <= 40; seq += 1) {
    socket.say(piece(seq, "x"));
    await new Promise((resolve) => setImmediate(resolve));
  }
  await expect.poll(() => container.textContent).toBe("x".repeat(120));
  expect(torn).toEqual([]);
  expect(pairs.length).toBeGreaterThan(1); // there was something to tear
  root.unmount();
  observer.disconnect();
  scope.IS_REACT_ACT_ENVIRONMENT = true;
});
