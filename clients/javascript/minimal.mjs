// A complete client in one file of plain JavaScript. It connects, runs a graph, and shows the events that its
// filter selects. When the connection is lost it continues from its cursor: nothing is lost or shown twice.
//
// Written from proto-docs/ alone; the names in brackets are its pages. It needs a standard WebSocket: Node 22 or
// newer, or Node 20 with --experimental-websocket. Nothing else has to be installed.
//
//   GRAPHWIRE_URL=ws://127.0.0.1:8765/ws \
//   GRAPHWIRE_TASK='{"graph":"joke","input":{"topic":"cats"},"filter":{"modes":["messages","updates"]}}' \
//   node minimal.mjs
//
// It prints one JSON object a line: {seq, mode, data} for each event, gap and snapshot, as an application might
// show them, and finally {end: status}, or {end: "error"} if it gives up. `graphwire conformance client` compares
// these lines.

const url = process.env.GRAPHWIRE_URL ?? "ws://127.0.0.1:8765/ws";
const task = JSON.parse(process.env.GRAPHWIRE_TASK ?? "null");
const WINDOW = task?.window ?? 64; // events sent and not yet shown [flow.md]
const SUB = 1;

if (!task?.graph || !task.filter) fail("GRAPHWIRE_TASK is no JSON object with graph, input and filter");
if (typeof WebSocket === "undefined") fail("this Node has no WebSocket: use Node 22, or --experimental-websocket");

const run = task.run ?? `js-${crypto.randomUUID()}`; // chosen here, so that `run` may be sent again [runs.md]
let cursor = null; // {epoch, seq}: what has been shown [position.md]
let isStarted = false; // whether the server has replied to `run`
let maxFrameBytes = 1048576; // until `welcome` says otherwise
let status = null; // of the latest lifecycle event
let failures = 0;
let asked = []; // ids of the open interrupts [runs.md]
let isAnswering = false; // an answer without a reply is sent again on the next connection
const metadata = new Map(); // call → metadata, sent only with its first event [events.md]
let token = process.env.GRAPHWIRE_TOKEN;

connect();

// ── one connection [overview.md] ────────────────────────────────────────────────────────────────

function connect() {
  const socket = new WebSocket(url, ["graphwire.v1.json"]);
  const requests = new Map(); // id → frame, of requests without a reply
  let nextId = 1;
  let attached = null; // {epoch, n, head} once the subscription is attached
  let owed = 0; // events shown whose credit was not returned yet
  let pause = 0; // ms to wait before the next connection, if the server asked for it
  let isLost = false;

  function request(frame) {
    const whole = { ...frame, id: nextId++ };
    const text = JSON.stringify(whole);
    if (new TextEncoder().encode(text).length > maxFrameBytes) fail("the request is larger than max_frame_bytes");
    requests.set(whole.id, whole);
    socket.send(text);
  }

  function spec() {
    return {
      sub: SUB,
      filter: task.filter,
      credit: WINDOW,
      ...(cursor ? { from: cursor } : {}),
    };
  }

  function subscribe() {
    attached = null;
    owed = 0;
    request({ type: "subscribe", run, ...spec() });
  }

  function start() {
    request({ type: "run", run, graph: task.graph, input: task.input ?? null, subscribe: [spec()] });
  }

  function respond() {
    isAnswering = true;
    request({ type: "respond", run, responses: asked.map((interrupt) => ({ interrupt, value: task.answer })) });
  }

  socket.onopen = () => {
    // Everything in one flight, without waiting for `welcome`.
    request({ type: "hello", client: { name: "minimal.mjs", version: "1" }, ...(token ? { token } : {}) });
    if (isStarted) subscribe();
    else start();
    if (isAnswering) respond();
  };

  socket.onmessage = (message) => {
    const frames = JSON.parse(message.data);
    for (const frame of Array.isArray(frames) ? frames : [frames]) receive(frame);
  };

  socket.onclose = ({ code }) => lost(code);
  socket.onerror = () => lost(1006); // after a failed handshake Node 20 fires no close event

  function lost(code) {
    if (status === "over" || isLost) return;
    isLost = true;
    if (code === 1000 || code === 4400 || code === 4401 || code === 4403) fail(`closed by the server: ${code}`);
    if (code === 1009) fail("the request is larger than the server takes");
    failures += 1;
    const backoff = Math.min(50 * 2 ** failures, 10_000);
    setTimeout(connect, pause + backoff * Math.random());
  }

  // ── replies ───────────────────────────────────────────────────────────────────────────────────

  function receive(frame) {
    if (status === "over") return;
    switch (frame.type) {
      case "welcome":
        requests.delete(frame.id);
        maxFrameBytes = frame.limits.max_frame_bytes ?? maxFrameBytes;
        break;
      case "started":
        isStarted = true;
        break; // its `subscribed` follows with the same id
      case "subscribed":
        // If it was requested again on this connection, only the last reply counts.
        if ([...requests.keys()].some((id) => id > frame.id && isAttaching(requests.get(id)))) break;
        requests.delete(frame.id);
        attached = { epoch: frame.epoch, n: 0, head: frame.head };
        if (frame.after !== undefined && cursor?.epoch !== frame.epoch) {
          cursor = { epoch: frame.epoch, seq: frame.after };
        }
        break;
      case "ok":
        if (requests.get(frame.id)?.type === "respond") isAnswering = false;
        requests.delete(frame.id);
        break;
      case "error":
        refused(frame);
        break;
      case "goaway":
        pause = frame.after_ms;
        break;
      case "event":
      case "gap":
      case "snapshot":
      case "mark":
      case "closed":
        // Until the new `subscribed`, frames of the previous attachment may still arrive.
        if (frame.sub === SUB && attached) follow(frame);
        break;
      default: // `synced`, `pong`, `notice`, and types of later versions
    }
  }

  function isAttaching(frame) {
    return frame.type === "subscribe" || frame.type === "run";
  }

  function refused(error) {
    const frame = requests.get(error.id);
    if (!frame) return; // belongs to no open request: only worth logging
    requests.delete(error.id);
    if (frame.type === "unsubscribe") return; // the subscription had ended already
    if (frame.type === "respond" && error.code === "conflict") {
      isAnswering = false; // already answered, by this or another client: the run continues
      return;
    }
    if (frame.type === "hello" && error.retry === "after") {
      pause = error.after_ms ?? 1000; // the server closes next
      return;
    }
    if (error.retry === "after" || error.retry === "same") {
      const again = { run: start, subscribe, respond }[frame.type];
      if (again) {
        setTimeout(() => socket.readyState === WebSocket.OPEN && again(), error.after_ms ?? 1000);
        return;
      }
    }
    fail(`${error.code}: ${error.message}`);
  }

  // ── the subscription: the client's rule [position.md] ─────────────────────────────────────────

  function follow(frame) {
    switch (frame.type) {
      case "event":
        attached.n += 1;
        if (frame.n !== attached.n) {
          attachAnew();
          return;
        }
        failures = 0;
        if (!(attached.epoch === cursor?.epoch && frame.seq <= cursor.seq)) {
          show({ seq: frame.seq, mode: frame.mode, data: shown(frame) });
          cursor = { epoch: attached.epoch, seq: frame.seq };
          if (frame.mode === "interrupt") asked = frame.data.interrupts.map(({ id }) => id);
          if (frame.mode === "lifecycle") entered(frame.data.status, frame.seq);
        }
        if (frame.mode !== "lifecycle" && frame.mode !== "interrupt") giveBack();
        break;
      case "gap":
        show({ seq: frame.upto_seq, mode: "gap", data: pick(frame, "after_seq", "upto_seq", "reason", "lost") });
        break; // the snapshot that follows moves the cursor
      case "snapshot":
        for (const message of frame.messages) metadata.set(callOf(message), message.meta);
        show({ seq: frame.seq, mode: "snapshot", data: whole(frame) });
        cursor = { epoch: attached.epoch, seq: frame.seq };
        asked = frame.interrupts.map(({ id }) => id);
        entered(frame.status, frame.seq);
        break;
      case "mark":
        if ((frame.n ?? attached.n) !== attached.n) {
          attachAnew();
          return;
        }
        cursor = { epoch: attached.epoch, seq: Math.max(frame.seq, cursor?.seq ?? 0) };
        break;
      case "closed":
        if (frame.reason !== "end") fail(`the subscription was closed: ${frame.reason}`);
        show({ end: frame.status ?? status });
        status = "over";
        socket.close(1000);
    }
  }

  // A number is missing: an event was lost on the way. Attach again from the cursor.
  function attachAnew() {
    request({ type: "unsubscribe", sub: SUB });
    subscribe();
  }

  function entered(now, seq) {
    status = now;
    const isPast = seq < attached.head; // newer events follow in the log
    if (now === "interrupted" && !isPast && "answer" in task) respond();
    else if (now !== "interrupted") isAnswering = false; // the run continues, whoever answered
  }

  function giveBack() {
    owed += 1;
    if (owed * 2 < WINDOW) return;
    socket.send(JSON.stringify({ type: "credit", sub: SUB, events: owed }));
    owed = 0;
  }
}

// ── the application ─────────────────────────────────────────────────────────────────────────────

function shown({ mode, data, meta }) {
  if (mode === "lifecycle") return pick(data, "status");
  if (mode === "interrupt") return { interrupts: data.interrupts.map((item) => pick(item, "id", "value")) };
  if (mode !== "messages" || data.$cut) return data;
  if (meta) metadata.set(callOf(data), meta);
  const { content = "" } = data.delta ?? data.message;
  const node = metadata.get(callOf(data))?.langgraph_node;
  return { id: data.id, content, ...(node === undefined ? {} : { node }) };
}

// What a message is known by; the id alone may come again with another message.
function callOf(message) {
  return message.call ?? message.id;
}

function whole(snapshot) {
  const messages = snapshot.messages.map(({ id, message }) => ({ id, ...pick(message, "content", "$cut") }));
  return { ...pick(snapshot, "status", "values"), messages };
}

function pick(object, ...names) {
  return Object.fromEntries(names.filter((name) => name in object).map((name) => [name, object[name]]));
}

function show(line) {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

function fail(reason) {
  show({ end: "error" });
  process.stderr.write(`minimal.mjs: ${reason}\n`);
  process.exit(1);
}
