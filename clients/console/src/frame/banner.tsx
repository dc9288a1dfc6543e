/** What is said across the page: there is no connection, or a newer console; polite, and only when it changes. */

import { useConnection } from "graphwire/react";
import { useEffect, useState } from "react";
import { tryNow, useClient, useHistory } from "../client";
import { traffic } from "../counted";
import { useOutdated } from "./version";
import { connectionWords, type Health, recentHealth, type Words } from "./words";

/** A lost connection is often back before anybody has noticed. */
const PATIENCE_MS = 600;

/** The state of the connection in words, live. */
export function useConnectionWords(): Words {
  const connection = useConnection(useClient());
  const { connections } = useHistory();
  const [health, setHealth] = useState<Health>();
  const isWaiting = connection.state === "waiting";
  useEffect(() => {
    if (connection.state === "connected") setHealth(undefined);
    if (!isWaiting) return;
    let isLeft = false;
    void recentHealth().then((found) => isLeft || setHealth(found));
    return () => {
      isLeft = true;
    };
  }, [connection, isWaiting]);
  const { isDraining } = traffic();
  const known = { wasConnected: connections > 0, isDraining, health, origin: location.origin };
  return connectionWords(connection, known);
}

/** The banner: nothing while all is well. */
export function Banner({ words: { title, now, todo } }: { words: Words }) {
  const { state } = useConnection(useClient());
  const isOutdated = useOutdated(useHistory().connections);
  const isLost = state === "waiting" || state === "connecting";
  const [isShown, setShown] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setShown(isLost), isLost ? PATIENCE_MS : 0);
    return () => clearTimeout(timer);
  }, [isLost]);
  return (
    <div role="status" className="banner-place">
      {isShown && isLost && (
        <div className="banner">
          <span className="banner-text">
            <strong>{title}</strong> {now} {todo}
          </span>
          <button type="button" className="button" onClick={tryNow} disabled={state !== "waiting"}>
            <Countdown />
          </button>
        </div>
      )}
      {isOutdated && !isLost && (
        <div className="banner banner-news">
          <span className="banner-text">
            <strong>The server has a newer version of this page.</strong> Reload to use it. Until then, parts
            of this tab may fail to open.
          </span>
          <button type="button" className="button" onClick={() => location.reload()}>
            Reload
          </button>
        </div>
      )}
    </div>
  );
}

/** “Try now”, and how long until it happens by itself; the number is not read out each second. */
function Countdown() {
  const { changes } = useHistory();
  const last = changes.at(-1);
  const until = last?.connection.state === "waiting" ? last.at + last.connection.retryMs : undefined;
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 500);
    return () => clearInterval(timer);
  }, []);
  if (until === undefined) return <>Connecting…</>;
  const left = Math.ceil((until - now) / 1000);
  return (
    <>
      Try now{" "}
      {left > 0 && (
        <span className="banner-count" aria-hidden="true">
          {left} s
        </span>
      )}
    </>
  );
}
