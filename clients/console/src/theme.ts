/** Light, dark, or as the system has it; this device keeps the choice. */

import { useSyncExternalStore } from "react";
import { forget, keep, kept } from "./kept";

/** What a person may choose. */
export const THEMES = ["system", "light", "dark"] as const;
export type Theme = (typeof THEMES)[number];

const KEPT = "graphwire.theme";
const listeners = new Set<() => void>();
let theme: Theme = THEMES.find((each) => each === kept(KEPT)) ?? "system";

/** Make the page look as chosen. */
export function applyTheme(): void {
  const { dataset } = document.documentElement;
  if (theme === "system") delete dataset.theme;
  else dataset.theme = theme;
}

/** Choose, and keep the choice. */
export function setTheme(chosen: Theme): void {
  theme = chosen;
  if (chosen === "system") forget(KEPT);
  else keep(KEPT, chosen, "device");
  applyTheme();
  for (const listener of listeners) listener();
}

/** The choice, live. */
export function useTheme(): Theme {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => theme,
  );
}
