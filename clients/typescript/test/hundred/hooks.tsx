/** A hundred runs on a page with the hooks of `graphwire/react`: a component for each. */

import { useEffect, useState } from "react";
import { createRoot } from "react-dom/client";
import { connect } from "../../src/index.js";
import { useMessages, useRun } from "../../src/react/index.js";
import { count, RATE, RUNS, SERVER, tail, wordsOf } from "./grid.js";
import { SOCKET } from "./paced_socket.js";

const client = connect(SERVER, SOCKET);
const page = crypto.randomUUID();

function Tile({ tile, turn, onEnd }: { tile: number; turn: number; onEnd: () => void }) {
  const input = { words: wordsOf(tile, turn), rate: RATE };
  const run = useRun(client, { run: `${page}-${tile}-${turn}`, graph: "tokens", input, modes: ["messages"] });
  const said = useMessages(run)[0]?.text ?? "";
  const { status, error } = run;
  useEffect(() => {
    if (error) window.shown.errors.push(String(error));
    if (status === "completed") onEnd();
  }, [status, error, onEnd]);
  useEffect(() => count(tile, turn, said.length));
  return <section>{tail(said)}</section>;
}

function Runs({ tile }: { tile: number }) {
  const [turn, setTurn] = useState(0);
  const [onEnd] = useState(() => () => {
    window.shown.ended += 1;
    setTurn((now) => {
      void client.delete({ run: `${page}-${tile}-${now}` });
      return now + 1;
    });
  });
  return <Tile key={turn} tile={tile} turn={turn} onEnd={onEnd} />;
}

createRoot(document.body).render(Array.from({ length: RUNS }, (_, tile) => <Runs key={tile} tile={tile} />));
