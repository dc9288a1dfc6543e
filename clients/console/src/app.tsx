/** The frame around every page: navigation, the state of the connection, signing in. */

import { CSPProvider } from "@base-ui/react/csp-provider";
import { useConnection, useWatch } from "graphwire/react";
import { lazy, type ReactNode, Suspense, useEffect } from "react";
import { hrefOf, useAddress } from "./address";
import { useClient, useHistory } from "./client";
import { Banner, useConnectionWords } from "./frame/banner";
import { Boundary } from "./frame/boundary";
import { Closed } from "./frame/closed";
import { useKeyList } from "./frame/keys";
import { SignIn } from "./frame/sign_in";
import type { Words } from "./frame/words";
import { Empty } from "./parts/empty";
import "./style/frame.css";

const RunsPage = lazy(async () => ({ default: (await import("./runs/page")).RunsPage }));
const RunPage = lazy(async () => ({ default: (await import("./run/page")).RunPage }));
const ChatPage = lazy(async () => ({ default: (await import("./chat/page")).ChatPage }));
const ConnectionPage = lazy(async () => ({ default: (await import("./connection/page")).ConnectionPage }));

// Menus and dialogs are much code, which the first sight of a page does not need.
const Account = lazy(async () => ({ default: (await import("./frame/account")).Account }));

const PAGES = [
  { name: "runs", title: "Runs", icon: "M2.500 4h11M2.500 8h11M2.500 12h7" },
  { name: "chat", title: "Chat", icon: "M2.500 3.500h11v7.500h-6l-3 2.500v-2.500h-2z" },
  { name: "connection", title: "Connection", icon: "M1.500 8.500h3l2-5 3 9 2-4h3" },
] as const;

const WAITING = { status: ["interrupted" as const] };

/** The console. */
export function App() {
  return (
    <CSPProvider disableStyleElements>
      <Gate />
    </CSPProvider>
  );
}

/** Lets through who is connected, or may be again. */
function Gate() {
  const connection = useConnection(useClient());
  const { isRefused } = useHistory();
  const words = useConnectionWords();
  if (isRefused) return <SignIn />;
  if (connection.state === "closed") return <Closed words={words} />;
  return <Frame words={words} />;
}

function Frame({ words }: { words: Words }) {
  const { path } = useAddress();
  const [name = "runs", ...rest] = path;
  const shown = name === "run" ? "runs" : name;
  const waiting = useWatch(useClient(), WAITING, (watch) => watch.rows.length + watch.cut);
  const { open, list } = useKeyList();
  const title = name === "run" ? "Run" : (PAGES.find((page) => page.name === name)?.title ?? "Not found");
  useEffect(() => {
    document.title = `${waiting ? `(${waiting}) ` : ""}${title} · graphwire`;
  }, [waiting, title]);
  return (
    <>
      <button type="button" className="skip" onClick={() => document.getElementById("main")?.focus()}>
        Skip to the page
      </button>
      <header className="bar">
        <a className="bar-brand" href={hrefOf(["runs"])} aria-label="graphwire: all runs">
          <img src="./icon.svg" alt="" width="24" height="24" />
          <span>graphwire</span>
        </a>
        <nav className="bar-pages" aria-label="Pages">
          {PAGES.map((page) => (
            <a
              key={page.name}
              href={hrefOf([page.name])}
              aria-current={page.name === shown ? "page" : undefined}
            >
              <svg viewBox="0 0 16 16" aria-hidden="true">
                <path d={page.icon} />
              </svg>
              {page.title}
              {page.name === "runs" && waiting > 0 && (
                <span className="bar-badge" title={waitingText(waiting)}>
                  {waiting > 99 ? "99+" : waiting}
                  <span className="visually-hidden"> {waitingText(waiting)}</span>
                </span>
              )}
            </a>
          ))}
        </nav>
        <a className="bar-state" href={hrefOf(["connection"])} title={words.title}>
          <ConnectionDot>{words.word}</ConnectionDot>
        </a>
        <Boundary fallback={<span className="account-place" />}>
          <Suspense fallback={<span className="account-place" />}>
            <Account onKeys={open} />
          </Suspense>
        </Boundary>
      </header>
      <Banner words={words} />
      <main id="main" tabIndex={-1}>
        <Boundary key={path.join("/")}>
          <Suspense fallback={<p className="loading">Loading…</p>}>
            <Page name={name} rest={rest} />
          </Suspense>
        </Boundary>
      </main>
      <Boundary fallback={null}>{list}</Boundary>
    </>
  );
}

const waitingText = (count: number) => (count === 1 ? "run waits for an answer" : "runs wait for an answer");

function ConnectionDot({ children }: { children: ReactNode }) {
  const { state } = useConnection(useClient());
  return (
    <>
      <span className={`bar-dot bar-dot-${state}`} />
      <span className="bar-word">{children}</span>
    </>
  );
}

function Page({ name, rest: [first, second] }: { name: string; rest: readonly string[] }) {
  switch (name) {
    case "runs":
      return <RunsPage />;
    case "run":
      return first ? <RunPage key={first} id={first} /> : <RunsPage />;
    case "chat":
      return <ChatPage graph={first} thread={second} />;
    case "connection":
      return <ConnectionPage />;
    default:
      return (
        <Empty title="There is no such page">
          <p>The address may be old, or mistyped.</p>
          <a className="button" href={hrefOf(["runs"])}>
            Go to Runs
          </a>
        </Empty>
      );
  }
}
