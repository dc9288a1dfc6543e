/**
 * The latest status of one run, however many subscriptions and requests it is learnt from.
 *
 * Three sources arrive in any order: the events of several subscriptions, each at its own position in the log; their
 * snapshots; and the replies to `respond`. A position in the log (`seq`) decides which event is newer. A reply has
 * none, which makes pauses the hard part: see `answer()`.
 */

import type { Item } from "./event_queue.js";
import { interruptsIn, lifecycleIn } from "./event_reader.js";
import { type Failure, failureOf, type Interrupt, interruptsOf, type Status } from "./events.js";
import type * as frames from "./protocol/frames.js";

/** What is known of one run. */
export class RunTracker {
  status: Status | undefined;
  interrupts: readonly Interrupt[] = [];
  /** The highest known `seq` of the log. */
  head = 0;
  reason: string | undefined;
  failure: Failure | undefined;
  /** Pauses up to this `seq` were answered by this client; they do not end iteration. */
  answered = 0;
  /** How many `running` events there were. */
  resumed = 0;
  /** The `seq` of the latest known pause, 0 before the first. */
  pause = 0;
  #epoch: string | undefined;
  #seq = 0; // of the newest event that was taken into account
  readonly #answeredIds = new Set<string>();
  #answeredBreakpoints = 0; // answered here before their pause arrived

  /** Take a frame into account, as it arrives. */
  update({ frame, epoch }: Item): void {
    if (frame.type === "closed" && frame.reason === "end") this.status = frame.status;
    if (frame.type !== "event" && frame.type !== "snapshot") return;
    if (epoch !== this.#epoch) {
      this.#epoch = epoch;
      this.#seq = this.head = this.pause = this.answered = 0;
    }
    this.head = Math.max(this.head, frame.seq);
    if (frame.seq < this.#seq) return; // from a subscription that is behind another
    if (frame.type === "snapshot") {
      this.#seq = frame.seq;
      this.status = frame.status;
      this.interrupts = interruptsOf(frame.interrupts);
      if (frame.status === "interrupted") this.#updatePause(frame.seq);
    } else if (frame.mode === "lifecycle") this.#updateStatus(frame);
    else if (frame.mode === "interrupt") {
      const interrupts = interruptsIn(frame.data);
      if (!interrupts) return;
      this.interrupts = interrupts;
      this.#seq = frame.seq;
    }
  }

  #updateStatus(frame: frames.Event): void {
    const life = lifecycleIn(frame.data);
    if (!life) return; // a status that this version does not know
    this.#seq = frame.seq;
    this.status = life.status;
    this.reason = life.reason;
    this.failure = failureOf(life.error);
    if (life.status === "interrupted") {
      this.#updatePause(frame.seq);
      return;
    }
    this.interrupts = [];
    if (life.status !== "running") return;
    this.resumed += 1;
    this.#answeredBreakpoints = 0; // their pauses lie before this event
  }

  #updatePause(seq: number): void {
    if (seq > this.pause) {
      this.pause = seq;
      if (this.#asksAnswered()) this.answered = seq;
      else if (this.#answeredBreakpoints && !this.interrupts.length) {
        this.#answeredBreakpoints -= 1;
        this.answered = seq;
      }
    }
    this.#settle(seq);
  }

  #asksAnswered(): boolean {
    return this.interrupts.some(({ id }) => this.#answeredIds.has(id));
  }

  #settle(pause: number): void {
    if (pause > this.answered) return;
    this.status = "running";
    this.interrupts = [];
  }

  /**
   * Take into account that the server accepted the answers to `interrupts` and resumed the run.
   *
   * `interrupts` are ids, none for a breakpoint. `pause` is the `seq` of the pause that was known when the answers
   * were sent, undefined if none was; `resumed` is the count at that time. Both are needed since the reply may arrive
   * before the events of the answered pause, or after those of the next one.
   */
  answer(interrupts: readonly string[], pause: number | undefined, resumed: number): void {
    for (const id of interrupts) this.#answeredIds.add(id);
    if (pause !== undefined) this.answered = Math.max(this.answered, pause);
    else if (this.resumed !== resumed) {
      // the run has passed that pause
    } else if (
      this.status === "interrupted" &&
      (this.#asksAnswered() || !(this.interrupts.length || interrupts.length))
    )
      this.answered = this.pause;
    else if (!interrupts.length) this.#answeredBreakpoints += 1;
    if (this.status === "interrupted") this.#settle(this.pause);
  }
}
