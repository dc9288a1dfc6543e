"""A stand-in for a local graph: LangGraph's ``astream`` and ``ainvoke``, run on a server.

It yields the shapes that a compiled graph yields, with LangChain's message classes. What cannot be as it is
locally is refused or raised, never glossed over. Streaming, resuming and cancelling are the run's.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias
from uuid import UUID

from graphwire_protocol.types import STREAM_MODES

from graphwire.errors import MissingExtra, RemoteError, RunCancelled, RunFailed, RunInterrupted, StreamBroken
from graphwire.events import (
    DebugEvent,
    Event,
    GapEvent,
    Interrupt,
    LifecycleEvent,
    MessagesEvent,
    SnapshotEvent,
    TasksEvent,
    UnknownEvent,
    UpdatesEvent,
    ValuesEvent,
)
from graphwire.messages import Message, MessageChunk
from graphwire.run import Run

if TYPE_CHECKING:
    from graphwire.client import Client

StreamMode: TypeAlias = Literal["values", "updates", "custom", "messages", "tasks", "checkpoints", "debug"]

_CONFIG = frozenset({"tags", "metadata", "configurable", "recursion_limit", "max_concurrency", "run_name"})
_OPTIONS = ("output_keys", "interrupt_before", "interrupt_after", "durability")
_TUPLES = ("triggers", "langgraph_triggers", "langgraph_path")  # tuples in LangGraph, lists in JSON


class RemoteGraph:
    """A graph on a server; made by ``client.graph(name)``.

    ``config`` takes LangGraph's ``tags``, ``metadata``, ``configurable`` (its ``thread_id`` names the thread,
    ``checkpoint_id`` the checkpoint), ``recursion_limit``, ``max_concurrency``, ``run_name`` and ``run_id``.
    A ``Command`` may be the input. A graph that raises becomes ``RemoteError``.
    """

    def __init__(self, client: "Client", name: str) -> None:
        self.name = name
        self._client = client

    def __repr__(self) -> str:
        return f"<RemoteGraph {self.name} at {self._client.url}>"

    async def astream(
        self,
        input: Any,
        config: Mapping[str, Any] | None = None,
        *,
        context: Any = None,
        stream_mode: StreamMode | Sequence[StreamMode] | None = None,
        subgraphs: bool = False,
        output_keys: str | Sequence[str] | None = None,
        interrupt_before: Literal["*"] | Sequence[str] | None = None,
        interrupt_after: Literal["*"] | Sequence[str] | None = None,
        durability: Literal["sync", "async", "exit"] | None = None,
        print_mode: object = (),
    ) -> AsyncGenerator[Any, None]:
        """Stream a run: bare chunks for one mode, ``(mode, chunk)`` for a list of modes; with ``subgraphs``
        ``(namespace, chunk)`` and ``(namespace, mode, chunk)``. The default mode is ``updates``.

        ``messages`` chunks are ``(message, metadata)`` with LangChain's classes. ``__interrupt__`` stands in
        ``updates`` and ``values`` as a tuple of ``Interrupt``. Closing the iterator cancels the run. Raises
        ``RemoteError`` when the graph fails, ``StreamBroken`` when events are lost or repeated.
        """
        if print_mode:
            raise ValueError("print_mode prints where a graph runs; a remote graph does not take it")
        several = isinstance(stream_mode, list)
        modes = list(stream_mode) if isinstance(stream_mode, list | tuple) else [stream_mode or "updates"]
        unknown = [mode for mode in modes if mode not in STREAM_MODES]
        if unknown:
            raise ValueError(f"stream_mode {unknown[0]!r} is none of {', '.join(STREAM_MODES)}")
        if "messages" in modes:
            _langchain()
        options = (output_keys, interrupt_before, interrupt_after, durability)
        run = await self._client.run(
            self.name,
            modes=modes or ["lifecycle"],  # type: ignore[arg-type]
            namespaces=[["**"]] if subgraphs else None,
            on_disconnect="cancel",
            **_arguments(input, config, context, options),
        )
        is_over = False
        try:
            async for event in run:
                if isinstance(event, LifecycleEvent):
                    self._check(run, event)
                    continue
                for chunk in _chunks(event):
                    mode = event.mode
                    if subgraphs:
                        yield (event.namespace, mode, chunk) if several else (event.namespace, chunk)
                    else:
                        yield (mode, chunk) if several else chunk
            is_over = True
        except (RemoteError, RunCancelled):
            is_over = True
            raise
        finally:
            if not is_over:
                await run.cancel("the stream was closed")

    async def ainvoke(
        self,
        input: Any,
        config: Mapping[str, Any] | None = None,
        *,
        context: Any = None,
        output_keys: str | Sequence[str] | None = None,
        interrupt_before: Literal["*"] | Sequence[str] | None = None,
        interrupt_after: Literal["*"] | Sequence[str] | None = None,
        durability: Literal["sync", "async", "exit"] | None = None,
    ) -> Any:
        """Run the graph and return its output; of an interrupted run its state, with ``__interrupt__`` as a
        list. Raises ``RemoteError`` when the graph fails. Cancelling this wait cancels the run.
        """
        options = (output_keys, interrupt_before, interrupt_after, durability)
        run = await self._client.run(
            self.name,
            modes=["lifecycle"],
            record={"modes": ["values"]},
            on_disconnect="cancel",
            **_arguments(input, config, context, options),
        )
        is_over = False
        try:
            output = with_langchain(await run.result())
            is_over = True
        except RunFailed as failed:
            is_over = True
            raise _remote(failed) from None
        except RunInterrupted as interrupted:
            is_over = True
            values = await self._values(run)
            pending = list(interrupted.interrupts)
            return {**values, "__interrupt__": pending} if isinstance(values, dict) else pending
        except RunCancelled:
            is_over = True
            raise
        finally:
            if not is_over:
                await run.cancel("nobody waits for the result")
        return output

    async def _values(self, run: Run) -> Any:
        view = await self._client.attach(run.id, modes=["values"], start="snapshot")
        async for event in view:
            if isinstance(event, SnapshotEvent):
                return with_langchain(event.values)
        return None

    def _check(self, run: Run, event: LifecycleEvent) -> None:
        if event.status == "failed":
            raise _remote(run.failure())
        if event.status == "cancelled":
            raise RunCancelled(run.id, event.reason)
        if event.discard:
            raise StreamBroken(
                f"run {run.id} was taken over and repeats a step, which a local graph never does; "
                "use client.run(), whose events tell what to discard"
            )


def _chunks(event: Event) -> list[Any]:
    """Return what LangGraph yields for ``event``: one chunk, or none."""
    match event:
        case GapEvent():
            raise StreamBroken(
                f"events {event.after_seq + 1} to {event.upto_seq} of run {event.run} are lost "
                f"({event.reason}), and a local graph loses none; use client.run(), which shows gaps and "
                "snapshots, or read faster"
            )
        case SnapshotEvent() | UnknownEvent():
            return []
        case MessagesEvent(message=message, metadata=metadata):
            return [(langchain_message(message), _with_tuples(metadata))]
        case ValuesEvent(data=data, interrupts=marks) | UpdatesEvent(data=data, interrupts=marks):
            chunk = with_langchain(data)
            if marks is None:
                return [chunk]
            if isinstance(event, ValuesEvent) and not isinstance(chunk, dict):
                return [chunk]
            return [{**chunk, "__interrupt__": marks}]
        case TasksEvent(data=dict(task)):
            return [_with_tuples(with_langchain(task))]
        case DebugEvent(data={"payload": dict(payload), **wrapper}):
            return [{**wrapper, "payload": _with_tuples(with_langchain(payload))}]
    if event.mode not in STREAM_MODES:
        return []
    return [with_langchain(event.data)]


def _arguments(
    input: Any, config: Mapping[str, Any] | None, context: Any, options: tuple[Any, ...]
) -> dict[str, Any]:
    """Return LangGraph's arguments as those of ``client.run()``."""
    out: dict[str, Any] = {"context": context}
    if _is_command(input):
        if input.graph is not None:
            raise ValueError("Command(graph=...) means something inside a graph only")
        parts = {name: getattr(input, name) for name in ("resume", "update", "goto")}
        out["command"] = {name: value for name, value in parts.items() if value not in (None, ())}
    else:
        out["input"] = input
    given = {name: value for name, value in zip(_OPTIONS, options, strict=True) if value is not None}
    if given:
        out["options"] = given
    rest = dict(config or {})
    if rest.pop("callbacks", None):
        raise ValueError("config['callbacks'] run where the graph runs; a remote graph does not take them")
    run_id = rest.pop("run_id", None)
    if run_id is not None:
        out["run"] = str(run_id) if isinstance(run_id, UUID) else run_id
    configurable = dict(rest.pop("configurable", None) or {})
    out["thread"] = configurable.pop("thread_id", None)
    out["checkpoint"] = configurable.pop("checkpoint_id", None)
    if configurable.get("checkpoint_ns") == "":
        del configurable["checkpoint_ns"]
    if configurable:
        rest["configurable"] = configurable
    unknown = sorted(set(rest) - _CONFIG)
    if unknown:
        raise ValueError(f"config[{unknown[0]!r}] cannot be sent; a remote graph takes {sorted(_CONFIG)}")
    if rest:
        out["config"] = rest
    return out


def _is_command(value: Any) -> bool:
    # LangGraph's Command or this project's own, neither of which is imported here.
    return type(value).__name__ == "Command" and all(
        hasattr(value, name) for name in ("resume", "update", "goto", "graph")
    )


def _remote(failed: RunFailed) -> RemoteError:
    return RemoteError(failed.type or failed.code, failed.message, failed.error_id)


def _with_tuples(fields: dict[str, Any]) -> dict[str, Any]:
    out = dict(fields)
    for name in _TUPLES:
        if isinstance(out.get(name), list):
            out[name] = tuple(out[name])
    return out


# ── LangChain's messages ─────────────────────────────────────────────────────────────────────────


def _langchain() -> Any:
    try:
        import langchain_core.messages
    except ImportError:
        raise MissingExtra(
            "messages of a remote graph are LangChain's, which is missing", "langchain"
        ) from None
    return langchain_core.messages


def with_langchain(value: Any) -> Any:
    """Return ``value`` with LangChain's messages in place of this client's. Raises ``MissingExtra``."""
    if isinstance(value, Message):
        return langchain_message(value)
    if isinstance(value, Interrupt):
        return value
    if isinstance(value, dict):
        return {key: with_langchain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [with_langchain(item) for item in value]
    return value


_CLASSES = {
    "human": "HumanMessage",
    "ai": "AIMessage",
    "system": "SystemMessage",
    "tool": "ToolMessage",
    "function": "FunctionMessage",
    "chat": "ChatMessage",
    "remove": "RemoveMessage",
}


def langchain_message(message: Message) -> Any:
    """Return the message as LangChain's class of its type. Raises ``MissingExtra``."""
    module = _langchain()
    fields = message.to_json()
    kind = fields.pop("type")
    cls = getattr(module, _CLASSES.get(kind, kind), None)
    if cls is None:
        cls = module.AIMessageChunk if isinstance(message, MessageChunk) else module.AIMessage
    if kind == "remove":
        fields.pop("content", None)
    return cls(**fields)
