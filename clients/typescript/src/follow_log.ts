/** What the log of a followed run says about the thread's messages. */

import type { Event, Status } from "./events.js";
import { isTerminal } from "./follow_order.js";
import type { StateMessages } from "./follow_view.js";
import type { Message } from "./messages.js";
import type { RunRow } from "./protocol/frames.js";

/** What is known of a run from the events of its log that were read. */
export class FollowedLog {
  readonly missing: string[] = [];
  status: Status | undefined;
  /** The messages of its latest state; undefined if it did not say them. */
  values: readonly Message[] | undefined;
  /** Whether what the run was given is shown. */
  hasInput: boolean;
  readonly #hasValues: boolean;
  #steps = 0;

  constructor({ modes }: RunRow) {
    this.hasInput = this.#hasValues = modes.includes("values");
  }

  /** Take an event into account; return the messages of the root's state if it has them. */
  take(event: Event, messages: StateMessages): readonly Message[] | undefined {
    if (event.mode === "lifecycle" || event.mode === "snapshot") this.status = event.status;
    if (event.mode === "values" && !event.namespace.length) this.values = messages.of(event.data);
    else if (event.mode === "snapshot" && this.#hasValues) this.values = messages.of(event.values);
    else return undefined;
    return this.values;
  }

  /**
   * Tell whether to look for the input: a run that records no values shows it only in the thread's state.
   *
   * The state may be written a moment after the first event, so this is true at the events 1, 2, 4, 8 and so on of the
   * run's nodes until the input is found.
   */
  lacksInput({ mode }: Event): boolean {
    // These modes are of events that come from no node.
    if (this.hasInput || /^(lifecycle|interrupt|snapshot|gap)$/.test(mode)) return false;
    this.#steps += 1;
    return (this.#steps & (this.#steps - 1)) === 0;
  }

  /** Whether its terminal event, or a snapshot behind it, was read. */
  get hasEnded(): boolean {
    return isTerminal(this.status);
  }
}
