/** A thread in the list: its title, which is changed in place, and what its latest run does. */

import type { ThreadRow } from "graphwire";
import { memo, useState } from "react";
import { hrefOf } from "../address";
import { useClient } from "../client";
import { useAttempt } from "../parts/attempt";
import { Menu } from "../parts/menu";
import { Problem } from "../parts/problem";
import { Text } from "../parts/text";
import { Ago } from "./ago";
import { titleIn } from "./threads_store";

const STATUS: { [S in ThreadRow["status"]]: string } = {
  queued: "queued",
  running: "running",
  interrupted: "waits for an answer",
  completed: "completed",
  failed: "failed",
  cancelled: "cancelled",
};

export interface ThreadItemProps {
  row: ThreadRow;
  isCurrent: boolean;
  onChosen: (() => void) | undefined;
  onDelete: () => void;
}

export const ThreadItem = memo(
  function ThreadItem({ row, isCurrent, onChosen, onDelete }: ThreadItemProps) {
    const [isRenaming, setRenaming] = useState(false);
    const title = titleIn(row);
    const { status } = row;
    if (isRenaming)
      return (
        <div className="thread-item thread-renaming">
          <TitleBox row={row} onDone={() => setRenaming(false)} />
        </div>
      );
    return (
      <div className={`thread-item ${isCurrent ? "thread-current" : ""}`}>
        <a
          href={hrefOf(["chat", row.graph, row.thread])}
          aria-current={isCurrent ? "page" : undefined}
          onClick={onChosen}
          onDoubleClick={() => setRenaming(true)}
          onKeyDown={(event) => event.key === "F2" && setRenaming(true)}
        >
          <span className={`thread-dot thread-${status}`} title={STATUS[status]} />
          <span className={`thread-title ${title ? "" : "thread-id"}`}>
            <Text>{title ?? row.thread}</Text>
          </span>
          <span className="thread-about">
            {status === "interrupted" ? (
              <b className="thread-badge">Waits for you</b>
            ) : (
              <>
                <span className="chat-hidden">{STATUS[status]}, </span>
                <Ago at={row.updated_at} />
              </>
            )}
          </span>
        </a>
        <Menu
          label={`Actions for ${title ?? row.thread}`}
          items={[
            { label: "Rename", onSelect: () => setRenaming(true) },
            { label: "Delete…", onSelect: onDelete, danger: true },
          ]}
        />
      </div>
    );
  },
  (before, after) => before.row === after.row && before.isCurrent === after.isCurrent,
);

/** A box with the title. Enter and leaving it keep what is written, Escape does not. */
export function TitleBox({ row, onDone }: { row: ThreadRow; onDone: () => void }) {
  const client = useClient();
  const before = titleIn(row) ?? "";
  const [title, setTitle] = useState(before);
  const { attempt, problem, busy } = useAttempt();
  const save = async () => {
    const next = title.trim();
    if (next !== before) await client.threadUpdate(row.graph, row.thread, { title: next || null });
    onDone();
  };
  return (
    <>
      <input
        // biome-ignore lint/a11y/noAutofocus: the reader has just asked to rename
        autoFocus
        className="thread-box"
        aria-label="Title"
        value={title}
        readOnly={busy}
        onFocus={(event) => event.target.select()}
        onChange={(event) => setTitle(event.target.value)}
        onBlur={() => !busy && attempt(save())}
        onKeyDown={(event) => {
          if (event.nativeEvent.isComposing || event.keyCode === 229) return;
          if (event.key === "Enter") event.currentTarget.blur();
          if (event.key === "Escape") onDone();
        }}
      />
      {problem && <Problem error={problem} />}
    </>
  );
}
