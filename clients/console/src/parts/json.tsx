/** A value as a tree. Only what is open is rendered, so a state of any size or depth costs what is seen of it. */

import { useState } from "react";
import { type Described, describe } from "./json_value";
import { LongText, Text } from "./text";
import "./json.css";

const PAGE = 100;
const ONE_LINE = 240;
/** Deeper levels are not indented further, since there would be no room; they say how deep they are. */
const INDENTED = 12;
const FLAT = { margin: 0, padding: 0, border: 0 };

/** The tree. `open` shows the first level. */
export function Json({
  value,
  name,
  open = false,
}: {
  value: unknown;
  name?: string | undefined;
  open?: boolean;
}) {
  return (
    <div className="json">
      <Node name={name} value={value} isOpen={open} depth={0} />
    </div>
  );
}

interface NodeProps {
  name?: string | undefined;
  value: unknown;
  isOpen: boolean;
  depth: number;
}

function Node({ name, value, isOpen, depth }: NodeProps) {
  const [open, setOpen] = useState(isOpen);
  const described = describe(value);
  if (!described.count) return <Leaf name={name} described={described} />;
  return (
    <>
      <button type="button" className="json-toggle" aria-expanded={open} onClick={() => setOpen(!open)}>
        {name !== undefined && (
          <span className="json-key">
            <Text>{name}</Text>
          </span>
        )}
        <span className="json-summary">
          {described.summary}
          {depth > INDENTED && `, level ${depth}`}
        </span>
      </button>
      {open && <Entries described={described} depth={depth + 1} />}
    </>
  );
}

function Entries({ described, depth }: { described: Described; depth: number }) {
  const [shown, setShown] = useState(PAGE);
  const entries = described.entries();
  const rest = entries.length - shown;
  return (
    <ul className="json-entries" style={depth > INDENTED ? FLAT : undefined}>
      {entries.slice(0, shown).map(([key, item], index) => (
        <li key={`${index} ${key}`}>
          <Node name={key} value={item} isOpen={false} depth={depth} />
        </li>
      ))}
      {rest > 0 && (
        <li>
          <button type="button" className="link-button" onClick={() => setShown(shown + 10 * PAGE)}>
            show {Math.min(rest, 10 * PAGE).toLocaleString("en")} more of {rest.toLocaleString("en")}
          </button>
        </li>
      )}
    </ul>
  );
}

function Leaf({ name, described: { kind, summary } }: { name: string | undefined; described: Described }) {
  const isLong = kind === "string" && (summary.length > ONE_LINE || summary.includes("\n"));
  return (
    <div className={isLong ? "json-leaf json-long" : "json-leaf"}>
      {name !== undefined && (
        <span className="json-key">
          <Text>{name}</Text>
        </span>
      )}
      <span className={`json-${kind}`}>
        {isLong ? (
          <LongText>{summary}</LongText>
        ) : (
          <Text>{kind === "string" ? summary || "“”" : summary}</Text>
        )}
      </span>
    </div>
  );
}
