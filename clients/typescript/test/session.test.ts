import { expect, test } from "vitest";
import { ClientSession } from "../src/protocol/client.js";

type Sent = { type: string; id: number; sub?: number; [field: string]: unknown };

const SPEC = { sub: 1, filter: { modes: ["custom"] }, credit: 4 } as const;

function opened(
  session = new ClientSession(),
  limits = {},
): {
  session: ClientSession;
  sent: () => Sent[];
  say: (...frames: object[]) => ReturnType<ClientSession["receive"]>;
} {
  const sent = () => session.outgoing().map((text) => JSON.parse(text));
  const say = (...frames: object[]) => session.receive(JSON.stringify(frames));
  session.connect();
  const hello = sent()[0] as Sent;
  say({ type: "welcome", id: hello.id, limits });
  return { session, sent, say };
}

const subscribed = ({ id }: Sent, more = {}) => ({
  type: "subscribed",
  id,
  sub: 1,
  run: "r",
  epoch: "e",
  head: 0,
  after: 0,
  ...more,
});
const event = (n: number, seq: number) => ({ type: "event", sub: 1, n, seq, mode: "custom", data: seq });

test("one flight says hello, attaches from the cursor and asks again what is open", () => {
  const { session, sent, say } = opened();
  session.request({ type: "subscribe", run: "r", ...SPEC } as never);
  say(subscribed(sent()[0] as Sent), event(1, 1), event(2, 2));
  session.request({ type: "result", run: "r" });
  expect(session.disconnected(1006)).toEqual([]);
  session.connect("new token");
  const [hello, subscribe, result, ...others] = sent();
  expect(hello).toMatchObject({ type: "hello", token: "new token" });
  expect(subscribe).toMatchObject({ type: "subscribe", from: { epoch: "e", seq: 2 }, credit: 2 });
  expect(result).toMatchObject({ type: "result" });
  expect(others).toEqual([]);
});

test("a run that was not answered is sent again, once", () => {
  const { session, sent, say } = opened();
  const id = session.request({ type: "run", run: "r", graph: "g", subscribe: [SPEC] } as never);
  session.disconnected();
  session.connect();
  const [hello, run, ...others] = sent();
  expect(others).toEqual([]);
  expect(run).toMatchObject({ type: "run", id, subscribe: [{ sub: 1 }] });
  say({ type: "welcome", id: hello?.id, limits: {} });
  expect(say({ type: "started", id, run: "r" })).toEqual([]);
  expect(say(subscribed(run as Sent))).toMatchObject([
    { kind: "answered", id, reply: { type: "started" }, subscribed: { sub: 1 } },
  ]);
});

test("a hole makes it attach again, and old frames are dropped until it has", () => {
  const { session, sent, say } = opened();
  session.request({ type: "subscribe", run: "r", ...SPEC } as never);
  say(subscribed(sent()[0] as Sent));
  expect(say(event(1, 1), event(3, 3), event(4, 4))).toMatchObject([{ frame: { seq: 1 } }]);
  const [unsubscribe, subscribe, ...others] = sent();
  expect(others).toEqual([]);
  expect(unsubscribe).toMatchObject({ type: "unsubscribe", sub: 1 });
  expect(subscribe).toMatchObject({ type: "subscribe", from: { epoch: "e", seq: 1 } });
  say({ type: "ok", id: unsubscribe?.id }, subscribed(subscribe as Sent, { after: 1 }));
  expect(say(event(1, 2))).toMatchObject([{ kind: "delivered", frame: { seq: 2 } }]);
});

test("a state update whose reply is lost is an error, and is not sent again", () => {
  const { session, sent } = opened();
  const id = session.request({ type: "state_update", graph: "g", thread: "t", values: {} } as never);
  expect(session.disconnected()).toMatchObject([{ kind: "answered", id, reply: { code: "unavailable" } }]);
  sent();
  session.connect();
  expect(sent().map(({ type }) => type)).toEqual(["hello"]);
});

test("what is asked without a connection is asked on the next one, a state update too", () => {
  const { session, sent } = opened();
  session.disconnected();
  session.request({ type: "state_update", graph: "g", thread: "t", values: {} } as never);
  session.connect();
  expect(sent().map(({ type }) => type)).toEqual(["hello", "state_update"]);
});

test("after a message that was too big, the largest request fails and the others go on", () => {
  const { session, sent } = opened();
  session.request({ type: "result", run: "r" });
  const id = session.request({
    type: "run",
    run: "x",
    graph: "g",
    input: "x".repeat(999),
    subscribe: [SPEC],
  } as never);
  expect(session.disconnected(1009)).toMatchObject([{ id, reply: { code: "limit_exceeded" } }]);
  session.connect();
  expect(sent().map(({ type }) => type)).toEqual(["hello", "result"]);
});

test("a request over the server's limit is not sent, in bytes rather than characters", () => {
  const { session, sent } = opened(undefined, { max_frame_bytes: 200 });
  expect(() =>
    session.request({ type: "run", run: "r", graph: "g", input: "é".repeat(80), subscribe: [SPEC] } as never),
  ).toThrow(RangeError);
  expect(session.isAttached(1)).toBe(false);
  expect(sent()).toEqual([]);
});

test("an attachment that is refused for a while is deferred, and for good it ends", () => {
  const { session, sent, say } = opened();
  session.request({ type: "subscribe", run: "r", ...SPEC } as never);
  say(subscribed(sent()[0] as Sent));
  session.disconnected();
  session.connect();
  const refusal = { type: "error", message: "", retry: "after", code: "rate_limited", after_ms: 50 };
  const { id } = sent()[1] as Sent;
  expect(say({ ...refusal, id })).toEqual([{ kind: "deferred", id, afterMs: 50 }]);
  session.resend(id);
  const again = sent()[0] as Sent;
  expect(again.type).toBe("subscribe");
  const gone = { ...refusal, id: again.id, code: "not_found", retry: "never" };
  expect(say(gone)).toMatchObject([
    { kind: "delivered", sub: 1, frame: { type: "error", code: "not_found" } },
  ]);
  expect(session.isAttached(1)).toBe(false);
});

test("nothing of a subscription is shown once it has been left", () => {
  const { session, sent, say } = opened();
  session.request({ type: "subscribe", run: "r", ...SPEC } as never);
  say(subscribed(sent()[0] as Sent));
  session.request({ type: "unsubscribe", sub: 1 });
  expect(say(event(1, 1))).toEqual([]);
  say({ type: "ok", id: sent()[0]?.id });
  expect(session.subscriptions.size).toBe(0);
});

test("an open request that nobody waits for is not sent again, and what it opens is left", () => {
  const { session, sent, say } = opened();
  const id = session.request({ type: "run", run: "r", graph: "g", subscribe: [SPEC] } as never);
  session.forget(id);
  const [run, unsubscribe] = sent();
  expect(unsubscribe).toMatchObject({ type: "unsubscribe", sub: 1 });
  expect(say({ type: "started", id, run: "r" }, subscribed(run as Sent), event(1, 1))).toEqual([]);
  session.disconnected();
  session.connect();
  expect(sent().map(({ type }) => type)).toEqual(["hello"]);
});

test("frames of tomorrow are ignored, with and without a subscription", () => {
  const { session, sent, say } = opened();
  session.request({ type: "subscribe", run: "r", ...SPEC } as never);
  say(subscribed(sent()[0] as Sent));
  say({ type: "surprise" }, { type: "surprise", sub: 1 }, { type: "surprise", sub: 9 });
  expect(sent()).toEqual([]);
  expect(say(event(1, 1))).toHaveLength(1);
});

test("what no version allows is a fault", () => {
  for (const message of ["[1]", "{}", "no json", '{"type": 5}'])
    expect(() => opened().session.receive(message)).toThrow();
  const { session, say } = opened();
  const id = session.request({ type: "result", run: "r" });
  expect(() => say({ type: "started", id })).toThrow("no reply");
});
