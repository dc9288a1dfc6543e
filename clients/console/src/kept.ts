/** What this browser keeps for the console. A browser that keeps nothing, or may not, costs only the memory of it. */

/** Where to keep: `tab` until the tab is closed, `device` for good. */
export type Where = "tab" | "device";

const memory = new Map<string, string>();

function storeOf(where: Where): Storage | undefined {
  try {
    return where === "tab" ? sessionStorage : localStorage;
  } catch {
    return undefined; // a page whose storage is blocked may not even look at it
  }
}

/** Return what is kept under a name, in the tab first. */
export function kept(name: string): string | undefined {
  for (const where of ["tab", "device"] as const) {
    try {
      const value = storeOf(where)?.getItem(name);
      if (value != null) return value;
    } catch {
      // as above
    }
  }
  return memory.get(name);
}

/** Keep a text; return whether it outlives this page. */
export function keep(name: string, value: string, where: Where): boolean {
  forget(name);
  try {
    const store = storeOf(where);
    store?.setItem(name, value);
    if (store?.getItem(name) === value) return true;
  } catch {
    // full, or blocked
  }
  memory.set(name, value);
  return false;
}

/** Forget a text, wherever it is kept. */
export function forget(name: string): void {
  memory.delete(name);
  for (const where of ["tab", "device"] as const) {
    try {
      storeOf(where)?.removeItem(name);
    } catch {
      // as above
    }
  }
}
