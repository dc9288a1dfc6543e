/** A question that a graph asks, taken apart: what is asked, and what else there is to know. */

import { isSchema, type Schema } from "./schema";

/** `asked` is a sentence, if the value has one; `rest` is what stands beside it. */
export interface Asked {
  readonly asked: string | undefined;
  readonly rest: readonly (readonly [key: string, value: unknown])[];
  /** A value without names: a list, a number. */
  readonly whole: unknown;
}

/** The keys by which graphs name what they ask, the likeliest first. */
const SENTENCES = ["question", "message", "prompt", "text", "instruction", "description", "title"];

/** Return what the value of an interrupt asks. */
export function askedOf(value: unknown): Asked {
  if (typeof value === "string") return { asked: value, rest: [], whole: undefined };
  if (
    !isSchema(value) ||
    value instanceof Map ||
    value instanceof Set ||
    value instanceof Uint8Array ||
    "$cut" in value
  )
    return { asked: undefined, rest: [], whole: value };
  const key = SENTENCES.find((name) => typeof value[name] === "string" && value[name] !== "");
  const rest = Object.entries(value).filter(([name]) => name !== key);
  return { asked: key === undefined ? undefined : String(value[key]), rest, whole: undefined };
}

/** How the schema of an answer is answered: by a button for each value, or by a form; without a schema, freely. */
export type Way =
  | { readonly kind: "buttons"; readonly choices: readonly unknown[] }
  | { readonly kind: "form"; readonly schema: Schema }
  | { readonly kind: "free" };

/** The most choices that get a button each. */
export const MAX_BUTTONS = 6;
