/** Signing in with a token. */

import { useConnection } from "graphwire/react";
import { type FormEvent, useId, useState } from "react";
import { SERVER, signIn, useClient, useHistory } from "../client";
import { Text } from "../parts/text";

/** The page: shown when the server wants a token, or does not take the one that it got. */
export function SignIn() {
  const connection = useConnection(useClient());
  const { hasToken, connections } = useHistory();
  const [token, setToken] = useState("");
  const [isKept, setKept] = useState(false);
  const [isSeen, setSeen] = useState(false);
  const id = useId();
  const isBusy = connection.state !== "closed";
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (token.trim()) signIn(token.trim(), isKept);
  };
  return (
    <main className="gate" id="main" tabIndex={-1}>
      <form className="gate-card" onSubmit={submit}>
        <img src="./icon.svg" alt="" width="40" height="40" />
        <h1>Sign in to graphwire</h1>
        <p className="gate-soft">
          The server <code>{new URL(SERVER).host}</code> requires a token.
        </p>
        <div role="alert">
          {!isBusy && hasToken && (
            <p className="gate-refused">
              {connections > 0
                ? "Your token is no longer accepted: it has expired or was revoked."
                : "The server does not accept this token."}{" "}
              <span className="gate-soft">
                Its reason: <Text>{saidOf(connection.reason)}</Text>.
              </span>
            </p>
          )}
        </div>
        <label htmlFor={id}>Token</label>
        <div className="gate-token">
          <input
            id={id}
            className="input"
            type={isSeen ? "text" : "password"}
            autoComplete="off"
            spellCheck={false}
            required
            // biome-ignore lint/a11y/noAutofocus: it is the one thing to do on this page
            autoFocus
            value={token}
            onChange={(event) => setToken(event.target.value)}
          />
          <button type="button" className="button" aria-pressed={isSeen} onClick={() => setSeen(!isSeen)}>
            {isSeen ? "Hide" : "Show"}
          </button>
        </div>
        <label className="gate-keep">
          <input type="checkbox" checked={isKept} onChange={(event) => setKept(event.target.checked)} />
          <span>
            Keep on this device
            <small>Otherwise it is forgotten when this tab is closed.</small>
          </span>
        </label>
        <button type="submit" className="button button-main" disabled={isBusy}>
          {isBusy ? "Signing in…" : "Sign in"}
        </button>
        <p className="gate-soft gate-help">
          You get a token from the server’s operator, who sets it under <code>[auth]</code>. It is sent to
          this server only.
        </p>
      </form>
    </main>
  );
}

/** The server’s words, without what is meant for programs. */
function saidOf(reason: string): string {
  return reason.replace(/^close code \d+:? ?/, "").replace(/:.*$/s, "") || "nothing";
}
