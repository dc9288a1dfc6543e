/** What a follower asks for: the thread's state, now or at a checkpoint, and the list of its runs. */

import { Refused } from "./errors.js";
import { cutBytes } from "./events.js";
import type { Exchange } from "./exchange.js";
import { type Label, labelOf, type RunOrder } from "./follow_order.js";
import type { StateMessages } from "./follow_view.js";
import type { Message } from "./messages.js";
import type { Asked } from "./protocol/client.js";
import type * as frames from "./protocol/frames.js";
import { isObject } from "./protocol/json.js";
import { restore } from "./protocol/projection.js";

const RETRY_MS = 1000;
const PAGE = 100;

/** Following has to begin anew from the thread's state. */
export class Anew {
  constructor(
    readonly reason: "lost" | "missed",
    readonly run?: string,
  ) {}
}

/** A state as it was read: its messages, and the latest run that had begun then. */
export interface Read {
  messages: readonly Message[];
  label: Label | undefined;
  /** The size of a state that was too large to send. */
  bytes: number | undefined;
}

/** The requests of one follower. */
export class ThreadRequests {
  /** Ends a wait between two requests. */
  wake: () => void = () => {};

  constructor(
    readonly exchange: Exchange,
    readonly graph: string,
    readonly thread: string,
    readonly messages: StateMessages,
    readonly signal: AbortSignal,
  ) {}

  /** Read the thread's messages, now or at a checkpoint. Throws `Anew` if the checkpoint is gone. */
  async read(checkpoint?: string): Promise<Read> {
    const { graph, thread } = this;
    const { key } = this.messages;
    const asked = { type: "state", graph, thread, checkpoint } as const;
    try {
      const reply = await this.#ask({ ...asked, keys: [key] });
      const values = restore(reply.values);
      const bytes = cutBytes(isObject(values) ? values[key] : values);
      const messages = (bytes === undefined && this.messages.of(values)) || [];
      return { messages, label: labelOf(reply), bytes };
    } catch (error) {
      if (isNotFound(error, "checkpoint", "")) throw new Anew("missed");
      if (!(error instanceof Refused) || error.code !== "too_large") throw error;
      const label = labelOf(await this.#ask({ ...asked, keys: [] }));
      return { messages: [], label, bytes: Number(error.details.bytes ?? 0) };
    }
  }

  /** Put the rows of all runs of the thread into `order`. */
  async list(order: RunOrder): Promise<void> {
    const { graph, thread } = this;
    let cursor: string | undefined;
    do {
      const page = await this.#ask({ type: "list", what: "runs", graph, thread, cursor, limit: PAGE });
      for (const row of page.runs ?? []) order.add(row);
      cursor = page.cursor;
    } while (cursor !== undefined);
  }

  /** Send a request, again and again while the server asks to come later. */
  async #ask(asked: Asked): Promise<frames.Ok> {
    for (;;) {
      try {
        return await this.exchange.ask(asked, this.signal);
      } catch (error) {
        if (!(error instanceof Refused) || error.retry !== "after") throw error;
        const ms = error.afterMs ?? RETRY_MS;
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, ms);
          this.wake = () => {
            clearTimeout(timer);
            resolve();
          };
        });
      }
    }
  }
}

/** Tell whether the server knows nothing of this `kind`; an error that names no kind is about `unnamed`. */
export function isNotFound(error: unknown, kind: string, unnamed = kind): boolean {
  return error instanceof Refused && error.code === "not_found" && (error.details.kind ?? unnamed) === kind;
}
