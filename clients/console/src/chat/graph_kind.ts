/** What a graph takes: a conversation, or an input with fields of its own; with threads or without. */

import type { frames } from "graphwire";

export type Schema = { readonly [key: string]: unknown };

const isSchema = (value: unknown): value is Schema =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Return the schema that the whole of `schema` refers to, with the definitions beside it. */
function resolved(schema: Schema | undefined): Schema {
  const { $ref, $defs } = schema ?? {};
  if (typeof $ref !== "string" || !isSchema($defs)) return schema ?? {};
  const found = $defs[$ref.replace(/^#\/\$defs\//, "")];
  return isSchema(found) ? { ...found, $defs } : {};
}

/** The key of the messages, in a graph's input and in its state. */
export const MESSAGES = "messages";

/** Tell whether one talks to the graph: its input takes `messages`. */
export function isConversation({ input_schema }: Pick<frames.GraphRow, "input_schema">): boolean {
  const { properties } = resolved(input_schema);
  return isSchema(properties) && MESSAGES in properties;
}

/** Tell whether the graph keeps threads: only with a checkpointer can it stream checkpoints. */
export function takesThreads({ modes }: Pick<frames.GraphRow, "modes">): boolean {
  return modes.includes("checkpoints");
}

/** Return the schema of the input, for a form. */
export function inputSchema({ input_schema }: Pick<frames.GraphRow, "input_schema">): Schema {
  return resolved(input_schema);
}

/** Return what a conversation takes beside its messages; undefined if that is nothing. */
export function othersSchema(graph: Pick<frames.GraphRow, "input_schema">): Schema | undefined {
  const { properties, required, ...more } = resolved(graph.input_schema);
  if (!isSchema(properties)) return undefined;
  const { [MESSAGES]: _, ...others } = properties;
  if (!Object.keys(others).length) return undefined;
  const needed = Array.isArray(required) ? required.filter((name) => name !== MESSAGES) : [];
  return { ...more, properties: others, required: needed };
}

/** Tell whether an input without the other fields would lack something. */
export function isNeeded(others: Schema | undefined): boolean {
  return Array.isArray(others?.required) && others.required.length > 0;
}

/** What the console records of its runs, so that their pages show all of it. */
export function recordOf({ modes }: Pick<frames.GraphRow, "modes">): frames.RecordOptions {
  const wanted = ["values", "updates", "messages", "custom", "tasks"] as const;
  return { modes: wanted.filter((mode) => modes.includes(mode)), subgraphs: true } as frames.RecordOptions;
}

const LONGEST_TITLE = 60;

/** Return the first words of what was said, as a title. */
export function titleOf(text: string): string {
  const line = text.trim().split("\n", 1)[0]?.replace(/\s+/g, " ").trim() ?? "";
  if (line.length <= LONGEST_TITLE) return line;
  const cut = line.slice(0, LONGEST_TITLE);
  const space = cut.lastIndexOf(" ");
  return `${space > LONGEST_TITLE / 2 ? cut.slice(0, space) : cut}…`;
}

/** Return a name for a new thread: short, and of letters that no address has to encode. */
export function newThread(): string {
  return crypto.randomUUID().slice(0, 18);
}
