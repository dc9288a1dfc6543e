/** What a page or a list shows when it has nothing: why, and what to do. */

import type { ReactNode } from "react";
import "./empty.css";

/** A title, and a sentence or a button below it. */
export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className="empty">
      <h2>{title}</h2>
      {children !== undefined && <div className="empty-body">{children}</div>}
    </div>
  );
}
