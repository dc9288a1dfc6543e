/**
 * Questions of a graph as parts of a message, and the answers that a user gave there.
 *
 * A question about calls of tools that the message shows is the AI SDK's tool approval: one for each call. Any other is
 * a call of the tool `interrupt`, whose input is the question and whose output is the answer.
 */

import type { DynamicToolUIPart, ToolUIPart, UIMessage, UIMessageChunk } from "ai";
import type { Interrupt } from "../events.js";
import { isObject, type JsonObject } from "../protocol/json.js";

/** The name of the tool whose calls are questions. */
export const QUESTION = "interrupt";

/** A call of a tool that has no output yet. */
export interface OpenCall {
  readonly name: string;
  readonly input: unknown;
}

/** What a user said of a call that a question is about. */
export interface Approval {
  readonly toolCallId: string;
  readonly approved: boolean;
  readonly reason: string | undefined;
}

/** Makes the answer to a question out of the approvals that were asked for. */
export type ToAnswer = (question: Interrupt, approvals: readonly Approval[]) => unknown;

type ToolPart = ToolUIPart | DynamicToolUIPart;

/** Return the parts of a message that are calls of tools. */
export const toolPartsOf = ({ parts }: UIMessage): ToolPart[] =>
  (parts as { type: string }[]).filter((part) => /^(tool-|dynamic-tool$)/.test(part.type)) as ToolPart[];

/** Return the chunks that ask a question. */
export function asked(question: Interrupt, open: ReadonlyMap<string, OpenCall>): UIMessageChunk[] {
  const { id, value, namespace, responseSchema } = question;
  const calls = callsAsked(value, open);
  if (calls)
    return calls.map(({ toolCallId, about }, index) => ({
      type: "tool-approval-request",
      approvalId: `${id}:${index}`,
      toolCallId,
      approvalDescriptor: about,
      ...(isObject(about) && typeof about.description === "string" && { reason: about.description }),
    }));
  const more = { namespace: [...namespace], ...(responseSchema && { responseSchema }) };
  return [
    {
      type: "tool-input-available",
      toolCallId: id,
      toolName: QUESTION,
      input: value,
      toolMetadata: more as never,
    },
  ];
}

/** Return the calls that a question is about; undefined unless the message shows each of them, without an output. */
function callsAsked(
  value: unknown,
  open: ReadonlyMap<string, OpenCall>,
): { toolCallId: string; about: unknown }[] | undefined {
  if (!isObject(value)) return undefined;
  const named = value.tool_call_id;
  if (typeof named === "string") return open.has(named) ? [{ toolCallId: named, about: value }] : undefined;
  const actions = actionsOf(value);
  if (!actions) return undefined;
  const left = new Map(open);
  const found = actions.flatMap((action) => {
    const same = [...left].filter(([, { name }]) => name === action.name);
    const args = JSON.stringify(action.args);
    const [toolCallId] = same.find(([, { input }]) => JSON.stringify(input) === args) ?? same[0] ?? [];
    if (toolCallId === undefined) return [];
    left.delete(toolCallId);
    return [{ toolCallId, about: action }];
  });
  return found.length === actions.length ? found : undefined;
}

/** Return the actions that LangChain's human-in-the-loop middleware asks about. */
function actionsOf(value: unknown): JsonObject[] | undefined {
  const actions = isObject(value) ? value.action_requests : undefined;
  return Array.isArray(actions) && actions.length && actions.every(isObject) ? actions : undefined;
}

/** Return the answers to `questions` that a message holds, by the questions' ids. */
export function answersIn(
  message: UIMessage,
  questions: readonly Interrupt[],
  toAnswer: ToAnswer = usualAnswer,
): { [id: string]: unknown } {
  const parts = toolPartsOf(message).reverse(); // a question may be asked again; the last one counts
  return Object.fromEntries(
    questions.flatMap((question) => {
      const own = parts.find((part) => part.toolCallId === question.id);
      if (own?.state === "output-error")
        throw new TypeError(`question ${question.id} has an error as its answer: give an output`);
      if (own?.state === "output-available") return [[question.id, own.output]];
      const approvals = approvalsIn(parts, question);
      return approvals ? [[question.id, toAnswer(question, approvals)]] : [];
    }),
  );
}

/** Return what was said of each call that a question is about; undefined until all is said. */
function approvalsIn(parts: ToolPart[], { id, value }: Interrupt): Approval[] | undefined {
  const count = actionsOf(value)?.length ?? 1;
  const approvals = Array.from({ length: count }, (_, index) => {
    const part = parts.find(({ approval }) => approval?.id === `${id}:${index}`);
    const { approved, reason } = part?.approval ?? {};
    return part && approved !== undefined ? { toolCallId: part.toolCallId, approved, reason } : undefined;
  });
  return approvals.every((approval) => approval !== undefined) ? approvals : undefined;
}

function usualAnswer({ value }: Interrupt, approvals: readonly Approval[]): unknown {
  if (!actionsOf(value)) return { approved: approvals[0]?.approved, reason: approvals[0]?.reason };
  return {
    decisions: approvals.map(({ approved, reason }) =>
      approved ? { type: "approve" } : { type: "reject", ...(reason !== undefined && { message: reason }) },
    ),
  };
}
