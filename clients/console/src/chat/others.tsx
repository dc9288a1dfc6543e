/** What a graph takes beside messages: a form, kept for this tab, whose values go with each message. */

import { useCallback, useState } from "react";
import { SchemaForm } from "../parts/schema_form";
import type { Schema } from "./graph_kind";

type Values = { readonly [key: string]: unknown };

/** The values of the form, kept in this tab. */
export function useOthers(graph: string): [Values, (values: unknown) => void] {
  const key = `graphwire.input ${graph}`;
  const [values, setValues] = useState<Values>(() => {
    try {
      return JSON.parse(sessionStorage.getItem(key) ?? "{}");
    } catch {
      return {};
    }
  });
  const change = useCallback(
    (next: unknown) => {
      setValues((next ?? {}) as Values);
      try {
        sessionStorage.setItem(key, JSON.stringify(next ?? {}));
      } catch {
        // a full storage forgets it with the tab
      }
    },
    [key],
  );
  return [values, change];
}

export function Others({
  schema,
  value,
  onChange,
  isOpen,
}: {
  schema: Schema;
  value: Values;
  onChange: (values: unknown) => void;
  isOpen: boolean;
}) {
  return (
    <details className="others" open={isOpen}>
      <summary>More that the graph takes</summary>
      <SchemaForm schema={schema} value={value} onChange={onChange} />
    </details>
  );
}
