// A whole client in one file of plain JavaScript: connects, runs a graph, shows what its filter lets through,
// comes back from its cursor when the connection is lost, shows nothing twice and loses nothing.
//
// Written from proto-docs/ alone; the names in brackets are its pages. Needs a standard WebSocket: Node 22 on,
// or Node 20 with --experimental-websocket. Nothing else is installed.
//
//   GRAPHWIRE_URL=ws://127.0.0.1:8765/ws \
//   GRAPHWIRE_TASK='{"graph":"joke","input":{"topic":"cats"},"filter":{"modes":["messages","updates"]}}' \
//   node minimal.mjs
//
// Prints one JSON object a line: {seq, mode, data} for each event and for each gap and snapshot, as an application
// might show them, and {end: status} at last, {end: "error"} where it gives up. `graphwire conformance client`
// judges it by these lines.

const url = process.env.GRAPHWIRE_URL ?? "ws://127.0.0.1:8765/ws";
const task = JSON.parse(process.env.GRAPHWIRE_TASK ?? "null");
const WINDOW = task?.window ?? 64; // events on their way and not yet shown [flow.md]
const SUB = 1;

if (!task?.graph || !task.filter) fail("GRAPHWIRE_TASK is no JSON object with graph, input and filter");
if (typeof WebSocket === "undefined") fail("this Node has no WebSocket: use Node 22, or --experimental-websocket");

const run = task.run ?? `js-${crypto.randomUUID()}`; // chosen here, so that `run` may be sent again [runs.md]
let cursor = null; // {epoch, seq}: what has been shown [position.md]
let isStarted = false; // whether the server has ever answered `run`
let maxFrameBytes = 1048576; // until `welcome` says otherwise
let status = null; // the last status that a lifecycle event told
let failures = 0;
let asked = []; // the ids of what the run waits for [runs.md]
let isAnswering = false; // whether an answer has no reply yet: it is sent again with the next connection
const metadata = new Map(); // message id → the metadata that came with its first event [events.md]
let token = process.env.GRAPHWIRE_TOKEN;

connect();

// ── one connection [overview.md] ────────────────────────────────────────────────────────────────

function connect() {
  const socket = new WebSocket(url, ["graphwire.v1.json"]);
  const requests = new Map(); // id → {type, frame}, without their answers yet
  let nextId = 1;
  let attached = null; // {epoch, n, head}: this attachment of the subscription, none yet
  let owed = 0; // events shown and not yet granted anew
  let pause = 0; // ms, if the server asked for patience
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
    // One flight: nothing waits for `welcome`.
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
  socket.onerror = () => lost(1006); // where a handshake fails, Node 20 tells no close

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
        // Of two flights on one connection only the last one's answer counts.
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
        // Frames of an attachment that was left may still arrive until the new `subscribed`.
        if (frame.sub === SUB && attached) follow(frame);
        break;
      default: // `synced`, `pong`, `notice`, and what a later version brings
    }
  }

  function isAttaching(frame) {
    return frame.type === "subscribe" || frame.type === "run";
  }

  function refused(error) {
    const frame = requests.get(error.id);
    if (!frame) return; // of no request of ours: for a log, not for a program
    requests.delete(error.id);
    if (frame.type === "unsubscribe") return; // it had closed by itself
    if (frame.type === "respond" && error.code === "conflict") {
      isAnswering = false; // somebody was faster, or it had arrived: the run goes on
      return;
    }
    if (frame.type === "hello" && error.retry === "after") {
      pause = error.after_ms ?? 1000; // the close follows
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
          // A hole: something between lost a message.
          request({ type: "unsubscribe", sub: SUB });
          subscribe();
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
        break; // the cursor moves with the snapshot behind it
      case "snapshot":
        for (const { id, meta } of frame.messages) metadata.set(id, meta);
        show({ seq: frame.seq, mode: "snapshot", data: whole(frame) });
        cursor = { epoch: attached.epoch, seq: frame.seq };
        asked = frame.interrupts.map(({ id }) => id);
        entered(frame.status, frame.seq);
        break;
      case "mark":
        cursor = { epoch: attached.epoch, seq: Math.max(frame.seq, cursor?.seq ?? 0) };
        break;
      case "closed":
        if (frame.reason !== "end") fail(`the subscription was closed: ${frame.reason}`);
        show({ end: frame.status ?? status });
        status = "over";
        socket.close(1000);
    }
  }

  function entered(now, seq) {
    status = now;
    const isPast = seq < attached.head; // the log has gone on since
    if (now === "interrupted" && !isPast && "answer" in task) respond();
    else if (now !== "interrupted") isAnswering = false; // it went on, whoever has answered
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
  if (meta) metadata.set(data.id, meta);
  const { content = "" } = data.delta ?? data.message;
  const node = metadata.get(data.id)?.langgraph_node;
  return { id: data.id, content, ...(node === undefined ? {} : { node }) };
}

function whole(snapshot) {
  const messages = snapshot.messages.map(({ id, message }) => ({ id, content: message.content }));
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
