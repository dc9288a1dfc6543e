/**
 * The errors of this client.
 *
 *     GraphwireError
 *     ├── ConnectionClosed       the client is closed for good; everything that waits gets this
 *     │   └── Unauthenticated    the server refused the token, or it expired and there is no new one
 *     ├── Refused                the server refused one request, or this client did on its behalf
 *     │   └── RunLost            the server does not know a run any more, which it did before a reconnect
 *     └── RunEnded               a run ended without output
 *         ├── RunFailed          its graph raised, or the run was lost
 *         ├── RunCancelled       it was cancelled
 *         └── RunInterrupted     it waits for an answer
 *
 * A lost connection that is made again throws nothing; waits continue.
 */

import type { Failure, Interrupt } from "./events.js";
import type * as frames from "./protocol/frames.js";

/** What all errors of this client have in common. */
export class GraphwireError extends Error {
  // The names survive a bundler that shortens those of classes.
  override name = "GraphwireError";
}

/** The connection is closed for good; `code` is the WebSocket close code. */
export class ConnectionClosed extends GraphwireError {
  override name = "ConnectionClosed";
  constructor(
    readonly code: number,
    readonly reason: string,
  ) {
    super(reason);
  }
}

/** The server does not accept the token. */
export class Unauthenticated extends ConnectionClosed {
  override name = "Unauthenticated";
}

/**
 * A request was refused and had no effect.
 *
 * `code` is one of the protocol's codes; `retry` is `never`, `same`, `after`, `reauth` or `resync`. With `after`,
 * `afterMs` is how long to wait, if the server says so. `details` is data for programs.
 */
export class Refused extends GraphwireError {
  override name = "Refused";
  constructor(
    readonly code: string,
    message: string,
    readonly retry: frames.Error["retry"] = "never",
    readonly afterMs?: number,
    readonly details: { [key: string]: unknown } = {},
  ) {
    super(`${message} (${code})`);
  }
}

/**
 * The server knew `run` on an earlier connection and does not any more; `code` is `not_found`.
 *
 * Logs live in a server's memory, so a restart forgets every run. A thread lives as long as what its checkpointer writes
 * to. `graph` and `thread` are the run's, undefined if it had none or none is known.
 */
export class RunLost extends Refused {
  override name = "RunLost";
  constructor(
    readonly run: string,
    readonly graph: string | undefined,
    readonly thread: string | undefined,
  ) {
    const then = thread ? `thread ${thread} continues with another run` : "start it again";
    const message = `run ${run} is lost: the server restarted, or it was deleted; ${then}`;
    super("not_found", message, "never", undefined, { kind: "run" });
  }
}

/** The run ended without output; `run` is its id. */
export class RunEnded extends GraphwireError {
  override name = "RunEnded";
  constructor(
    readonly run: string,
    sentence: string,
  ) {
    super(`run ${run} ${sentence}`);
  }
}

/**
 * The run's graph failed.
 *
 * `code` is `graph_error`, `recursion_limit`, `timeout`, `limit_exceeded` or `lost`. `type` is the name of the
 * exception's class if the server exposes errors. `errorId` finds the rest in the server's log.
 */
export class RunFailed extends RunEnded {
  override name = "RunFailed";
  readonly code: string;
  readonly errorId: string | undefined;
  readonly type: string | undefined;
  constructor(run: string, { code, message, errorId, type }: Failure) {
    super(
      run,
      `failed with ${code}: ${type ? `${type}: ` : ""}${message}${errorId ? ` (error_id ${errorId})` : ""}`,
    );
    this.code = code;
    this.errorId = errorId;
    this.type = type;
  }
}

/** The run was cancelled; `reason` is undefined if none was given. */
export class RunCancelled extends RunEnded {
  override name = "RunCancelled";
  constructor(
    run: string,
    readonly reason: string | undefined,
  ) {
    super(run, `was cancelled${reason ? `: ${reason}` : ""}`);
  }
}

/**
 * The run waits for an answer; `interrupts` are the open questions, `[]` at a static breakpoint.
 *
 * With `isOver` it does not wait: its graph has no checkpointer, so it has ended and nobody can answer. `output` is
 * then what it had made so far.
 */
export class RunInterrupted extends RunEnded {
  override name = "RunInterrupted";
  constructor(
    run: string,
    readonly interrupts: readonly Interrupt[],
    readonly output?: unknown,
    readonly isOver = false,
  ) {
    super(
      run,
      isOver ? "asked and has ended: no checkpointer" : "is interrupted: run.respond() continues it",
    );
  }
}

/** Return the error for a frame of the server. */
export function refusedOf(error: frames.Error): Refused {
  return new Refused(error.code, error.message, error.retry, error.after_ms, error.details);
}

/** Return `callback` such that what it throws is logged and ends nothing. */
export function guarded<A extends unknown[]>(
  callback: ((...args: A) => unknown) | undefined,
): (...args: A) => void {
  return (...args) => {
    try {
      callback?.(...args);
    } catch (error) {
      console.error("graphwire: a callback threw", error);
    }
  };
}

/** Add a guarded listener to `listeners`; return a function that removes it. */
export function listen<A extends unknown[]>(
  listeners: Set<(...args: A) => void>,
  listener: (...args: A) => unknown,
): () => void {
  const careful = guarded(listener);
  listeners.add(careful);
  return () => listeners.delete(careful);
}
