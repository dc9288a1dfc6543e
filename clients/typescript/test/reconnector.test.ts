import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Connection, ConnectOptions } from "../src/index.js";
import { connect } from "../src/index.js";
import { type FakeSocket, fakeClient, started, turn } from "./fake_socket.js";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

/** Return a client, its sockets and the states that it has been in. */
function watched(options: ConnectOptions = {}) {
  const states: string[] = [];
  const onState = ({ state, reason }: Connection) => states.push(`${state}: ${reason}`);
  return { ...fakeClient({ onState, ...options }), states };
}

test("each state has a reason, and the client waits longer each time", async () => {
  const { client, sockets, states } = watched({ backoff: { random: () => 1, firstMs: 100 } });
  await turn();
  expect(states).toEqual(["connecting: start"]);
  sockets[0]?.open();
  await client.opened();
  sockets[0]?.drop(1006, "gone");
  await turn();
  expect(client.connection).toMatchObject({
    state: "waiting",
    reason: "close code 1006: gone",
    retryMs: 100,
  });
  await vi.advanceTimersByTimeAsync(99);
  expect(sockets).toHaveLength(1);
  await vi.advanceTimersByTimeAsync(1);
  sockets[1]?.drop();
  await turn();
  expect(client.connection).toMatchObject({ state: "waiting", retryMs: 200 });
  expect(states.slice(-3)).toEqual([
    "waiting: close code 1006: gone",
    "connecting: close code 1006: gone",
    "waiting: no connection to ws://test/ws ",
  ]);
});

test("a connection that lasted makes it count from the beginning", async () => {
  const { client, sockets } = watched({ backoff: { random: () => 1, firstMs: 100, steadyMs: 5000 } });
  await turn();
  for (const index of [0, 1, 2]) {
    sockets[index]?.open();
    sockets[index]?.drop();
    await vi.advanceTimersByTimeAsync(100 * 2 ** index);
  }
  sockets[3]?.open();
  await vi.advanceTimersByTimeAsync(5000);
  sockets[3]?.drop();
  await turn();
  expect(client.connection).toMatchObject({ retryMs: 100 });
});

test.each([
  [1000, "ConnectionClosed"],
  [4400, "ConnectionClosed"],
  [4403, "ConnectionClosed"],
  [4401, "Unauthenticated"],
])("after close code %i the client is closed for good", async (code, name) => {
  const { client, sockets } = watched({ token: "secret" });
  await turn();
  sockets[0]?.open();
  sockets[0]?.drop(code, "why");
  await turn();
  expect(client.connection).toMatchObject({
    state: "closed",
    reason: `close code ${code}: why`,
    error: { name, code },
  });
  await vi.advanceTimersByTimeAsync(100_000);
  expect(sockets).toHaveLength(1);
});

test("a token function is asked anew for each connection, and at once after 4401", async () => {
  let count = 0;
  const token = () => Promise.resolve(`token ${++count}`);
  const { sockets } = watched({ token });
  await turn();
  sockets[0]?.open();
  sockets[0]?.drop();
  await vi.advanceTimersByTimeAsync(0);
  sockets[1]?.open();
  sockets[1]?.drop(4401);
  await turn();
  sockets[2]?.open();
  expect(sockets.map((socket) => socket.last("hello").token)).toEqual(["token 1", "token 2", "token 3"]);
});

test("a fresh token that is refused, too, ends the client, in the words of the server", async () => {
  const { client, sockets } = watched({ token: () => "stale" });
  await turn();
  for (const index of [0, 1]) {
    const socket = sockets[index] as FakeSocket;
    socket.open(false);
    socket.say({
      type: "error",
      id: socket.last("hello").id as number,
      code: "unauthenticated",
      message: "no such key",
      retry: "reauth",
    });
    socket.drop(4401);
    await turn();
  }
  expect(client.connection).toMatchObject({ state: "closed", reason: "close code 4401: no such key" });
  await expect(client.opened()).rejects.toMatchObject({ name: "Unauthenticated" });
});

test("a token function that fails is asked again later", async () => {
  let isDown = true;
  const token = () => {
    if (isDown) throw new Error("no keys");
    return "key";
  };
  const { client, sockets } = watched({ token });
  await turn();
  expect(client.connection).toMatchObject({
    state: "waiting",
    reason: "the token function threw: Error: no keys",
  });
  isDown = false;
  await vi.advanceTimersByTimeAsync(0);
  expect(sockets).toHaveLength(1);
});

test("a server that goes away or is overloaded is given the time that it needs", async () => {
  const { client, sockets } = watched();
  await turn();
  sockets[0]?.open();
  sockets[0]?.say({ type: "goaway", reason: "restart", after_ms: 700 });
  sockets[0]?.drop(1012);
  await turn();
  expect(client.connection).toMatchObject({ state: "waiting", retryMs: 700 });
  await vi.advanceTimersByTimeAsync(700);
  sockets[1]?.open();
  sockets[1]?.drop(4429);
  await turn();
  expect(client.connection).toMatchObject({ state: "waiting", retryMs: 1000 });
});

/** Let the client believe that it is in a page. */
function page(): { events: EventTarget; document: EventTarget & { visibilityState: string } } {
  const events = new EventTarget();
  const document = Object.assign(new EventTarget(), { visibilityState: "visible" });
  vi.stubGlobal("addEventListener", events.addEventListener.bind(events));
  vi.stubGlobal("document", document);
  vi.stubGlobal("location", { origin: "https://app.example" });
  return { events, document };
}

test("the return of the network ends a wait, but not the one that the server asked for", async () => {
  const { events } = page();
  const { sockets } = watched({ backoff: { random: () => 1, firstMs: 5000 } });
  await turn();
  sockets[0]?.open();
  sockets[0]?.say({ type: "goaway", reason: "restart", after_ms: 700 });
  sockets[0]?.drop(1012);
  await vi.advanceTimersByTimeAsync(699);
  events.dispatchEvent(new Event("online"));
  await turn();
  expect(sockets).toHaveLength(1);
  await vi.advanceTimersByTimeAsync(1);
  events.dispatchEvent(new Event("online"));
  await turn();
  expect(sockets).toHaveLength(2);
});

test("a page that is seen again asks at once whether its connection is alive", async () => {
  const { document } = page();
  const { client, sockets } = watched({ silenceMs: 1000 });
  await turn();
  sockets[0]?.open();
  document.visibilityState = "hidden";
  document.dispatchEvent(new Event("visibilitychange"));
  expect(sockets[0]?.sent).toHaveLength(1);
  document.visibilityState = "visible";
  document.dispatchEvent(new Event("visibilitychange"));
  expect(sockets[0]?.sent.at(-1)).toMatchObject({ type: "ping" });
  await vi.advanceTimersByTimeAsync(1001);
  expect(sockets[0]?.isClosed).toBe(true);
  expect(sockets).toHaveLength(2);
  client.close();
  document.dispatchEvent(new Event("visibilitychange"));
  expect(vi.getTimerCount()).toBe(0);
});

test("in a browser, which hides why, the reason says what to look at", async () => {
  page();
  const { client, sockets } = watched();
  await turn();
  sockets[0]?.fail();
  await turn();
  expect(client.connection.reason).toContain("allowed_origins have https://app.example?");
});

test("a silent server is asked for a sign of life; any frame is one", async () => {
  const { client, sockets } = watched({ silenceMs: 1000 });
  await turn();
  const socket = sockets[0] as FakeSocket;
  socket.open();
  for (let round = 0; round < 3; round += 1) {
    await vi.advanceTimersByTimeAsync(1000);
    expect(socket.sent.filter(({ type }) => type === "ping")).toHaveLength(round + 1);
    socket.say({ type: "pong", t: null });
  }
  await vi.advanceTimersByTimeAsync(2000);
  expect(socket.isClosed).toBe(true);
  expect(client.connection.reason).toBe("close code 1006: nothing arrived from ws://test/ws within 1000 ms");
});

test("a server that never says welcome is given up on", async () => {
  const { client, sockets } = watched({ silenceMs: 1000 });
  await turn();
  sockets[0]?.open(false);
  await vi.advanceTimersByTimeAsync(1001);
  expect(sockets).toHaveLength(2);
  expect(client.connection.reason).toContain("nothing arrived from");
});

test("what a socket says after it was given up on counts for nothing", async () => {
  const { client, sockets } = watched({ silenceMs: 1000 });
  await turn();
  sockets[0]?.open(false);
  await vi.advanceTimersByTimeAsync(1001);
  sockets[0]?.say({ type: "welcome", id: 1, limits: {} });
  sockets[0]?.drop(4403);
  await turn();
  expect(client.connection.state).toBe("connecting");
});

test("what breaks the protocol ends the client, rather than being tried again for ever", async () => {
  const { client, sockets } = watched();
  await turn();
  sockets[0]?.open();
  sockets[0]?.hear("no json");
  await turn();
  expect(client.connection).toMatchObject({ state: "closed", error: { code: 4400 } });
});

test("a client that is closed while its token is fetched opens no socket", async () => {
  let give: (token: string) => void = () => {};
  const token = () =>
    new Promise<string>((resolve) => {
      give = resolve;
    });
  const { client, sockets, states } = watched({ token });
  await turn();
  client.close();
  give("late");
  await turn();
  expect(sockets).toHaveLength(0);
  expect(states.at(-1)).toBe("closed: this client was closed");
  expect(vi.getTimerCount()).toBe(0);
});

test("a client may be closed from its own callback, and a callback that throws ends nothing", async () => {
  const error = vi.spyOn(console, "error").mockImplementation(() => {});
  const { client, sockets } = fakeClient({
    onState: ({ state }) => {
      if (state === "connected") client.close();
      throw new Error("oops");
    },
  });
  await turn();
  sockets[0]?.open();
  expect(client.connection.state).toBe("closed");
  expect(sockets[0]?.isClosed).toBe(true);
  expect(error).toHaveBeenCalled();
  expect(vi.getTimerCount()).toBe(0);
});

test("where there is no WebSocket, or none for the address, it says so", async () => {
  vi.stubGlobal("WebSocket", undefined);
  const none = connect("ws://x/ws");
  await expect(none.opened()).rejects.toThrow("webSocket");
  class Picky {
    constructor() {
      throw new SyntaxError("bad address");
    }
  }
  await expect(connect("nonsense", { webSocket: Picky }).opened()).rejects.toThrow("bad address");
});

test("requests wait for the first connection, and a first failure is a warning in the console", async () => {
  const warn = vi.spyOn(console, "warn").mockImplementation(() => {});
  const { client, sockets } = fakeClient({ onState: undefined });
  const starting = client.run("g");
  await turn();
  sockets[0]?.drop();
  await vi.advanceTimersByTimeAsync(0);
  expect(warn).toHaveBeenCalledWith(expect.stringContaining("no connection to ws://test/ws"));
  const socket = sockets[1] as FakeSocket;
  socket.open();
  socket.say(...started(socket.last("run")));
  expect((await starting).status).toBe("running");
});
