/** What changed between two states. */

import { useMemo } from "react";
import { Json } from "../parts/json";
import { Text } from "../parts/text";
import { type Change, differenceOf } from "./diff";

const WORDS = { added: "added", changed: "changed", removed: "removed" } as const;
const SIGNS = { added: "+", changed: "±", removed: "−" } as const;

export function DifferenceView({ old, now }: { old: unknown; now: unknown }) {
  const { changes, isCut } = useMemo(() => differenceOf(old, now), [old, now]);
  return (
    <>
      {!changes.length && !isCut && <p className="run-soft">No changes.</p>}
      <ul className="run-changes">
        {changes.map((change) => (
          <ChangeView key={`${change.kind}${JSON.stringify(change.path)}`} change={change} />
        ))}
      </ul>
      {isCut && <p className="run-soft">There may be more: these states are too large to compare whole.</p>}
    </>
  );
}

function ChangeView({ change: { kind, path, old, now } }: { change: Change }) {
  return (
    <li className="run-change" data-kind={kind}>
      <div className="run-change-head">
        <span className="run-sign" aria-hidden>
          {SIGNS[kind]}
        </span>
        <span className="run-change-path">
          <Text>{path.length ? path.join(" › ") : "the whole state"}</Text>
        </span>
        <span className="run-soft">{WORDS[kind]}</span>
      </div>
      {kind !== "added" && (
        <div className="run-old">
          {kind === "changed" && <span className="run-soft">old</span>}
          <Json value={old} />
        </div>
      )}
      {kind !== "removed" && (
        <div className="run-new">
          {kind === "changed" && <span className="run-soft">new</span>}
          <Json value={now} />
        </div>
      )}
    </li>
  );
}
