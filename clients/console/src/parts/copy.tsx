/** A button that copies a text. */

import { useEffect, useState } from "react";

const SHOWN_MS = 1600;

/** Copies `text`; with `isText` its label can be read. It says that it did, or why it could not: a page that came over plain HTTP may have no clipboard. */
export function Copy({ text, label, isText = false }: { text: string; label: string; isText?: boolean }) {
  const [said, setSaid] = useState<"" | "Copied" | "Not copied">("");
  useEffect(() => {
    if (!said) return;
    const timer = setTimeout(() => setSaid(""), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [said]);
  const onClick = async () => setSaid((await copy(text)) ? "Copied" : "Not copied");
  return (
    <button
      type="button"
      className={isText ? "button button-main copy-button" : "copy"}
      aria-label={label}
      title={label}
      onClick={onClick}
    >
      <svg viewBox="0 0 16 16" aria-hidden="true">
        {said === "Copied" ? <path d="M3 8.5l3.2 3.2L13 5" /> : <path d="M5.5 5.5v-3h8v8h-3m-8-5h8v8h-8z" />}
      </svg>
      {isText && (said === "Copied" ? said : label)}
      <span className="visually-hidden" role="status">
        {said}
      </span>
      {said === "Not copied" && <span className="copy-failed">not allowed here</span>}
    </button>
  );
}

/** Put a text on the clipboard; return whether that was possible. */
export async function copy(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyBySelection(text);
  }
}

/** The old way, for pages without `navigator.clipboard`. */
function copyBySelection(text: string): boolean {
  const had = document.activeElement as HTMLElement | null;
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "visually-hidden";
  (had?.closest("[role=dialog]") ?? document.body).append(area);
  area.select();
  try {
    return document.execCommand("copy");
  } catch {
    return false;
  } finally {
    area.remove();
    had?.focus();
  }
}
