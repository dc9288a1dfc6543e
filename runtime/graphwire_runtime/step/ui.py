"""Messages for a user interface: a node pushes them, and a reducer keeps them in the state.

Each names a component and its properties, and is streamed in the `custom` mode when it is pushed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from typing_extensions import TypedDict

from graphwire_runtime.clock import fresh_id
from graphwire_runtime.step.push import at_work, written_by

__all__ = [
    "AnyUIMessage",
    "RemoveUIMessage",
    "UIMessage",
    "delete_ui_message",
    "push_ui_message",
    "ui_message_reducer",
]


class UIMessage(TypedDict):
    """A component as it is to be shown."""

    type: Literal["ui"]
    id: str
    name: str
    props: dict[str, Any]
    metadata: dict[str, Any]
    """`merge`, and `run_id`, `tags`, `name` and `message_id` of what has pushed it."""


class RemoveUIMessage(TypedDict):
    """Takes a component away."""

    type: Literal["remove-ui"]
    id: str


AnyUIMessage = UIMessage | RemoveUIMessage


def push_ui_message(
    name: str,
    props: dict[str, Any],
    *,
    id: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    message: Any = None,
    state_key: str | None = "ui",
    merge: bool = False,
) -> UIMessage:
    """Stream a component in the `custom` mode while the node is at work, and write it to the state.

    Args:
        name: of the component.
        props: its properties.
        id: of the message; by default a new one. A message with an id that is known replaces that one.
        metadata: added to the message's own.
        message: the chat message that it belongs to.
        state_key: the key that it is written to, which `ui_message_reducer` merges; None for none.
        merge: whether its properties are merged into those of the message that it replaces.

    Returns the message.

    Raises InvalidUpdateError for a key that the state does not have, RuntimeError if no node is running.
    """
    task, config = at_work("push_ui_message")
    about = message.get("id") if isinstance(message, dict) else getattr(message, "id", None)
    pushed: UIMessage = {
        "type": "ui",
        "id": id or fresh_id(),
        "name": name,
        "props": props,
        "metadata": {
            "merge": merge,
            "run_id": config.get("run_id"),
            "tags": config.get("tags"),
            "name": config.get("run_name"),
            **(metadata or {}),
            **({"message_id": about} if about else {}),
        },
    }
    task.writer(pushed)
    if state_key:
        written_by(task, state_key, pushed)
    return pushed


def delete_ui_message(id: str, *, state_key: str = "ui") -> RemoveUIMessage:
    """Stream in the `custom` mode that a component goes, and take it out of the state.

    Args:
        id: of its message.
        state_key: the key that holds it.

    Raises InvalidUpdateError for a key that the state does not have, RuntimeError if no node is running. The
    superstep fails with ValueError if there is no message with this id.
    """
    task, _ = at_work("delete_ui_message")
    removal: RemoveUIMessage = {"type": "remove-ui", "id": id}
    task.writer(removal)
    written_by(task, state_key, removal)
    return removal


def ui_message_reducer(
    left: list[AnyUIMessage] | AnyUIMessage, right: list[AnyUIMessage] | AnyUIMessage
) -> list[AnyUIMessage]:
    """Merge messages by id: the reducer of a key such as `ui`.

    A message of `right` replaces the one with its id, or is appended. One whose metadata say `merge` keeps
    the properties of the one it replaces that it does not have itself.

    Raises ValueError for the removal of a message that is not there.
    """
    merged: list[Any] = [*left] if isinstance(left, list) else [left]
    position = {message.get("id"): index for index, message in enumerate(merged)}
    removed: set[Any] = set()
    new: list[Any] = right if isinstance(right, list) else [right]
    for message in new:
        at, removes = position.get(message.get("id")), message.get("type") == "remove-ui"
        if at is None:
            if removes:
                raise ValueError(
                    f"the message {message.get('id')!r} for a user interface cannot be removed; none of the "
                    f"{len(merged)} in the state has this id"
                )
            position[message.get("id")] = len(merged)
            merged.append(message)
        elif removes:
            removed.add(message.get("id"))
        else:
            removed.discard(message.get("id"))
            if (message.get("metadata") or {}).get("merge"):
                message = {**message, "props": {**merged[at]["props"], **message["props"]}}
            merged[at] = message
    return [message for message in merged if message.get("id") not in removed]
