"""What a node can ask of its run: `Runtime`, and functions that find it through the context.

`Caller` is a task seen from here: the source of the extra parameters of a node.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import var_child_runnable_config

from graphwire_runtime.foreign.innermost import innermost
from graphwire_runtime.types import StreamWriter

__all__ = [
    "Caller",
    "ExecutionInfo",
    "Runtime",
    "get_config",
    "get_runtime",
    "get_store",
    "get_stream_writer",
]

Context = TypeVar("Context")


def no_writer(_: Any) -> None:
    """The stream writer of a run whose custom data nobody asked for."""


def no_heartbeat() -> None:
    """The heartbeat of a node without a timeout."""


@dataclass(frozen=True, slots=True)
class ExecutionInfo:
    """The attempt that a node is in."""

    checkpoint_id: str
    """The checkpoint that the superstep began at; "" if the run is not kept."""
    checkpoint_ns: str
    """The path of nodes and task ids that leads to this task, joined by "|"."""
    task_id: str
    thread_id: str | None = None
    run_id: str | None = None
    node_attempt: int = 1
    """Counts from 1."""
    node_first_attempt_time: float | None = None
    """In seconds since 1970."""


@dataclass(frozen=True)
class Runtime(Generic[Context]):
    """The value of a node's parameter `runtime`."""

    context: Context = None  # type: ignore[assignment]
    """What the caller passed as `context=`: an instance of the graph's context schema."""
    store: Any = None
    """The long-term store that the graph was compiled with."""
    stream_writer: StreamWriter = no_writer
    previous: Any = None
    """In an `entrypoint` and its tasks: what the run before it on this thread saved; None otherwise."""
    heartbeat: Callable[[], None] = no_heartbeat
    """Reports progress to a `timeout` that limits the time without it."""
    execution_info: ExecutionInfo | None = None


class Caller(Protocol):
    """The task that a node or router is called for, as the source of its extra parameters."""

    @property
    def config(self) -> RunnableConfig:
        """The config that models called on the way inherit."""

    @property
    def writer(self) -> StreamWriter:
        """Puts an object into the custom stream."""

    @property
    def runtime(self) -> Runtime[Any]:
        """What the node can ask of its run."""

    @property
    def store(self) -> Any:
        """The long-term store, None if the graph has none."""

    @property
    def error(self) -> Any:
        """For an error handler: the NodeError of the node that failed."""

    @property
    def previous(self) -> Any:
        """See `Runtime.previous`."""


def get_stream_writer() -> StreamWriter:
    """The stream writer of the node that is running here, or of the node whose router or tool is.

    Raises RuntimeError outside a running node: at module level, or in a thread that was started without the
    node's context. The functions below raise it, too.
    """
    return _task("get_stream_writer", "writer").writer


def get_runtime(context_schema: type[Context] | None = None) -> Runtime[Context]:
    """The `Runtime` of the node that is running here; the schema is for type checkers only."""
    return _task("get_runtime", "runtime").runtime


def get_config() -> RunnableConfig:
    """The config of the node that is running here."""
    return _task("get_config", "config").config


def get_store() -> Any:
    """The long-term store of the graph that is running here, None if it has none."""
    return _task("get_store", "store").store


def _task(function: str, parameter: str) -> Caller:
    task: Caller | None = innermost(var_child_runnable_config.get())
    if task is None:
        raise RuntimeError(
            f"{function}() was called where no node is running; call it inside a node, or declare a "
            f"`{parameter}` parameter and pass that on to threads started by hand"
        )
    return task
