"""`push_message`, and how what a node writes while it is at work comes into the state.

What is pushed is streamed at once. It is written to the state with what the node returns, before that.
"""

from __future__ import annotations

from typing import Any

from langchain_core.messages import (
    AnyMessage,
    BaseMessageChunk,
    MessageLikeRepresentation,
    convert_to_messages,
)
from langchain_core.runnables.config import var_child_runnable_config

from graphwire_runtime.errors import InvalidUpdateError
from graphwire_runtime.foreign.innermost import TheirTask, innermost

__all__ = ["at_work", "push_message", "written_by"]


def push_message(
    message: MessageLikeRepresentation | BaseMessageChunk, *, state_key: str | None = "messages"
) -> AnyMessage:
    """Stream a message in the `messages` mode while the node is at work, and write it to the state.

    Args:
        message: with an id, by which it is merged into the state.
        state_key: the key that it is written to, None for none.

    Returns the message.

    Raises ValueError for a message without an id, InvalidUpdateError for a key that the state does not have,
    RuntimeError if no node is running.
    """
    task, config = at_work("push_message")
    (made,) = convert_to_messages([message])
    if made.id is None:
        raise ValueError(f"push_message needs a message with an id, by which it is known, and got {made!r}")
    if isinstance(task, TheirTask):
        task.show_message(made)
    else:
        for tap in task.run.display.taps:
            tap.push(made, config["metadata"])
    if state_key:
        written_by(task, state_key, made)
    return made  # type: ignore[return-value]  # what langchain-core makes is one of these


def at_work(function: str) -> tuple[Any, Any]:
    """The task that is running here, and its config; raises RuntimeError if there is none."""
    config: Any = var_child_runnable_config.get()
    task = innermost(config)
    if task is None:
        raise RuntimeError(
            f"{function}() was called where no node is running; call it inside a node or a tool"
        )
    return task, config


def written_by(task: Any, key: str, value: Any) -> None:
    """Add a write to those of the task. Raises InvalidUpdateError for a key that the state does not have."""
    if isinstance(task, TheirTask):
        task.write(key, value)
        return
    keys = task.run.plan.channels
    if key not in keys:
        raise InvalidUpdateError(
            f"node {task.name!r} wrote to {key!r}, which is no key of {task.run.plan.title}; its keys are "
            f"{', '.join(keys)}"
        )
    task.pairs.append((key, value))
