/** Tells screen readers of messages that are finished, politely, and not of their tokens. */

import type { Message } from "graphwire";
import { useEffect, useRef, useState } from "react";
import { roleOf } from "../parts/messages_parts";

const LONGEST = 400;

/** Return what to say of messages that have been finished since: those whose keys `known` does not have. */
export function newsIn(messages: readonly Message[], known: Set<string>): string {
  const news: string[] = [];
  // What is new stands behind all that is known; a thread may be long.
  for (let index = messages.length - 1; index >= 0; index -= 1) {
    const message = messages[index] as Message;
    const key = message.id ?? `#${index}`;
    if (known.has(key)) break;
    if (!message.isComplete) continue;
    known.add(key);
    if (roleOf(message) !== "ai") continue;
    const calls = message.toolCalls.map(({ name }) => `calls ${name}`);
    const text = message.text.length > LONGEST ? `${message.text.slice(0, LONGEST)}…` : message.text;
    news.push([text, ...calls].filter(Boolean).join(", "));
  }
  return news.reverse().filter(Boolean).join("\n");
}

/** A live region. What is there when the thread has been loaded is not news. */
export function Announcer({
  messages,
  isLoaded,
  question,
}: {
  messages: readonly Message[];
  isLoaded: boolean;
  /** What waits for an answer. */
  question: string | undefined;
}) {
  const known = useRef<Set<string>>(undefined);
  const [said, setSaid] = useState("");
  useEffect(() => {
    if (!known.current) {
      if (!isLoaded) return;
      known.current = new Set();
      newsIn(messages, known.current);
      return;
    }
    const news = newsIn(messages, known.current);
    if (news) setSaid(`Assistant: ${news}`);
  }, [messages, isLoaded]);
  return (
    <div className="chat-hidden" role="status" aria-live="polite">
      {question ?? said}
    </div>
  );
}
