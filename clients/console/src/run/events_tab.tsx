/** Every event of a run, as it came: searched, filtered, followed. */

import { useVirtualizer } from "@tanstack/react-virtual";
import type { Event, Mode } from "graphwire";
import { memo, useCallback, useDeferredValue, useEffect, useRef, useState } from "react";
import { go, hrefOf, useAddress } from "../address";
import { Json } from "../parts/json";
import { Text } from "../parts/text";
import { timeText } from "./axis";
import { kindOf, summaryOf } from "./event_words";
import { type Entry, useLog, wireOf } from "./log";
import type { Viewed } from "./page";
import { useShown } from "./shown_events";
import { bytesText } from "./size";
import { namesOf } from "./spans";

const ROW = 30;
const AT_END_PX = 40;
/** Always there, whatever is filtered by mode: they say what is missing. */
const MARKS = ["gap", "snapshot"];

export function EventsTab(viewed: Viewed) {
  const { id, log, view, recorded } = viewed;
  useLog(log);
  const { query } = useAddress();
  const [text, setText] = useState(query.get("q") ?? "");
  const searched = useDeferredValue(text.trim().toLowerCase());
  const modes = query.get("modes")?.split(",") ?? [];
  const { shown, isSearching } = useShown(log, modes.length ? [...modes, ...MARKS] : [], searched);
  const [open, setOpen] = useState<ReadonlySet<Event>>(new Set());
  const [isFollowing, follow] = useState(true);
  const scroller = useRef<HTMLDivElement>(null);
  const latest = useRef(shown);
  latest.current = shown;
  const virtual = useVirtualizer({
    count: shown.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW,
    getItemKey: useCallback((index: number) => {
      const event = latest.current[index]?.event;
      return event ? `${event.mode === "gap" ? "gap" : ""}${event.seq}` : index;
    }, []),
    overscan: 12,
  });
  useEffect(() => {
    if (isFollowing && shown.length) virtual.scrollToIndex(shown.length - 1, { align: "end" });
  }, [isFollowing, shown.length, virtual.scrollToIndex]);
  const change = (fields: { modes?: string[]; q?: string }) => {
    const next = { modes: modes.join(","), q: text, ...fields };
    const address = { tab: "events", q: next.q, modes: String(next.modes) };
    go(hrefOf(["run", id], address), { replace: true });
  };
  const onScroll = () => {
    const box = scroller.current;
    if (box) follow(box.scrollHeight - box.scrollTop - box.clientHeight < AT_END_PX);
  };
  const toggle = useCallback((event: Event) => {
    follow(false);
    setOpen((events) => {
      const next = new Set(events);
      if (!next.delete(event)) next.add(event);
      return next;
    });
  }, []);
  const first = log.clock.at(1)?.ms;
  const oldest = log.entries[0]?.event.seq ?? 0;
  return (
    <div className="run-events">
      <div className="run-bar-top">
        <label className="run-search">
          <span className="run-hidden">Search the events</span>
          <input
            type="search"
            placeholder="Search keys and values"
            value={text}
            onChange={({ target }) => {
              setText(target.value);
              change({ q: target.value });
            }}
          />
        </label>
        <fieldset className="run-modes">
          <legend className="run-hidden">Modes</legend>
          {recorded.modes.map((mode: Mode) => (
            <label key={mode} className="run-chip">
              <input
                type="checkbox"
                checked={modes.includes(mode)}
                onChange={({ target }) =>
                  change({ modes: target.checked ? [...modes, mode] : modes.filter((each) => each !== mode) })
                }
              />
              {mode}
            </label>
          ))}
        </fieldset>
        <button
          type="button"
          className="button"
          aria-pressed={isFollowing}
          onClick={() => follow(!isFollowing)}
        >
          {isFollowing ? "Following" : "Follow"}
        </button>
      </div>
      <p className="run-soft run-events-count">
        {shown.length.toLocaleString("en")} of {log.entries.length.toLocaleString("en")} events
        {isSearching && ", searching…"}. Times with ~ are estimates
        {log.dropped > 0 &&
          `. ${log.dropped.toLocaleString("en")} older ones, up to number ${oldest - 1}, are on the server only: this page keeps the latest`}
      </p>
      <div className="run-event run-event-head" aria-hidden>
        <span>seq</span>
        <span>time</span>
        <span>mode</span>
        <span>where</span>
        <span>what</span>
        <span>size</span>
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls is reached by keyboard */}
      <section className="run-event-rows" ref={scroller} onScroll={onScroll} tabIndex={0} aria-label="Events">
        <div style={{ height: virtual.getTotalSize(), position: "relative" }}>
          {virtual.getVirtualItems().map(({ index, start, key }) => {
            const entry = shown[index];
            if (!entry) return null;
            const moment = log.clock.at(entry.event.seq);
            const time =
              moment && first !== undefined
                ? `${moment.isExact ? "" : "~"}${timeText(moment.ms - first)}`
                : "";
            return (
              <div
                key={key}
                className="run-event-place"
                data-index={index}
                ref={virtual.measureElement}
                style={{ transform: `translateY(${start}px)` }}
              >
                <EventRow entry={entry} time={time} isOpen={open.has(entry.event)} onToggle={toggle} />
              </div>
            );
          })}
        </div>
        {!shown.length && (
          <p className="run-soft run-pad">
            {log.entries.length ? "No event matches." : view.isCaughtUp ? "No events yet." : "Catching up…"}
          </p>
        )}
      </section>
    </div>
  );
}

interface RowProps {
  entry: Entry;
  time: string;
  isOpen: boolean;
  onToggle: (event: Event) => void;
}

const EventRow = memo(function EventRow({ entry: { event, size }, time, isOpen, onToggle }: RowProps) {
  const where = [...namesOf(event.namespace), ...(event.node === undefined ? [] : [event.node])].join(" / ");
  const kind = kindOf(event);
  return (
    <>
      <button
        type="button"
        className="run-event"
        data-kind={kind}
        aria-expanded={isOpen}
        onClick={() => onToggle(event)}
      >
        <span className="run-event-seq">{event.seq}</span>
        <span className="run-event-time">{time}</span>
        <span className="run-event-mode">{event.mode === "unknown" ? event.name : event.mode}</span>
        <span className="run-event-where">
          <Text>{where}</Text>
        </span>
        <span className="run-event-what">
          <Text>{summaryOf(event)}</Text>
        </span>
        <span className="run-event-size">
          {event.cutBytes === undefined ? "" : "cut, "}
          {bytesText(size.bytes, size.isExact)}
        </span>
      </button>
      {isOpen && (
        <div className="run-event-open">
          {event.namespace.length > 0 && (
            <p className="run-soft">
              Namespace{" "}
              <code>
                <Text>{event.namespace.join(" / ")}</Text>
              </code>
            </p>
          )}
          <Json value={wireOf(event)} open />
        </div>
      )}
    </>
  );
});
