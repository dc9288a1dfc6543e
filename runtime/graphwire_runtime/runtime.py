"""What a node can ask of the run around it: its `Runtime`, and the stream writer that the context holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from langchain_core.runnables.config import var_child_runnable_config

from graphwire_runtime.types import StreamWriter

__all__ = ["TASK", "Runtime", "get_stream_writer"]

Context = TypeVar("Context")

TASK = "__graphwire_task"
"""The key in a config's `configurable` under which a node's config carries its task."""


def ignore(_: Any) -> None:
    """The writer where nobody listens to custom data."""


@dataclass(frozen=True)
class Runtime(Generic[Context]):
    """Given to a node that declares a parameter `runtime`.

    `context` is what the caller passed as `context=`, an instance of the graph's context schema. `store` is
    the long-term store that the graph was compiled with. `previous` is always None: nothing keeps it.
    """

    context: Context = None  # type: ignore[assignment]
    store: Any = None
    stream_writer: StreamWriter = ignore
    previous: Any = None


def get_stream_writer() -> StreamWriter:
    """The custom-stream writer of the node (or router, or tool called by it) that is running here.

    Raises RuntimeError outside a running node: at module level, or in a thread that was started without the
    node's context.
    """
    config = var_child_runnable_config.get()
    task = None if config is None else config.get("configurable", {}).get(TASK)
    if task is None:
        raise RuntimeError(
            "get_stream_writer() was called where no node is running; call it inside a node, or declare a "
            "`writer` parameter and pass that on to threads started by hand"
        )
    writer: StreamWriter = task.writer
    return writer
