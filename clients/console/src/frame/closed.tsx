/** A connection that is closed for good, and that no token would open. */

import { again } from "../client";
import { Copy } from "../parts/copy";
import type { Words } from "./words";

/** The page in the place of all others: why, and who can do what. */
export function Closed({ words: { title, now, todo } }: { words: Words }) {
  const command = todo?.match(/graphwire serve --.*/)?.[0];
  return (
    <main className="gate" id="main" tabIndex={-1}>
      <div className="gate-card">
        <img src="./icon.svg" alt="" width="40" height="40" />
        <h1>{title}</h1>
        <p>{now}</p>
        {todo && <p>{command ? todo.replace(command, "") : todo}</p>}
        {command && (
          <p className="gate-command">
            <code>{command}</code>
            <Copy text={command} label="Copy the command" />
          </p>
        )}
        <button type="button" className="button button-main" onClick={again}>
          Connect again
        </button>
      </div>
    </main>
  );
}
