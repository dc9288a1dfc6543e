/** Saying something else in the place of an earlier message. */

import { useEffect, useRef, useState } from "react";
import { useAttempt } from "../parts/attempt";
import { Problem } from "../parts/problem";

export function Editor({
  text: before,
  isLast,
  onSend,
  onCancel,
}: {
  text: string;
  /** Whether no other message of a person comes behind it. */
  isLast: boolean;
  onSend: (text: string) => Promise<unknown>;
  onCancel: () => void;
}) {
  const [text, setText] = useState(before);
  const { attempt, problem, busy } = useAttempt();
  const form = useRef<HTMLFormElement>(null);
  useEffect(() => {
    form.current?.scrollIntoView({ block: "nearest" });
  }, []);
  return (
    <form
      ref={form}
      className="editor"
      onSubmit={(event) => {
        event.preventDefault();
        if (text.trim() && !busy) attempt(onSend(text.trim()));
      }}
    >
      <textarea
        // biome-ignore lint/a11y/noAutofocus: the reader has just asked to edit
        autoFocus
        aria-label="Edited message"
        rows={Math.min(10, text.split("\n").length + 1)}
        value={text}
        onChange={(event) => setText(event.target.value)}
        onKeyDown={(event) => {
          if (event.nativeEvent.isComposing || event.keyCode === 229) return;
          if (event.key === "Escape") onCancel();
          if (event.key === "Enter" && !event.shiftKey) {
            event.preventDefault();
            event.currentTarget.form?.requestSubmit();
          }
        }}
      />
      <p className="editor-foot">
        <span>
          {isLast
            ? "The graph answers anew."
            : "The conversation continues from here. Later messages stay in the thread’s history and are no longer shown."}
        </span>
        <button type="button" onClick={onCancel}>
          Keep it as it was
        </button>
        <button type="submit" className="chat-primary" disabled={busy || !text.trim()}>
          {busy ? "Sending…" : "Send"}
        </button>
      </p>
      {problem && <Problem error={problem} />}
    </form>
  );
}
