/** Chat. */

export function ChatPage({ graph, thread }: { graph: string | undefined; thread: string | undefined }) {
  return (
    <h1>
      {graph} {thread}
    </h1>
  );
}
