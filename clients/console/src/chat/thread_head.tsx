/** The head of a thread: its title, what its latest run does, and what one can do with it. */

import type { ThreadRow } from "graphwire";
import { useState } from "react";
import { go, hrefOf } from "../address";
import { Menu } from "../parts/menu";
import { Status } from "../parts/status";
import { Text } from "../parts/text";
import { DeleteThread } from "./delete_thread";
import { TitleBox } from "./thread_item";
import { titleIn } from "./threads_store";

export interface ThreadHeadProps {
  graph: string;
  thread: string | undefined;
  row: ThreadRow | undefined;
  /** Show the list of threads, where there is no room for it. */
  onDraw: () => void;
}

export function ThreadHead({ graph, thread, row, onDraw }: ThreadHeadProps) {
  const [isRenaming, setRenaming] = useState(false);
  const [isDeleting, setDeleting] = useState(false);
  const title = row && titleIn(row);
  const run = row?.run;
  return (
    <header className="thread-head">
      <button type="button" className="thread-draw" onClick={onDraw}>
        Threads
      </button>
      {isRenaming && row ? (
        <TitleBox row={row} onDone={() => setRenaming(false)} />
      ) : (
        <h1>
          {row && thread !== undefined ? (
            <button type="button" className="thread-name" title="Rename" onClick={() => setRenaming(true)}>
              <Text>{title ?? thread}</Text>
            </button>
          ) : (
            <Text>{thread ?? "New thread"}</Text>
          )}
        </h1>
      )}
      {row?.run !== undefined && <Status status={row.status} />}
      {run !== undefined && (
        <a className="thread-run" href={hrefOf(["run", run])}>
          Open the run
        </a>
      )}
      {row && thread !== undefined && (
        <Menu
          label="Actions for this thread"
          items={[
            { label: "Rename", onSelect: () => setRenaming(true) },
            ...(run === undefined
              ? []
              : [{ label: "Open its latest run", onSelect: () => go(hrefOf(["run", run])) }]),
            { label: "Delete…", onSelect: () => setDeleting(true), danger: true },
          ]}
        />
      )}
      {isDeleting && row && (
        <DeleteThread
          row={row}
          onClose={() => setDeleting(false)}
          onDeleted={() => {
            setDeleting(false);
            go(hrefOf(["chat", graph]));
          }}
        />
      )}
    </header>
  );
}
