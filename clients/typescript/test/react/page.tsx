/** What tests of hooks have in common: a connected client on a fake socket, and frames. */

import { act } from "@testing-library/react";
import { vi } from "vitest";
import type { Client } from "../../src/index.js";
import { useMessages, useRun } from "../../src/react/index.js";
import { type FakeSocket, type Frame, fakeClient, turn } from "../fake_socket.js";

/** Return a connected client, and its socket. */
export async function connected(): Promise<{ client: Client; socket: FakeSocket; sockets: FakeSocket[] }> {
  const { client, sockets } = fakeClient();
  await turn();
  const socket = sockets[0] as FakeSocket;
  socket.open();
  return { client, socket, sockets };
}

/** Let everything happen that waits for its turn, and the next frame be rendered. */
export async function frame(): Promise<void> {
  await act(async () => {
    await turn();
    await new Promise((resolve) => requestAnimationFrame(resolve));
  });
}

/** Accept the latest subscription. */
export function subscribed(socket: FakeSocket, more: object = {}): void {
  const { id, run, sub } = socket.last("subscribe");
  const where = { epoch: "e", head: 0, after: 0, recovery: "live" };
  socket.say({ type: "subscribed", id, run, sub, ...where, ...more } as Frame);
}

/** Accept the latest watch, and list no run. */
export function watching(socket: FakeSocket): number {
  const { id, sub } = socket.last("watch") as { id: number; sub: number };
  socket.say({ type: "subscribed", id, sub } as Frame, { type: "synced", sub });
  return sub;
}

/** Return the piece of a message, as an event of subscription `sub`. */
export function piece(seq: number, text: string, { sub = 1, call = "m", n = seq } = {}): Frame {
  const delta = seq === 1 ? { type: "AIMessageChunk", content: text } : { content: text };
  return { type: "event", sub, n, seq, mode: "messages", data: { id: call, call, delta } };
}

/** Return how many frames of this type the client has sent. */
export const count = (socket: FakeSocket, type: string) =>
  socket.sent.filter((each) => each.type === type).length;

/** What the components of these tests view of a run. */
export const options = { modes: ["messages" as const, "values" as const, "custom" as const] };

/** A chat of one run; `seen` gets what each rendering shows. */
export function Chat({
  client,
  id = "r",
  seen = [],
}: {
  client: Client;
  id?: string | null;
  seen?: string[];
}) {
  const run = useRun(client, id, options);
  const text = useMessages(run)
    .map((message) => message.text)
    .join("|");
  seen.push(`${run.status} ${text}`);
  return (
    <p>
      {run.isLoading ? "loading" : (run.error?.message ?? run.status)}: {text}
      {run.isCaughtUp ? " (now)" : ""}
    </p>
  );
}

/** Let time pass only as the test says; frames come as they do. */
export const stopClocks = () => vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
