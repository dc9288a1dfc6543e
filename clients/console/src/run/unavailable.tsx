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
            that you may see. Either there never was one, or it was deleted, or it ended so long ago that the
            server let it go (<code>result_ttl_s</code>), or the server started anew since (it keeps runs in
            memory unless <code>store</code> says otherwise), or it is somebody else’s.
          </p>
          <p>
            <a href={hrefOf(["runs"])}>All your runs</a>
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
            to who you are signed in as. Sign in as its owner, on the page{" "}
            <a href={hrefOf(["connection"])}>Connection</a>.
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
