/**
 * `Messages`: a conversation, as long as it is.
 *
 * It fills the height that it is given and scrolls by itself. It stays at the end while messages grow, unless the
 * reader has scrolled up; then a button leads back. Of many messages only those in view are in the page.
 */

import { useVirtualizer } from "@tanstack/react-virtual";
import type { Message } from "graphwire";
import { memo, type ReactNode, useCallback, useMemo, useRef } from "react";
import { useEnd } from "./messages_end";
import { Results, shownOf } from "./messages_parts";
import { MessageView } from "./messages_view";
import "./messages.css";

/** Fewer messages are all in the page: so a browser finds text in them, and a reader with a screen reader, too. */
const ALL_BELOW = 80;
const GUESSED_HEIGHT = 120;
const NONE: ReadonlyMap<string, Message> = new Map();

export interface MessagesProps {
  messages: readonly Message[];
  /** Whether messages that are not complete are being written; if not they are marked as unfinished. */
  isLive?: boolean | undefined;
  /** What one can do with a message; give a function that stays the same while its answers do. */
  actions?: ((message: Message) => ReactNode) | undefined;
  /** What stands behind a message; give a function that stays the same while its answers do. */
  behind?: ((message: Message) => ReactNode) | undefined;
  /** What stands behind all messages. */
  end?: ReactNode;
  /** What the list is called. */
  label?: string;
  /** What people are called who write to the graph. */
  human?: string | undefined;
  /** Where a message is from; give a function that stays the same while its answers do. */
  originOf?: ((message: Message) => string | undefined) | undefined;
}

/** Show messages. */
export function Messages(props: MessagesProps) {
  const { messages, isLive = false, actions, behind, end, label = "Messages", human, originOf } = props;
  const finder = useRef<Results>(undefined);
  finder.current ??= new Results();
  const results = useMemo(() => finder.current?.in(messages) ?? NONE, [messages]);
  const shown = useMemo(() => shownOf(messages, results), [messages, results]);
  const scroller = useRef<HTMLDivElement>(null);
  const list = useRef<HTMLDivElement>(null);
  const { isAtEnd, hasNews, onScroll, toEnd } = useEnd(scroller, list, messages);
  const isCut = shown.length >= ALL_BELOW;
  const latest = useRef(shown);
  latest.current = shown;
  const virtual = useVirtualizer({
    count: shown.length,
    enabled: isCut,
    getScrollElement: () => scroller.current,
    estimateSize: () => GUESSED_HEIGHT,
    getItemKey: useCallback((index: number) => keyOf(latest.current[index], index), []),
    overscan: 6,
  });
  const rows = isCut ? virtual.getVirtualItems() : undefined;
  const [first] = rows ?? [];
  const last = rows?.at(-1);
  const height = virtual.getTotalSize();
  const space = isCut && first && last ? { paddingTop: first.start, paddingBottom: height - last.end } : {};
  const rowAt = (index: number) => {
    const message = shown[index];
    if (!message) return null;
    return (
      <div
        key={keyOf(message, index)}
        className="messages-row"
        data-index={index}
        ref={isCut ? virtual.measureElement : undefined}
      >
        <Row {...{ message, results, isLive, actions, behind, human, originOf }} />
      </div>
    );
  };
  return (
    <section className="messages" aria-label={label}>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls is reached by keyboard */}
      <div className="messages-scroll" ref={scroller} onScroll={onScroll} tabIndex={0}>
        <div className="messages-list" ref={list}>
          <div style={space}>
            {rows ? rows.map(({ index }) => rowAt(index)) : shown.map((_, index) => rowAt(index))}
          </div>
          {end}
        </div>
      </div>
      {!isAtEnd && (
        <button type="button" className="messages-new" onClick={toEnd}>
          <span aria-hidden>↓</span> {hasNews ? "New messages" : "To the end"}
        </button>
      )}
    </section>
  );
}

/** The key of a message: its id, which it keeps from its first token on. */
function keyOf(message: Message | undefined, index: number): string {
  return message?.id ?? `#${index}`;
}

interface RowProps extends Pick<MessagesProps, "actions" | "behind" | "human" | "originOf"> {
  message: Message;
  results: ReadonlyMap<string, Message>;
  isLive: boolean;
}

const Row = memo(function Row(props: RowProps) {
  const { message, results, isLive, actions, behind, human, originOf } = props;
  return (
    <>
      <MessageView
        message={message}
        results={results}
        isLive={isLive}
        actions={actions?.(message)}
        human={human}
        origin={originOf?.(message)}
      />
      {behind?.(message)}
    </>
  );
});
