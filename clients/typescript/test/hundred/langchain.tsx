/** A hundred runs on a page with LangChain's own hook and its SSE transport: a component for each. */

import { useStream } from "@langchain/react";
import { useEffect, useRef, useState } from "react";
import { createRoot } from "react-dom/client";
import { count, RATE, RUNS, SERVER, tail, wordsOf } from "./grid.js";

function Tile({ tile, turn, onEnd }: { tile: number; turn: number; onEnd: () => void }) {
  const stream = useStream({ apiUrl: SERVER, assistantId: "tokens", transport: "sse" });
  const { isLoading, error, messages } = stream;
  const submit = useRef(stream.submit);
  const wasLoading = useRef(false);
  const said = messages.at(-1)?.text ?? "";
  useEffect(() => {
    const input = { messages: [], words: wordsOf(tile, turn), rate: RATE };
    submit.current(input).catch((reason: unknown) => window.shown.errors.push(`submit: ${reason}`));
  }, [tile, turn]);
  useEffect(() => {
    if (error) window.shown.errors.push(String(error));
    if (wasLoading.current && !isLoading) onEnd();
    wasLoading.current = isLoading;
  }, [isLoading, error, onEnd]);
  useEffect(() => count(tile, turn, said.length));
  return <section>{tail(said)}</section>;
}

function Runs({ tile }: { tile: number }) {
  const [turn, setTurn] = useState(0);
  const [onEnd] = useState(() => () => {
    window.shown.ended += 1;
    setTurn((now) => now + 1);
  });
  return <Tile key={turn} tile={tile} turn={turn} onEnd={onEnd} />;
}

createRoot(document.body).render(Array.from({ length: RUNS }, (_, tile) => <Runs key={tile} tile={tile} />));
