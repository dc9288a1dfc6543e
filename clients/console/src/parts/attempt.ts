/** Something that a person asked for, and whether it worked. */

import { useCallback, useEffect, useRef, useState } from "react";

/** What a button needs to know of what it started. */
export interface Attempt {
  /** Wait for `promise`; return whether it succeeded. It never throws: what went wrong is `problem`. */
  readonly attempt: (promise: Promise<unknown>) => Promise<boolean>;
  /** Why the latest attempt failed; undefined while there is none, and once the next one begins. */
  readonly problem: Error | undefined;
  readonly busy: boolean;
}

/** Follow the attempts of one component. Of several at once the latest decides. */
export function useAttempt(): Attempt {
  const [state, setState] = useState<{ problem: Error | undefined; busy: boolean }>(IDLE);
  const latest = useRef<Promise<unknown> | undefined>(undefined);
  useEffect(() => {
    return () => {
      latest.current = undefined;
    };
  }, []);
  const attempt = useCallback(async (promise: Promise<unknown>) => {
    latest.current = promise;
    setState({ problem: undefined, busy: true });
    try {
      await promise;
      if (latest.current === promise) setState(IDLE);
      return true;
    } catch (error) {
      const problem = error instanceof Error ? error : new Error(String(error));
      if (latest.current === promise) setState({ problem, busy: false });
      return false;
    }
  }, []);
  return { attempt, ...state };
}

const IDLE = { problem: undefined, busy: false };
