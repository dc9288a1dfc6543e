"""Chat messages in the state: `add_messages`, the reducer that merges them, and `MessagesState`.

`tokens` streams what models say; `step.push` has the messages that a node at work pushes.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Sequence
from functools import partial
from typing import Annotated, Any, Literal, overload

from langchain_core.messages import (
    AnyMessage,
    BaseMessage,
    BaseMessageChunk,
    MessageLikeRepresentation,
    RemoveMessage,
    convert_to_messages,
    convert_to_openai_messages,
    message_chunk_to_message,
)
from typing_extensions import TypedDict

from graphwire_runtime.clock import fresh_id

__all__ = ["REMOVE_ALL_MESSAGES", "MessagesState", "add_messages", "give_ids", "listed", "merges_messages"]

REMOVE_ALL_MESSAGES = "__remove_all__"
"""The id of a RemoveMessage that removes all messages before it."""

Messages = list[MessageLikeRepresentation] | MessageLikeRepresentation
Format = Literal["langchain-openai"]


@overload
def add_messages(left: Messages, right: Messages, *, format: Format | None = None) -> list[BaseMessage]: ...


@overload
def add_messages(*, format: Format | None = None) -> Callable[[Messages, Messages], list[BaseMessage]]: ...


def add_messages(
    left: Messages | None = None, right: Messages | None = None, *, format: Format | None = None
) -> Any:
    """Merge two lists of messages by id: the reducer of `MessagesState`.

    A message of `right` replaces the message with the same id, or is appended if there is none. A
    `RemoveMessage` removes the message with its id. Tuples, dicts and strings become messages; a single
    message counts as a list of one; a message without an id gets one.

    Args:
        left: the messages so far.
        right: the update.
        format: "langchain-openai" gives the content of all messages the blocks of OpenAI's messages, and each
            result of a tool a message of its own.

    Called without messages, as in `Annotated[list, add_messages(format="langchain-openai")]`, it returns the
    reducer with this format.

    Raises ValueError for a RemoveMessage whose id is not in the list, for an unknown format, and if only one
    of the two lists is given.
    """
    if format not in (None, "langchain-openai"):
        raise ValueError(f"the format of add_messages is None or 'langchain-openai', got {format!r}")
    if left is None and right is None:
        return partial(_merged, format=format)
    if left is None or right is None:
        raise ValueError(f"add_messages merges two lists, and {'left' if left is None else 'right'} is None")
    return _by_id(left, right) if format is None else _merged(left, right, format=format)


def merges_messages(reducer: Any) -> bool:
    """Whether a reducer of a state key is `add_messages`, in whatever format."""
    return getattr(reducer, "func", reducer) in (add_messages, _merged)


def _merged(left: Messages, right: Messages, *, format: Format | None) -> list[BaseMessage]:
    merged = _by_id(left, right)
    if format is None:
        return merged
    return convert_to_messages(convert_to_openai_messages(merged, include_id=True))


def _by_id(left: Messages, right: Messages) -> list[BaseMessage]:
    merged = _as_messages(left)
    new = _as_messages(right)
    for last in range(len(new) - 1, -1, -1):
        if isinstance(new[last], RemoveMessage) and new[last].id == REMOVE_ALL_MESSAGES:
            return new[last + 1 :]
    position = {message.id: index for index, message in enumerate(merged)}
    removed: set[str | None] = set()
    for message in new:
        index = position.get(message.id)
        if isinstance(message, RemoveMessage):
            if index is None:
                raise ValueError(
                    f"RemoveMessage names the id {message.id!r}, "
                    f"and no message of the {len(merged)} in the list has it"
                )
            removed.add(message.id)
        elif index is None:
            position[message.id] = len(merged)
            merged.append(message)
        else:
            removed.discard(message.id)
            merged[index] = message
    return [message for message in merged if message.id not in removed] if removed else merged


def _as_messages(value: Messages) -> list[BaseMessage]:
    messages = convert_to_messages(value if isinstance(value, list) else [value])
    result: list[BaseMessage] = []
    for message in messages:
        if isinstance(message, BaseMessageChunk):
            message = message_chunk_to_message(message)
        if message.id is None:
            message.id = fresh_id()
        result.append(message)
    return result


def give_ids(pairs: Iterable[tuple[str, Any]], keys: Container[str]) -> None:
    """Give ids to the messages without one in writes to these keys, so that all who see them see the same."""
    for key, value in pairs:
        if key in keys:
            for message in listed(value):
                if message.id is None:
                    message.id = fresh_id()


def listed(value: Any) -> Iterable[BaseMessage]:
    """The messages in a value of the state: itself, or those in a list."""
    if isinstance(value, BaseMessage):
        return (value,)
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return [item for item in value if isinstance(item, BaseMessage)]
    return ()


class MessagesState(TypedDict):
    """A state with one key, `messages`, merged by `add_messages`; derive from it to add more."""

    messages: Annotated[list[AnyMessage], add_messages]
