"""JSON inputs become what a graph takes: LangChain's messages from flat objects."""

from typing import Any

from langchain_core import messages
from langchain_core.messages import BaseMessage
from pydantic import ValidationError

_CLASSES: dict[str, type[BaseMessage]] = {
    "human": messages.HumanMessage,
    "ai": messages.AIMessage,
    "system": messages.SystemMessage,
    "tool": messages.ToolMessage,
    "function": messages.FunctionMessage,
    "chat": messages.ChatMessage,
    "remove": messages.RemoveMessage,
    "HumanMessageChunk": messages.HumanMessageChunk,
    "AIMessageChunk": messages.AIMessageChunk,
    "SystemMessageChunk": messages.SystemMessageChunk,
    "ToolMessageChunk": messages.ToolMessageChunk,
    "FunctionMessageChunk": messages.FunctionMessageChunk,
    "ChatMessageChunk": messages.ChatMessageChunk,
}


def message_of(fields: dict[str, Any]) -> BaseMessage:
    """Return the message of flat fields. Raises ``ValueError`` for fields that make none."""
    cls = _CLASSES.get(fields["type"])
    if cls is None:
        raise ValueError("no message of that type")
    rest = {name: value for name, value in fields.items() if name != "type"}
    if cls is messages.RemoveMessage:
        rest.pop("content", None)
    try:
        return cls(**rest)
    except (ValidationError, TypeError, KeyError) as error:  # ToolMessage looks for its tool_call_id itself
        raise ValueError(f"not a valid {cls.__name__}") from error
