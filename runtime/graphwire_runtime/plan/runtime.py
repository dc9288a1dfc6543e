"""What a node can ask of the run around it: its `Runtime`, and the stream writer that the context holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import var_child_runnable_config

from graphwire_runtime.types import StreamWriter

if TYPE_CHECKING:
    from graphwire_runtime.step.task import Task

__all__ = ["TASK", "ExecutionInfo", "Runtime", "get_config", "get_runtime", "get_store", "get_stream_writer"]

Context = TypeVar("Context")

TASK = "__graphwire_task"
"""The key in a config's `configurable` under which a node's config carries its task."""


def ignore(_: Any) -> None:
    """The writer where nobody listens to custom data."""


def unheard() -> None:
    """The heartbeat of a node that may be silent for as long as it likes."""


@dataclass(frozen=True, slots=True)
class ExecutionInfo:
    """Which attempt of which task is at work, and where."""

    checkpoint_id: str
    """The checkpoint that the superstep began at; "" where no thread is kept."""
    checkpoint_ns: str
    task_id: str
    thread_id: str | None = None
    run_id: str | None = None
    node_attempt: int = 1
    node_first_attempt_time: float | None = None
    """In seconds since 1970."""


@dataclass(frozen=True)
class Runtime(Generic[Context]):
    """Given to a node that declares a parameter `runtime`.

    `context` is what the caller passed as `context=`, an instance of the graph's context schema. `store` is
    the long-term store that the graph was compiled with. `heartbeat()` tells that the node is at work, where
    its `timeout` limits the time without progress. `previous` is always None: nothing keeps it.
    """

    context: Context = None  # type: ignore[assignment]
    store: Any = None
    stream_writer: StreamWriter = ignore
    previous: Any = None
    heartbeat: Callable[[], None] = unheard
    execution_info: ExecutionInfo | None = None


def get_stream_writer() -> StreamWriter:
    """The custom-stream writer of the node (or router, or tool called by it) that is running here.

    Raises RuntimeError outside a running node: at module level, or in a thread that was started without the
    node's context. So do the functions below.
    """
    return _task("get_stream_writer", "writer").writer


def get_runtime(context_schema: type[Context] | None = None) -> Runtime[Context]:
    """The `Runtime` of the node that is running here; the schema is for type checkers only."""
    return _task("get_runtime", "runtime").runtime


def get_config() -> RunnableConfig:
    """The config of the node that is running here."""
    return _task("get_config", "config").config


def get_store() -> Any:
    """The long-term store of the graph that is running here, None where it has none."""
    return _task("get_store", "store").store


def _task(function: str, parameter: str) -> Task:
    config = var_child_runnable_config.get()
    task: Task | None = None if config is None else config.get("configurable", {}).get(TASK)
    if task is None:
        raise RuntimeError(
            f"{function}() was called where no node is running; call it inside a node, or declare a "
            f"`{parameter}` parameter and pass that on to threads started by hand"
        )
    return task
