"""What a node can ask of its run: `Runtime`, and functions that find it through the context.

`Caller` is a task seen from here: the source of the extra parameters of a node.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Generic, Protocol, TypeVar

from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import var_child_runnable_config

from graphwire_runtime.foreign.innermost import innermost
from graphwire_runtime.types import StreamWriter

__all__ = [
    "Caller",
    "ExecutionInfo",
    "RunControl",
    "Runtime",
    "ServerInfo",
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

    def patch(self, **changes: Any) -> ExecutionInfo:
        """The same with other values."""
        return replace(self, **changes)


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """What a server says of the run in its `configurable`."""

    assistant_id: str
    """Of `assistant_id`; "" if that is not there."""
    graph_id: str
    """Of `graph_id`; "" if that is not there."""
    user: Any = None
    """Of `langgraph_auth_user`, if that has an `identity`."""

    @classmethod
    def of(cls, configurable: Mapping[str, Any]) -> ServerInfo | None:
        """Read it; None if the server says nothing."""
        assistant, graph = configurable.get("assistant_id"), configurable.get("graph_id")
        user = configurable.get("langgraph_auth_user")
        if not hasattr(user, "identity"):
            user = None
        if assistant is None and graph is None and user is None:
            return None
        return cls(str(assistant or ""), str(graph or ""), user)


class RunControl:
    """Asks a run, from any thread, to stop before its next superstep. One serves for one run."""

    __slots__ = ("drain_reason", "drain_requested")

    def __init__(self) -> None:
        self.drain_requested = False
        """Whether the run is to stop."""
        self.drain_reason: str | None = None
        """Why it is to stop; None if it is not to."""

    def request_drain(self, reason: str = "shutdown") -> None:
        """Let the run raise GraphDrained before its next superstep. Its thread can be resumed from there."""
        self.drain_reason = reason
        self.drain_requested = True


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
    server_info: ServerInfo | None = None
    """What a server says of the run, None without one."""
    control: RunControl | None = None
    """Stops the run before its next superstep."""

    def merge(self, other: Runtime[Context]) -> Runtime[Context]:
        """The other one, with this one's values for those that it does not have."""
        return Runtime(
            context=other.context or self.context,
            store=other.store or self.store,
            stream_writer=self.stream_writer if other.stream_writer is no_writer else other.stream_writer,
            previous=self.previous if other.previous is None else other.previous,
            heartbeat=self.heartbeat if other.heartbeat is no_heartbeat else other.heartbeat,
            execution_info=other.execution_info or self.execution_info,
            server_info=other.server_info or self.server_info,
            control=other.control or self.control,
        )

    def override(self, **changes: Any) -> Runtime[Context]:
        """The same with other values."""
        return replace(self, **changes)

    def patch_execution_info(self, **changes: Any) -> Runtime[Context]:
        """The same with other values in its `execution_info`. Raises RuntimeError if it has none."""
        if self.execution_info is None:
            raise RuntimeError("the runtime has no execution_info to change; only that of a node has")
        return replace(self, execution_info=self.execution_info.patch(**changes))

    @property
    def drain_requested(self) -> bool:
        """Whether the run is to stop before its next superstep."""
        return self.control is not None and self.control.drain_requested

    @property
    def drain_reason(self) -> str | None:
        """Why; None if it is not to."""
        return None if self.control is None else self.control.drain_reason


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

    @property
    def callbacks(self) -> Any:
        """The callback manager for what is called on the way, None if nothing listens."""


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
