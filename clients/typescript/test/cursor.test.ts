import fc from "fast-check";
import { expect, test } from "vitest";
import { Subscription } from "../src/protocol/cursor.js";
import type { Event, Snapshot, Spec } from "../src/protocol/frames.js";
import { OutOfStep } from "../src/protocol/state.js";

const SPEC = { sub: 1, filter: { modes: ["custom"] }, credit: 8 } as Spec;

function frame(n: number, seq: number, more: object = {}): Event {
  return { type: "event", sub: 1, n, seq, mode: "custom", data: seq, ...more } as Event;
}

function attached(subscription: Subscription, epoch: string, after?: number): Subscription {
  subscription.spec();
  subscription.subscribed({
    type: "subscribed",
    id: 1,
    sub: 1,
    run: "r",
    epoch,
    head: 0,
    after,
    recovery: "replayed",
  } as never);
  return subscription;
}

test("whatever is cut, repeated or lost on the way, each event is shown once and in order", () => {
  const attachment = fc.record({
    // How far before the cursor the server begins, how many it sends, and which of them gets lost.
    back: fc.nat(3),
    count: fc.nat(8),
    lost: fc.option(fc.nat(7), { nil: undefined }),
  });
  fc.assert(
    fc.property(fc.nat(30), fc.array(attachment, { maxLength: 12 }), (length, attachments) => {
      const subscription = new Subscription("r", SPEC);
      const shown: number[] = [];
      for (const { back, count, lost } of [...attachments, { back: 0, count: length, lost: undefined }]) {
        const after = Math.max(0, (subscription.seq ?? 0) - back);
        attached(subscription, "e", after);
        for (let n = 1; n <= count && after + n <= length; n += 1) {
          if (n - 1 === lost) continue;
          try {
            const event = subscription.receive(frame(n, after + n));
            if (event) shown.push((event as Event).seq);
          } catch (error) {
            expect(error).toBeInstanceOf(OutOfStep);
            break;
          }
        }
      }
      expect(shown).toEqual(Array.from({ length }, (_, index) => index + 1));
    }),
  );
});

test("a gap moves the cursor only with its snapshot", () => {
  const gap = { type: "gap", sub: 1, after_seq: 1, upto_seq: 9, reason: "evicted", lost: [] };
  const subscription = attached(new Subscription("r", SPEC), "e", 0);
  subscription.receive(frame(1, 1));
  subscription.receive(gap as never);
  expect(subscription.spec().from).toEqual({ epoch: "e", seq: 1 });
  attached(subscription, "e", 1);
  subscription.receive(gap as never);
  expect(() => subscription.receive(frame(1, 10))).toThrow(OutOfStep);
  subscription.receive({
    type: "snapshot",
    sub: 1,
    seq: 9,
    status: "running",
    messages: [],
    interrupts: [],
  } as Snapshot);
  expect(subscription.spec().from).toEqual({ epoch: "e", seq: 9 });
});

test("a log that was made anew begins anew, from its first event", () => {
  const subscription = attached(new Subscription("r", SPEC), "e", 0);
  subscription.receive(frame(1, 1));
  attached(subscription, "f", 0);
  expect(subscription.receive(frame(1, 1))).toBeDefined();
});

test("a mark moves the cursor unless events before it are missing", () => {
  const subscription = attached(new Subscription("r", SPEC), "e", 0);
  subscription.receive(frame(1, 2));
  expect(() => subscription.receive({ type: "mark", sub: 1, seq: 7, n: 2 } as never)).toThrow(OutOfStep);
  subscription.receive({ type: "mark", sub: 1, seq: 7, n: 1 } as never);
  expect(subscription.seq).toBe(7);
});

test("a patched state becomes whole, and a patch of another state is a fault", () => {
  const subscription = attached(new Subscription("r", { ...SPEC, values: "patch" }), "e", 0);
  const values = (n: number, data: unknown, base?: number) => frame(n, n, { mode: "values", data, base });
  subscription.receive(values(1, { text: "a", list: [1] }));
  const patch = [
    { op: "append", path: "/text", value: "b" },
    { op: "add", path: "/list/-", value: 2 },
  ];
  expect((subscription.receive(values(2, patch, 1)) as Event).data).toEqual({ text: "ab", list: [1, 2] });
  expect(() => subscription.receive(values(3, patch, 1))).toThrow(OutOfStep);
});

test("credit goes back by half a window, and an attachment begins with the room that is left", () => {
  const { window } = attached(new Subscription("r", SPEC), "e", 0);
  if (!window) throw new Error("no window");
  for (let n = 0; n < 6; n += 1) window.put("custom");
  expect([1, 2, 3].map(() => window.take("custom"))).toEqual([0, 0, 0]);
  expect([window.take("custom"), window.take("lifecycle")]).toEqual([4, 0]);
  expect(window.opening()).toBe(6);
});

test("what credit was granted and what waits never exceed the window", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 20 }), fc.array(fc.boolean()), (size, steps) => {
      const { window } = new Subscription("r", { ...SPEC, credit: size });
      if (!window) throw new Error("no window");
      let granted = window.opening();
      for (const isPut of steps) {
        if (isPut && granted > 0) {
          granted -= 1;
          window.put("custom");
        } else if (!isPut && window.held > 0) granted += window.take("custom");
        expect(granted + window.held).toBeLessThanOrEqual(size);
        expect(granted + window.held).toBeGreaterThan(0);
      }
    }),
  );
});
