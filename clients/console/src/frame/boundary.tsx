/** What is left of a page that failed: the frame stays, and the page can be begun again. */

import { Component, type ReactNode } from "react";
import { Problem } from "../parts/problem";

/** Catches what a page throws. Give it a `key` that changes with the page. With a `fallback`, that is all that is shown. */
export class Boundary extends Component<
  { children: ReactNode; fallback?: ReactNode },
  { error: Error | undefined }
> {
  override state: { error: Error | undefined } = { error: undefined };

  static getDerivedStateFromError(error: unknown): { error: Error } {
    return { error: error instanceof Error ? error : new Error(String(error)) };
  }

  override render(): ReactNode {
    const { error } = this.state;
    if (!error) return this.props.children;
    if (this.props.fallback !== undefined) return this.props.fallback;
    const isOutdated = /dynamically imported module|import.*failed|Failed to fetch|Unable to preload/i.test(
      error.message,
    );
    return (
      <div className="boundary">
        <h1>{isOutdated ? "This page could not be loaded" : "This page has failed"}</h1>
        <p>
          {isOutdated
            ? "The server cannot be reached, or has a newer version of the console. Reload the page."
            : "This is a bug of the console. Your runs are not affected."}
        </p>
        <Problem error={error} />
        <p>
          <button type="button" className="button button-main" onClick={() => location.reload()}>
            Reload
          </button>{" "}
          {!isOutdated && (
            <button type="button" className="button" onClick={() => this.setState({ error: undefined })}>
              Try again
            </button>
          )}
        </p>
      </div>
    );
  }
}
