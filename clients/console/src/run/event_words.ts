/** An event in a few words. */

import type { Event } from "graphwire";
import { errorText, isObject } from "./spans";

const LONGEST = 160;

/** What an event is marked as: `plain` for all that is as usual. */
export type Kind = "plain" | "life" | "gap" | "snapshot" | "discard" | "cut" | "failed" | "interrupt";

export function kindOf(event: Event): Kind {
  switch (event.mode) {
    case "gap":
      return "gap";
    case "snapshot":
      return "snapshot";
    case "interrupt":
      return "interrupt";
    case "lifecycle":
      return event.status === "failed" ? "failed" : event.discard.length ? "discard" : "life";
    case "messages":
      return event.discard ? "discard" : event.cutBytes === undefined ? "plain" : "cut";
    case "tasks":
      return isObject(event.data) && event.data.error
        ? "failed"
        : event.cutBytes === undefined
          ? "plain"
          : "cut";
    default:
      return event.cutBytes === undefined ? "plain" : "cut";
  }
}

/** Return what an event says, in one line. */
export function summaryOf(event: Event): string {
  switch (event.mode) {
    case "lifecycle": {
      const because = event.reason ? `, because: ${event.reason}` : "";
      const error = event.error ? `: ${event.error.code}, ${event.error.message}` : "";
      const again = event.attempt > 1 ? `, attempt ${event.attempt}` : "";
      const taken = event.discard.length ? `, discards ${event.discard.length} messages` : "";
      return cut(`${event.status}${again}${error}${because}${taken}`);
    }
    case "interrupt":
      return event.interrupts.length
        ? cut(`asks: ${event.interrupts.map(({ value }) => shortly(value)).join("; ")}`)
        : "paused at a breakpoint";
    case "gap":
      return cut(
        `events ${event.afterSeq + 1} to ${event.uptoSeq} are gone (${event.reason})` +
          (event.lost.length ? `; ${event.lost.join(", ")} cannot be restored` : ""),
      );
    case "snapshot":
      return event.heals ? "the state in place of the lost events" : "the state at this point";
    case "messages": {
      if (event.discard) return "the node is retried: its messages so far are discarded";
      const { message } = event;
      const calls = message.toolCalls.map(({ name, argsText }) => `${name}(${argsText})`).join(" ");
      return cut([message.text, calls].filter(Boolean).join(" ")) || (event.isWhole ? message.type : "…");
    }
    case "tasks": {
      if (!isObject(event.data)) return shortly(event.data);
      const { name, error, interrupts, result } = event.data;
      const failed = errorText(error);
      if (failed !== undefined) return cut(`${name} failed: ${failed}`);
      if (Array.isArray(interrupts) && interrupts.length) return cut(`${name} asks`);
      return cut("result" in event.data ? `${name} ended: ${shortly(result)}` : `${name} started`);
    }
    default:
      return shortly(event.data);
  }
}

function cut(text: string): string {
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
}

/** Return a value as a short text; however large it is, little of it is looked at. */
export function shortly(value: unknown, room = LONGEST): string {
  if (room <= 0) return "…";
  if (typeof value === "string") return cut(value);
  if (value instanceof Uint8Array) return `${value.length} bytes`;
  if (value instanceof Map || value instanceof Set) return `${value.constructor.name} of ${value.size}`;
  if (typeof value !== "object" || value === null) return String(value);
  const isList = Array.isArray(value);
  let text = "";
  for (const key in value) {
    if (!Object.hasOwn(value, key)) continue;
    const item = shortly((value as { [key: string]: unknown })[key], room - text.length - key.length - 4);
    text += `${text && ", "}${isList ? "" : `${key}: `}${item}`;
    if (text.length >= room) return `${isList ? "[" : "{"}${cut(text).slice(0, Math.max(room, 1))}…`;
  }
  return isList ? `[${text}]` : `{${text}}`;
}
