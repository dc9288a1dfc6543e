/** A button that opens a menu. */

import { Menu as Base } from "@base-ui/react/menu";
import { withMarks } from "./marks";
import "./menu.css";

/** One entry; `danger` marks what cannot be undone. */
export interface MenuItem {
  readonly label: string;
  readonly onSelect: () => void;
  readonly danger?: boolean;
}

/** A button with three dots, whose name is `label`. */
export function Menu({ label: given, items }: { label: string; items: readonly MenuItem[] }) {
  const label = withMarks(given);
  return (
    <Base.Root>
      <Base.Trigger className="icon-button" aria-label={label} title={label}>
        <svg viewBox="0 0 16 16" aria-hidden="true" className="menu-dots">
          <circle cx="3" cy="8" r="1.4" />
          <circle cx="8" cy="8" r="1.4" />
          <circle cx="13" cy="8" r="1.4" />
        </svg>
      </Base.Trigger>
      <Base.Portal role="region" aria-label={label}>
        <Base.Positioner className="menu-place" sideOffset={4} align="end">
          <Base.Popup className="menu">
            {items.map((item) => (
              <Base.Item
                key={item.label}
                className={item.danger ? "menu-item menu-danger" : "menu-item"}
                onClick={item.onSelect}
              >
                {item.label}
              </Base.Item>
            ))}
          </Base.Popup>
        </Base.Positioner>
      </Base.Portal>
    </Base.Root>
  );
}
