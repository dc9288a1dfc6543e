/** The page Connection: how the one WebSocket of this page fares, and what the server is. */

import { VERSION } from "graphwire";
import { useConnection } from "graphwire/react";
import { type ReactNode, useEffect, useState } from "react";
import { hrefOf } from "../address";
import { type Change, SERVER, useClient, useHistory } from "../client";
import { measure, roundTrips, traffic } from "../counted";
import { useConnectionWords } from "../frame/banner";
import { Copy } from "../parts/copy";
import { Elapsed } from "../parts/elapsed";
import { sizeText } from "../parts/json_value";
import { Text } from "../parts/text";
import { Chart } from "./chart";
import { limitsOf } from "./limits";
import "./connection.css";

const EVERY_MS = 1000;
/** A round trip that takes longer is shown as one without an answer so far. */
const PATIENCE_MS = 3000;
const MEASURED_EVERY = 2;

/** What an event outlives once somebody has seen it. */
const DURABILITY: { readonly [kind: string]: string } = {
  none: "nothing: a restart of the server loses them",
  crash: "a crash of the server",
  power: "a loss of power",
};
const FEATURES: { readonly [name: string]: string } = {
  watch: "live lists of runs",
  patch: "states as differences",
  state: "states of threads",
  threads: "titles and lists of threads",
};

/** Count on once a second, and measure a round trip every other second, while the page is seen. */
function useTick(): number {
  const [tick, setTick] = useState(0);
  useEffect(() => {
    measure();
    let count = 0;
    const timer = setInterval(() => {
      if (document.visibilityState === "hidden") return;
      if (++count % MEASURED_EVERY === 0) measure();
      setTick(count);
    }, EVERY_MS);
    return () => clearInterval(timer);
  }, []);
  return tick;
}

/** The page. */
export function ConnectionPage() {
  useTick();
  const client = useClient();
  const connection = useConnection(client);
  const { connections, changes } = useHistory();
  const words = useConnectionWords();
  const counts = traffic();
  const trips = roundTrips();
  const answered = trips.flatMap(({ ms }) => (ms === undefined ? [] : [ms]));
  const since = sinceWhen(changes);
  const lag = client.subscriptions.reduce((sum, { held = 0 }) => sum + held, 0);
  return (
    <div className="conn">
      <header className="conn-head">
        <h1>Connection</h1>
        <p>
          <span className={`bar-dot bar-dot-${connection.state}`} /> {words.title}{" "}
          {since !== undefined && (
            <span className="conn-soft">
              for <Elapsed from={new Date(since).toISOString()} />
            </span>
          )}
        </p>
        <p className="conn-soft">
          The console uses one WebSocket, <code>{SERVER}</code>.{" "}
          <Copy text={SERVER} label="Copy the address" />
        </p>
      </header>

      <section className="conn-card conn-wide" aria-labelledby="conn-trip">
        <h2 id="conn-trip">Round trip</h2>
        <div className="conn-trip">
          <dl className="conn-numbers">
            <Figure name="Latest" value={answered.length ? msText(answered.at(-1) ?? 0) : "–"} isBig />
            <Figure name="Median" value={answered.length ? msText(quantile(answered, 0.5)) : "–"} />
            <Figure name="95% within" value={answered.length ? msText(quantile(answered, 0.95)) : "–"} />
          </dl>
          <Chart
            trips={trips.filter(({ at, ms }) => ms !== undefined || performance.now() - at > PATIENCE_MS)}
          />
        </div>
        <p className="conn-soft">
          From this page to the server and back, measured every two seconds while this page is visible.
        </p>
      </section>

      <section className="conn-card" aria-labelledby="conn-traffic">
        <h2 id="conn-traffic">Since this page was loaded</h2>
        <dl className="conn-list">
          <Row
            name="Messages in"
            value={counts.messagesIn.toLocaleString("en")}
            about="one message may hold many events"
          />
          <Row name="Bytes in" value={sizeText(counts.bytesIn)} />
          <Row name="Messages out" value={counts.messagesOut.toLocaleString("en")} />
          <Row name="Bytes out" value={sizeText(counts.bytesOut)} />
          <Row
            name="Reconnects"
            value={String(Math.max(0, connections - 1))}
            about="subscriptions continued where they were"
          />
          <Row name="Gaps" value={String(counts.gaps)} about="events dropped before they were sent" />
          <Row name="Snapshots" value={String(counts.snapshots)} about="states in place of events" />
          <Row name="Gaps healed" value={String(counts.heals)} about="snapshots that closed a gap" />
          <Row name="Lag" value={eventsText(lag)} about="received, and not handled by a page yet" />
        </dl>
      </section>

      <Server />
      <Subscriptions />
      <Log />
      <Limits />
    </div>
  );
}

function Server() {
  const { server } = useClient();
  if (!server)
    return (
      <section className="conn-card" aria-labelledby="conn-server">
        <h2 id="conn-server">Server</h2>
        <p className="conn-soft">Known once the page is connected.</p>
      </section>
    );
  const { principal, expires_at, durability, features, minor } = server;
  return (
    <section className="conn-card" aria-labelledby="conn-server">
      <h2 id="conn-server">Server and you</h2>
      <dl className="conn-list">
        <Row
          name="You are"
          value={<Text>{principal}</Text>}
          about={
            principal === "anonymous"
              ? "the server does not ask for tokens"
              : "the user to whom your runs and threads belong"
          }
        />
        {expires_at !== undefined && (
          <Row
            name="Signed in until"
            value={new Date(expires_at).toLocaleString()}
            about="then the server asks for a new token"
          />
        )}
        <Row name="Server" value={<Text>{`${server.server.name} ${server.server.version}`}</Text>} />
        <Row name="Protocol" value={`1.${minor}`} about="minor versions only add to it" />
        <Row name="This page’s client" value={`graphwire ${VERSION}`} />
        <Row name="Runs survive" value={DURABILITY[durability] ?? durability} />
        <Row
          name="Features"
          value={<Text>{features.map((each) => FEATURES[each] ?? each).join(", ") || "none"}</Text>}
        />
      </dl>
    </section>
  );
}

const eventsText = (count: number) => (count === 1 ? "1 event" : `${count.toLocaleString("en")} events`);

const SHOWN_SUBSCRIPTIONS = 50;

function Subscriptions() {
  const client = useClient();
  const now = client.subscriptions.filter((each) => each.window !== undefined);
  // A page that was just left still reads; it stops a second later, and stays here as it was.
  const [seen] = useState(now);
  const left = seen.filter(({ run }) => !now.some((each) => each.run === run));
  const all = [
    ...now.map((each) => ({ ...each, isOpen: true })),
    ...left.map((each) => ({ ...each, isOpen: false })),
  ];
  return (
    <section className="conn-card conn-wide" aria-labelledby="conn-subs">
      <h2 id="conn-subs">
        Subscriptions <span className="conn-soft">{now.length} open</span>
      </h2>
      {all.length === 0 ? (
        <p className="conn-soft">
          No subscriptions. Open a run or a chat and come back: a subscription ends a second after its page is
          left.
        </p>
      ) : (
        <div className="conn-scroll">
          <table>
            <thead>
              <tr>
                <th scope="col">Run</th>
                <th scope="col">State</th>
                <th scope="col">At event</th>
                <th scope="col">Lag and credit</th>
              </tr>
            </thead>
            <tbody>
              {all
                .slice(0, SHOWN_SUBSCRIPTIONS)
                .map(({ run, isLive, isOpen, seq, held = 0, window = 1 }, index) => (
                  <tr key={`${run} ${index}`}>
                    <td>
                      <a href={hrefOf(["run", run])}>
                        <Text>{run}</Text>
                      </a>
                    </td>
                    <td>{!isOpen ? "ended" : isLive ? "live" : "catching up"}</td>
                    <td className="conn-number">{seq?.toLocaleString("en") ?? "–"}</td>
                    <td>
                      <meter
                        min={0}
                        max={window}
                        high={window * 0.9}
                        value={held}
                        aria-label={`${held} of ${window} events wait here`}
                      />{" "}
                      {held} waiting, credit for {window - held} more
                    </td>
                  </tr>
                ))}
            </tbody>
          </table>
          {all.length > SHOWN_SUBSCRIPTIONS && (
            <p className="conn-soft">… and {all.length - SHOWN_SUBSCRIPTIONS} more</p>
          )}
        </div>
      )}
      <p className="conn-soft">
        The server sends at most as many events as a subscription has credit for, so a slow page does not slow
        down others.
      </p>
    </section>
  );
}

const SHOWN_CHANGES = 8;

function Log() {
  const { changes } = useHistory();
  const [isWhole, setWhole] = useState(false);
  const latest = [...changes].reverse();
  return (
    <section className="conn-card conn-wide" aria-labelledby="conn-log">
      <h2 id="conn-log">History</h2>
      <ol className="conn-log">
        {latest.slice(0, isWhole ? undefined : SHOWN_CHANGES).map(({ at, connection }, index) => (
          <li key={`${at} ${changes.length - index}`}>
            <time dateTime={new Date(at).toISOString()}>{new Date(at).toLocaleTimeString()}</time>
            <span className={`bar-dot bar-dot-${connection.state}`} />
            <span>
              {connection.state}
              {!/^(start|welcome)$/.test(connection.reason) && (
                <span className="conn-soft">
                  {" "}
                  <Text>{connection.reason}</Text>
                </span>
              )}
            </span>
          </li>
        ))}
      </ol>
      {!isWhole && latest.length > SHOWN_CHANGES && (
        <button type="button" className="link-button" onClick={() => setWhole(true)}>
          Show the latest {latest.length}
        </button>
      )}
    </section>
  );
}

function Limits() {
  const { server } = useClient();
  if (!server) return null;
  return (
    <section className="conn-card conn-wide" aria-labelledby="conn-limits">
      <h2 id="conn-limits">Limits of the server</h2>
      <p className="conn-soft">
        Set by the server’s operator under <code>[limits]</code>, by the names below.
      </p>
      <div className="conn-limits">
        {limitsOf(server.limits).map(({ title, limits }) => (
          <div key={title}>
            <h3>{title}</h3>
            <dl className="conn-list">
              {limits.map(({ name, label, value }) => (
                <Row key={name} name={label} value={value} about={name === label ? undefined : name} />
              ))}
            </dl>
          </div>
        ))}
      </div>
    </section>
  );
}

function Row({ name, value, about }: { name: string; value: ReactNode; about?: string | undefined }) {
  return (
    <div>
      <dt>
        {name}
        {about && <small>{about}</small>}
      </dt>
      <dd>{value}</dd>
    </div>
  );
}

function Figure({ name, value, isBig = false }: { name: string; value: string; isBig?: boolean }) {
  return (
    <div className={isBig ? "conn-big" : undefined}>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}

const msText = (ms: number) => `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;

/** Return when the connection began to be there, or to be away: an attempt in between is no change of that. */
export function sinceWhen(changes: readonly Change[]): number | undefined {
  const isThere = (change: Change | undefined) => change?.connection.state === "connected";
  const last = changes.at(-1);
  const before = changes.findLastIndex((change) => isThere(change) !== isThere(last));
  return changes[before + 1]?.at;
}

/** Return the value below which this share of the values lies. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}
