/** An error, shown where it happened: what went wrong, where, and what to do. */

import { wordsOf } from "./problem_words";
import { Text } from "./text";
import "./problem.css";

/** The error, and a button to try again if `retry` is given. Without an error, nothing. */
export function Problem({
  error,
  retry,
}: {
  error: Error | null | undefined;
  retry?: (() => void) | undefined;
}) {
  if (!error) return null;
  const { what, todo, where } = wordsOf(error);
  return (
    <div className="problem" role="alert">
      <p>
        <Text>{what}</Text>
        {todo && <span className="problem-todo"> {todo}</span>}
      </p>
      {where.length > 0 && (
        <ul>
          {where.map(({ path, reason }) => (
            <li key={`${path} ${reason}`}>
              {path && (
                <code>
                  <Text>{path}</Text>
                </code>
              )}{" "}
              <Text>{reason}</Text>
            </li>
          ))}
        </ul>
      )}
      {retry && (
        <button type="button" className="button" onClick={retry}>
          Try again
        </button>
      )}
    </div>
  );
}
