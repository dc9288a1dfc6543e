/** Deleting a thread, which nobody can take back. */

import { Refused, type ThreadRow } from "graphwire";
import { useClient } from "../client";
import { useAttempt } from "../parts/attempt";
import { Dialog } from "../parts/dialog";
import { Problem } from "../parts/problem";
import { Text } from "../parts/text";
import { STOPPED } from "./sending";
import { titleIn } from "./threads_store";

export function DeleteThread({
  row,
  onClose,
  onDeleted,
}: {
  row: ThreadRow;
  onClose: () => void;
  onDeleted: () => void;
}) {
  const client = useClient();
  const { attempt, problem, busy } = useAttempt();
  const { graph, thread, status } = row;
  const isLive = status === "running" || status === "queued";
  const remove = async (isStopped: boolean) => {
    if (isStopped) await client.cancel({ graph, thread }, STOPPED);
    await client.delete({ graph, thread });
    onDeleted();
  };
  const isStillBusy = problem instanceof Refused && (problem.code === "conflict" || problem.code === "busy");
  return (
    <Dialog title="Delete this thread?" open onClose={onClose}>
      <p>
        “<Text>{titleIn(row) ?? thread}</Text>” is deleted with its messages, runs and checkpoints. This
        cannot be undone.
      </p>
      {isLive && <p>Its current run is stopped first.</p>}
      {isStillBusy && <p role="alert">Its run has not stopped yet. Try again in a moment.</p>}
      {problem && !isStillBusy && <Problem error={problem} />}
      <p className="chat-buttons">
        <button type="button" onClick={onClose}>
          Cancel
        </button>
        <button type="button" className="chat-danger" disabled={busy} onClick={() => attempt(remove(isLive))}>
          {isLive ? "Stop and delete" : "Delete"}
        </button>
      </p>
    </Dialog>
  );
}
