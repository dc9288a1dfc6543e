"""LangChain's messages as types of TypeScript: what is sent and received, in place of twelve long schemas."""

from collections.abc import Mapping, Sequence
from typing import Any

MESSAGE = "Message"
MESSAGE_INPUT = "MessageInput"

_CLASSES = {
    "BaseMessage": MESSAGE,
    "BaseMessageChunk": MESSAGE,
    "HumanMessage": "HumanMessage",
    "HumanMessageChunk": "HumanMessage",
    "AIMessage": "AIMessage",
    "AIMessageChunk": "AIMessage",
    "SystemMessage": "SystemMessage",
    "SystemMessageChunk": "SystemMessage",
    "ToolMessage": "ToolMessage",
    "ToolMessageChunk": "ToolMessage",
    "FunctionMessage": "OtherMessage",
    "FunctionMessageChunk": "OtherMessage",
    "ChatMessage": "OtherMessage",
    "ChatMessageChunk": "OtherMessage",
}
_FIELDS = {"content", "type", "additional_kwargs", "response_metadata"}

NAMES = frozenset({*_CLASSES.values(), MESSAGE_INPUT, "MessageFields", "MessageContent", "ToolCall"})
"""The names that ``DECLARATIONS`` declares."""

DECLARATIONS = """\
/** What a message says: text, or blocks such as `{ type: "text", text: "hi" }`. */
export type MessageContent = string | (string | { [key: string]: unknown })[];

/** What every message may have. A field without a value is not sent. */
export interface MessageFields {
  content: MessageContent;
  id?: string | null;
  name?: string | null;
  additional_kwargs?: { [key: string]: unknown };
  response_metadata?: { [key: string]: unknown };
  [key: string]: unknown;
}

/** A call of a tool that a model asks for. */
export interface ToolCall {
  name: string;
  args: { [key: string]: unknown };
  id: string | null;
  type?: "tool_call";
}

export interface HumanMessage extends MessageFields {
  type: "human" | "HumanMessageChunk";
}

export interface AIMessage extends MessageFields {
  type: "ai" | "AIMessageChunk";
  tool_calls?: ToolCall[];
  invalid_tool_calls?: { [key: string]: unknown }[];
  usage_metadata?: {
    input_tokens: number;
    output_tokens: number;
    total_tokens: number;
    [key: string]: unknown;
  } | null;
}

export interface SystemMessage extends MessageFields {
  type: "system" | "SystemMessageChunk";
}

/** What a tool returned. */
export interface ToolMessage extends MessageFields {
  type: "tool" | "ToolMessageChunk";
  tool_call_id: string;
  status?: "success" | "error";
  artifact?: unknown;
}

export interface OtherMessage extends MessageFields {
  type: "chat" | "ChatMessageChunk" | "function" | "FunctionMessageChunk";
}

/** A message of LangChain, as a state has it; `type` tells them apart. */
export type Message = HumanMessage | AIMessage | SystemMessage | ToolMessage | OtherMessage;

/** A message as `add_messages` takes it: with `type` or `role`, as a pair, or as text of a user. */
export type MessageInput =
  | Message
  | { role: string; content: MessageContent; [key: string]: unknown }
  | { type: "remove"; id: string; content: "" }
  | [role: string, content: string]
  | string;
"""


def message_type(name: str, schema: Any) -> str | None:
    """Return the type of a definition that is one of LangChain's classes of messages; None for any other."""
    if name not in _CLASSES or not isinstance(schema, Mapping):
        return None
    properties = schema.get("properties")
    return _CLASSES[name] if isinstance(properties, Mapping) and properties.keys() >= _FIELDS else None


def one_of_messages(types: Sequence[str | None]) -> str | None:
    """Return the type of a choice between classes of messages: ``Message`` for several; None for others."""
    found = set(types)
    if None in found or not found:
        return None
    return str(types[0]) if len(found) == 1 else MESSAGE
