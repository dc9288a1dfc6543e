/** Where a thread branches: the checkpoint before a message, to say something else there or to hear another answer. */

import type { Client, Message, RunRow } from "graphwire";
import { roleOf } from "../parts/messages_parts";
import { MESSAGES } from "./graph_kind";

type Fields = { readonly [key: string]: unknown };

const isFields = (value: unknown): value is Fields => typeof value === "object" && value !== null;

/** What this file needs of a client. */
export type Historian = Pick<Client, "stateHistory">;

/** A message that the thread holds is in no state of its history before which there is another. */
export class NoCheckpoint extends Error {
  override name = "NoCheckpoint";
}

/**
 * Return the checkpoint of a thread in which the message with this id is not said yet.
 *
 * The console's runs name their message, and a row names the checkpoint that its run began from. For other messages
 * the history is read, from the newest state up the branch that the thread is on.
 */
export async function checkpointBefore(
  client: Historian,
  graph: string,
  thread: string,
  message: string,
  rows: readonly RunRow[] = [],
): Promise<string> {
  const row = rows.find(({ metadata, checkpoint }) => metadata.message === message && checkpoint);
  if (row?.checkpoint) return row.checkpoint;
  let parent: unknown;
  for await (const state of client.stateHistory(graph, thread, { keys: [MESSAGES] })) {
    if (parent !== undefined && state.checkpoint !== parent) continue; // of another branch
    const said = isFields(state.values) ? state.values[MESSAGES] : undefined;
    const isSaid = Array.isArray(said) && said.some((item) => isFields(item) && item.id === message);
    if (!isSaid && parent !== undefined && state.checkpoint !== undefined) return state.checkpoint;
    if (!isSaid) throw new NoCheckpoint("The thread's latest state does not hold this message any more.");
    const above = state.parentConfig?.configurable;
    parent = isFields(above) ? above.checkpoint_id : undefined;
    if (parent === undefined) break;
  }
  throw new NoCheckpoint(
    "The server keeps no checkpoint from before this message, so nothing can branch there. Say it anew at the end instead.",
  );
}

/** Return the person's message that `message` answers: the last one before it. */
export function saidBefore(messages: readonly Message[], message: Message): Message | undefined {
  const at = messages.indexOf(message);
  return at < 0 ? undefined : messages.slice(0, at).findLast((each) => roleOf(each) === "human");
}

/** Tell whether a message ends a turn of the graph: only people's follow, or none. */
export function endsTurn(messages: readonly Message[], message: Message): boolean {
  const at = messages.indexOf(message);
  const next = messages[at + 1];
  return at >= 0 && (next === undefined || roleOf(next) === "human");
}

/** Return a person's message as an input of a graph, under the same id; with `text`, with another text. */
export function inputOf({ fields, content, id }: Message, text?: string): { [key: string]: unknown } {
  const { name, additional_kwargs: more } = fields;
  return {
    type: "human",
    id,
    content: text === undefined || typeof content === "string" ? (text ?? content) : edited(content, text),
    ...(typeof name === "string" && { name }),
    ...(isFields(more) && Object.keys(more).length && { additional_kwargs: more }),
  };
}

/** Files of an edited message stay; its texts become one. */
function edited(content: readonly unknown[], text: string): readonly unknown[] {
  const isText = (block: unknown) =>
    typeof block === "string" || (isFields(block) && (block.type ?? "text") === "text");
  return [{ type: "text", text }, ...content.filter((block) => !isText(block))];
}
