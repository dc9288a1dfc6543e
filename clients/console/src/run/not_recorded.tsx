/** What a run did not record, and what would. */

import type { Mode, RunRow } from "graphwire";
import type { ReactNode } from "react";
import { Text } from "../parts/text";

/** Say that `modes` were not recorded, and which setting records them. */
export function NotRecorded({
  modes,
  subgraphs = false,
  row,
  children,
}: {
  modes: readonly Mode[];
  subgraphs?: boolean;
  row: RunRow | undefined;
  children?: ReactNode;
}) {
  const name = row?.graph ?? "NAME";
  const settings = [
    ...(modes.length ? [`record = [${modes.map((mode) => `"${mode}"`).join(", ")}]`] : []),
    ...(subgraphs ? ["record_subgraphs = true"] : []),
  ];
  const start = [
    ...(modes.length ? [`"modes": [${modes.map((mode) => `"${mode}"`).join(", ")}]`] : []),
    ...(subgraphs ? ['"subgraphs": true'] : []),
  ];
  return (
    <div className="run-missing" role="note">
      {children}
      <p>
        To record it in later runs, set <code>{settings.join(" and ")}</code> under{" "}
        <code>
          [graphs.<Text>{name}</Text>]
        </code>{" "}
        in the server’s <code>graphwire.toml</code>, or start a run with{" "}
        <code>{`record={${start.join(", ")}}`}</code>.
      </p>
    </div>
  );
}
