import { connect } from "graphwire";

/** The graph of `make demo`, as its client knows it; `graphwire types` writes such types for your graphs. */
export interface Graphs {
  chat: { input: { messages: { type: "human"; content: string }[] }; state: { messages: unknown[] } };
}

/** One socket for the whole page; `?server=ws://...` names another server than `make demo`'s. */
export const client = connect<Graphs>(
  new URLSearchParams(location.search).get("server") ?? "ws://127.0.0.1:8765/ws",
  { onState: () => {} }, // the page shows it
);
