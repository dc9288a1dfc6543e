/** The keys of the Runs page, to read. */

import { Dialog } from "../parts/dialog";
import { KEYS } from "./keys";

export function KeyList({ onClose }: { onClose: () => void }) {
  return (
    <Dialog title="Keys of this page" open onClose={onClose}>
      <dl className="keys">
        {KEYS.map(([keys, does]) => (
          <div key={keys}>
            <dt>
              <kbd>{keys}</kbd>
            </dt>
            <dd>{does}</dd>
          </div>
        ))}
      </dl>
    </Dialog>
  );
}
