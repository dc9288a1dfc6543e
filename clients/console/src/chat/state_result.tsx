/** The state of a thread whose runs the server has forgotten. */

import type { Client, StateSnapshot } from "graphwire";
import { useEffect, useState } from "react";
import { Problem } from "../parts/problem";
import { StateView } from "./run_result";

export function StateResult({ client, graph, thread }: { client: Client; graph: string; thread: string }) {
  const [found, setFound] = useState<{ state?: StateSnapshot; error?: Error }>();
  useEffect(() => {
    const controller = new AbortController();
    const { signal } = controller;
    client.state(graph, thread, { signal }).then(
      (state) => setFound({ state }),
      (error) => !signal.aborted && setFound({ error }),
    );
    return () => controller.abort();
  }, [client, graph, thread]);
  if (found?.error) return <Problem error={found.error} />;
  if (!found?.state) return null;
  return (
    <>
      <p className="chat-notice">The server no longer has the runs of this thread. Its latest state:</p>
      <StateView values={found.state.values} />
    </>
  );
}
