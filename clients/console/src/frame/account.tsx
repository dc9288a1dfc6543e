/** Who is signed in, how the page looks, its keys, and signing out. */

import { Menu } from "@base-ui/react/menu";
import { signOut, useClient, useHistory } from "../client";
import { Text } from "../parts/text";
import "../parts/menu.css";
import { setTheme, THEMES, type Theme, useTheme } from "../theme";

const NAMES: { readonly [theme in Theme]: string } = {
  system: "Same as system",
  light: "Light",
  dark: "Dark",
};

/** The menu at the end of the bar. */
export function Account({ onKeys }: { onKeys: () => void }) {
  const { server } = useClient();
  const { hasToken } = useHistory();
  const theme = useTheme();
  const principal = server?.principal;
  return (
    <Menu.Root>
      <Menu.Trigger className="icon-button account" aria-label="Account and settings">
        <svg viewBox="0 0 16 16" aria-hidden="true">
          <circle cx="8" cy="5.5" r="2.7" />
          <path d="M2.8 13.6c.6-2.7 2.6-4 5.2-4s4.600 1.300 5.200 4" />
        </svg>
      </Menu.Trigger>
      <Menu.Portal role="region" aria-label="Menu">
        <Menu.Positioner className="menu-place" sideOffset={6} align="end">
          <Menu.Popup className="menu">
            <Menu.Group>
              <Menu.GroupLabel className="menu-label">
                {principal === undefined ? (
                  "Not connected"
                ) : (
                  <>
                    Signed in as{" "}
                    <strong>
                      <Text>{principal}</Text>
                    </strong>
                  </>
                )}
              </Menu.GroupLabel>
              {hasToken && (
                <Menu.Item className="menu-item" onClick={signOut}>
                  Sign out
                </Menu.Item>
              )}
            </Menu.Group>
            <Menu.RadioGroup value={theme} onValueChange={(chosen) => setTheme(chosen as Theme)}>
              <Menu.GroupLabel className="menu-label">Colours</Menu.GroupLabel>
              {THEMES.map((each) => (
                <Menu.RadioItem key={each} value={each} className="menu-item menu-check" closeOnClick={false}>
                  <Menu.RadioItemIndicator className="menu-tick">✓</Menu.RadioItemIndicator>
                  {NAMES[each]}
                </Menu.RadioItem>
              ))}
            </Menu.RadioGroup>
            <Menu.Item className="menu-item" onClick={onKeys}>
              Keys <kbd>?</kbd>
            </Menu.Item>
          </Menu.Popup>
        </Menu.Positioner>
      </Menu.Portal>
    </Menu.Root>
  );
}
