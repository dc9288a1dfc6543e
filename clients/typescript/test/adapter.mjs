// The client as `graphwire conformance client` judges it: it runs GRAPHWIRE_TASK and prints what it shows.
//
//   npm run build && graphwire conformance client -- node test/adapter.mjs
import { WebSocket } from "ws";
import { connect, Refused } from "../dist/index.js";

const { GRAPHWIRE_URL: url, GRAPHWIRE_TASK, GRAPHWIRE_TOKEN: token } = process.env;
const task = JSON.parse(GRAPHWIRE_TASK);
const show = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

const client = connect(url, {
  token,
  webSocket: WebSocket,
  window: task.window ?? 64,
  backoff: { firstMs: 50 },
  onState: () => {},
});
try {
  const options = { ...task.filter, run: task.run, ...(task.values && { values: task.values }) };
  const run = await client.run(task.graph, task.input ?? null, options);
  for (;;) {
    // The loop ends with the run, or at a pause; the next one continues behind it.
    for await (const event of run) show(lineOf(event));
    if (run.status !== "interrupted" || !("answer" in task)) break;
    try {
      await run.respond(Object.fromEntries(run.interrupts.map(({ id }) => [id, task.answer])));
    } catch (error) {
      // Somebody has answered it: this client, before its connection was lost, or another one.
      if (!(error instanceof Refused && error.code === "conflict")) throw error;
    }
  }
  show({ end: run.status });
} catch (error) {
  console.error(error);
  show({ end: "error" });
  process.exitCode = 1;
} finally {
  client.close();
}

function lineOf(event) {
  const { seq, mode } = event;
  switch (mode) {
    case "lifecycle":
      return { seq, mode, data: { status: event.status } };
    case "interrupt":
      return { seq, mode, data: { interrupts: event.interrupts.map(({ id, value }) => ({ id, value })) } };
    case "gap": {
      const { afterSeq: after_seq, uptoSeq: upto_seq, reason, lost } = event;
      return { seq, mode, data: { after_seq, upto_seq, reason, lost } };
    }
    case "snapshot": {
      const { status, values } = event;
      const messages = event.messages.map(({ id, sent: { content, $cut } }) => ({ id, content, $cut }));
      return { seq, mode, data: { status, values, messages } };
    }
    case "messages": {
      const { id, content, metadata, sent } = event.message;
      if (sent.$cut) return { seq, mode, data: { id, $cut: sent.$cut } };
      return { seq, mode, data: { id, content, node: metadata.langgraph_node } };
    }
    case "unknown":
      return { seq, mode: event.name, data: event.data };
    default:
      return { seq, mode, data: event.data };
  }
}
