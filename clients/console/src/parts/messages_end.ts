/** Staying at the end of what grows, unless the reader has scrolled up. */

import { type RefObject, useCallback, useLayoutEffect, useRef, useState } from "react";

/** So near to the end is at the end. */
const NEAR = 24;

/**
 * Keep `scroller` at its end while `list`, its content, grows.
 *
 * Only a reader scrolls up: what grows never does. So a smaller `scrollTop` is the reader's, and the end is left alone
 * until the reader comes back to it. `hasNews` says that `news` has changed since.
 */
export function useEnd(
  scroller: RefObject<HTMLElement | null>,
  list: RefObject<HTMLElement | null>,
  news: unknown,
): { isAtEnd: boolean; hasNews: boolean; onScroll: () => void; toEnd: () => void } {
  const top = useRef(0);
  const isPinned = useRef(true);
  const latest = useRef(news);
  latest.current = news;
  /** What there was when the reader left the end; undefined at the end. */
  const [left, setLeft] = useState<{ news: unknown }>();

  const toEnd = useCallback(() => {
    const { current } = scroller;
    isPinned.current = true;
    setLeft(undefined);
    if (current) current.scrollTop = current.scrollHeight;
  }, [scroller]);

  const onScroll = useCallback(() => {
    const { current } = scroller;
    if (!current) return;
    const { scrollTop, scrollHeight, clientHeight } = current;
    if (scrollHeight - scrollTop - clientHeight <= NEAR) isPinned.current = true;
    else if (scrollTop < top.current - 1) isPinned.current = false;
    top.current = scrollTop;
    setLeft((before) => (isPinned.current ? undefined : (before ?? { news: latest.current })));
  }, [scroller]);

  useLayoutEffect(() => {
    const { current: outer } = scroller;
    const { current: inner } = list;
    if (!outer || !inner) return;
    const keep = () => {
      // Who writes within the list, an answer or an edited message, is not moved away from it.
      const isWritten =
        inner.contains(document.activeElement) && document.activeElement?.matches("input, textarea");
      if (isPinned.current && !isWritten) outer.scrollTop = outer.scrollHeight;
    };
    keep();
    const observer = new ResizeObserver(keep);
    observer.observe(outer);
    observer.observe(inner);
    return () => observer.disconnect();
  }, [scroller, list]);

  return { isAtEnd: !left, hasNews: !!left && left.news !== news, onScroll, toEnd };
}
