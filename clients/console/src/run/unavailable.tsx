/** Why a run cannot be shown. */

import { ConnectionClosed, Refused } from "graphwire";
import { hrefOf } from "../address";
import { Empty } from "../parts/empty";
import { Problem } from "../parts/problem";
import { Text } from "../parts/text";

export function Unavailable({ id, error, retry }: { id: string; error: Error; retry?: () => void }) {
  if (error instanceof Refused && error.code === "not_found")
    return (
      <div className="run-unavailable">
        <h1 className="run-hidden">Run</h1>
        <Empty title="There is no such run">
          <p>
            The server knows no run{" "}
            <code>
              <Text>{id}</Text>
            </code>{" "}
            that you may see. It was deleted, it ended longer than <code>result_ttl_s</code> ago, the server
            was restarted since (runs are kept in its memory), or it belongs to somebody else.
          </p>
          <p>
            <a href={hrefOf(["runs"])}>Go to all runs</a>
          </p>
        </Empty>
      </div>
    );
  if (error instanceof Refused && error.code === "forbidden")
    return (
      <div className="run-unavailable">
        <h1 className="run-hidden">Run</h1>
        <Empty title="You may not see this run">
          <p>
            The server refuses to show run{" "}
            <code>
              <Text>{id}</Text>
            </code>{" "}
            to the user that you are signed in as. Sign out (top right) and sign in as its owner.
          </p>
        </Empty>
      </div>
    );
  return (
    <div className="run-unavailable">
      <h1 className="run-hidden">Run</h1>
      <Problem error={error} {...(retry && !(error instanceof ConnectionClosed) && { retry })} />
    </div>
  );
}
