/** The box in which a message is written. Enter sends, Shift+Enter breaks the line, Escape stops what runs. */

import { type KeyboardEvent, type ReactNode, useEffect, useId, useRef } from "react";
import type { IfBusy } from "./sending";

/** What the thread is doing while somebody writes. */
export type Standing =
  | "idle"
  /** A run executes. */
  | "busy"
  /** A run waits for an answer: a message may wait behind it. */
  | "asking"
  /** The thread waits for an answer, and its run is forgotten: nothing can wait behind it. */
  | "asking-alone";

export interface ComposerProps {
  text: string;
  onText: (text: string) => void;
  standing: Standing;
  /** Whether a message is on its way to the server. */
  isSending: boolean;
  isConnected: boolean;
  onSend: (ifBusy: IfBusy) => void;
  onStop: () => void;
  /** What stands above the box. */
  children?: ReactNode;
}

const HINTS: { [S in Standing]: string } = {
  idle: "Enter sends, Shift+Enter breaks the line.",
  busy: "The graph is running. Enter queues your message, Escape stops the run.",
  asking: "The graph waits for your answer. Enter queues your message until then.",
  "asking-alone": "The graph waits for your answer. A message now discards its question.",
};

export function Composer(props: ComposerProps) {
  const { text, onText, standing, isSending, isConnected, onSend, onStop, children } = props;
  const box = useRef<HTMLTextAreaElement>(null);
  const hint = useId();
  const canSend = !!text.trim() && !isSending;
  const canStop = standing === "busy" || isSending;

  useEffect(() => {
    // On a phone the keyboard would cover what is to be read first.
    const { current } = box;
    if (!current || !matchMedia("(pointer: fine)").matches) return;
    current.focus({ preventScroll: true });
    current.setSelectionRange(current.value.length, current.value.length); // behind a draft
  }, []);

  const onKey = (event: KeyboardEvent) => {
    // While a script is composed, as with Japanese, Enter belongs to the input method; some report it as key 229.
    if (event.nativeEvent.isComposing || event.keyCode === 229) return;
    if (event.key === "Escape" && canStop) {
      event.preventDefault();
      onStop();
    } else if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      if (canSend && standing !== "asking-alone") onSend("enqueue");
    }
  };

  return (
    <form
      className="composer"
      onSubmit={(event) => {
        event.preventDefault();
        if (canSend) onSend(standing === "asking-alone" ? "interrupt" : "enqueue");
      }}
    >
      {children}
      <div className="composer-box">
        <textarea
          ref={box}
          aria-label="Message"
          aria-describedby={hint}
          placeholder="Message"
          rows={Math.min(8, text.split("\n").length)}
          value={text}
          readOnly={isSending}
          onChange={(event) => onText(event.target.value)}
          onKeyDown={onKey}
        />
        <div className="composer-buttons">
          {canStop && (
            <button type="button" className="composer-stop" onClick={onStop}>
              Stop
            </button>
          )}
          <Buttons standing={standing} canSend={canSend} isSending={isSending} onSend={onSend} />
        </div>
      </div>
      <p className="composer-hint" id={hint}>
        {isSending && !isConnected
          ? "Not connected. Your message is sent as soon as the connection is back; until then it stays here."
          : HINTS[standing]}
      </p>
    </form>
  );
}

interface ButtonsProps extends Pick<ComposerProps, "standing" | "isSending" | "onSend"> {
  canSend: boolean;
}

function Buttons({ standing, canSend, isSending, onSend }: ButtonsProps) {
  if (standing === "idle" || isSending)
    return (
      <button type="submit" className="chat-primary" disabled={!canSend}>
        {isSending ? "Sending…" : "Send"}
      </button>
    );
  const now = standing === "busy" ? "Stop and send" : "Discard the question and send";
  if (standing === "asking-alone")
    return (
      <button type="submit" disabled={!canSend}>
        {now}
      </button>
    );
  return (
    <>
      {canSend && (
        <button type="button" onClick={() => onSend("interrupt")}>
          {now}
        </button>
      )}
      <button type="submit" className="chat-primary" disabled={!canSend}>
        Queue
      </button>
    </>
  );
}
