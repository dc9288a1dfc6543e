/** The list of keys, as a dialog. */

import { Dialog } from "../parts/dialog";

const LIST: readonly (readonly [keys: string, what: string])[] = [
  ["g r", "Go to Runs"],
  ["g c", "Go to Chat"],
  ["g n", "Go to Connection"],
  ["/", "Search on this page"],
  ["?", "Show this list"],
  ["Esc", "Close a dialog or menu"],
  ["Tab", "Go to the next control"],
];

/** The list of keys. */
export function KeyList({ open, onClose }: { open: boolean; onClose: () => void }) {
  return (
    <Dialog title="Keys" open={open} onClose={onClose}>
      <dl className="keys">
        {LIST.map(([keys, what]) => (
          <div key={keys}>
            <dt>
              {keys.split(" ").map((key) => (
                <kbd key={key}>{key}</kbd>
              ))}
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
    </Dialog>
  );
}
