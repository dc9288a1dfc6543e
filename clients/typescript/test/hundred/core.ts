/** A hundred runs on a page with the client alone: what has changed is written into the page once a frame, in turns. */

import { connect, type Run } from "../../src/index.js";
import { count, RATE, RUNS, SERVER, tail, wordsOf } from "./grid.js";
import { SOCKET } from "./paced_socket.js";

const client = connect(SERVER, SOCKET);
const changed = new Map<number, { run: Run; turn: number; text: Text }>();

/** Laying out a text takes longer than receiving it, so that a frame has time for some of a hundred. */
const AT_ONCE = 16;

function draw(): void {
  for (const [tile, { run, turn, text }] of [...changed].slice(0, AT_ONCE)) {
    changed.delete(tile);
    const said = run.messages[0]?.text ?? "";
    text.data = tail(said);
    count(tile, turn, said.length);
  }
  if (changed.size) requestAnimationFrame(draw);
}

async function show(tile: number): Promise<void> {
  const text = new Text();
  const section = document.createElement("section");
  section.append(text);
  document.body.append(section);
  for (let turn = 0; ; turn += 1) {
    const input = { words: wordsOf(tile, turn), rate: RATE };
    const run = await client.run("tokens", input, { modes: ["messages"] });
    for await (const _ of run) {
      if (!changed.size) requestAnimationFrame(draw);
      changed.set(tile, { run, turn, text });
    }
    window.shown.ended += 1;
    await run.delete();
  }
}

for (let tile = 0; tile < RUNS; tile += 1)
  show(tile).catch((error) => window.shown.errors.push(String(error)));
