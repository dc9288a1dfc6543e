import { expect, test } from "vitest";
import { EventReader } from "../src/event_reader.js";
import { REPLIES } from "../src/protocol/client.js";
import type { Event } from "../src/protocol/frames.js";
import { advance } from "../src/protocol/state.js";
import { CLOSES, MODES, REPLY, SUBSCRIPTION } from "../src/protocol/tables.js";
import { reconnects } from "../src/reconnector.js";

const FRAMES = ["event", "gap", "snapshot", "synced", "mark", "closed"];

test("a subscription takes the steps of the protocol's table, and no other", () => {
  const table = SUBSCRIPTION as { [step: string]: string };
  for (const state of ["replaying", "live", "gapped", "live_gapped"] as const) {
    for (const type of FRAMES) {
      const next = table[`${state}: ${type}`];
      if (next === undefined) expect(() => advance(state, type), `${state}: ${type}`).toThrow(type);
      else if (next !== "ended") expect(advance(state, type), `${state}: ${type}`).toBe(next);
    }
    expect(advance(state, "a type of tomorrow")).toBe(state);
  }
});

test("each request has the reply of the protocol's table", () => {
  for (const [request, reply] of Object.entries(REPLY)) expect(REPLIES[request] ?? "ok", request).toBe(reply);
});

test("a client connects again after the close codes of the protocol's table", () => {
  for (const [code, { reconnect }] of Object.entries(CLOSES))
    expect(reconnects(Number(code)), code).toBe(reconnect);
  expect([reconnects(1002), reconnects(4999)]).toEqual([true, false]);
});

test("every mode of the protocol has an event", () => {
  const data: { [mode: string]: unknown } = {
    messages: { id: "m", delta: { content: "x" } },
    lifecycle: { status: "running", attempt: 1, at: "" },
    interrupt: { interrupts: [] },
  };
  for (const mode of MODES) {
    const frame = { type: "event", sub: 1, n: 1, seq: 1, mode, data: data[mode] ?? {} } as Event;
    expect(new EventReader("r").read(frame).mode).toBe(mode);
  }
});
