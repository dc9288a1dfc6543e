"""What a local graph yields and returns, made from a remote run's events: LangGraph's shapes and classes.

Messages are LangChain's, which must be installed. Interrupts and states are LangGraph's classes if LangGraph
is installed, so that ``isinstance()`` works; otherwise this client's classes, which have the same fields.
"""

import functools
import importlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from graphwire_protocol.projection import Cut
from graphwire_protocol.types import STREAM_MODES

from graphwire.errors import MissingExtra, StreamBroken
from graphwire.events import (
    CheckpointsEvent,
    CustomEvent,
    DebugEvent,
    Event,
    GapEvent,
    Interrupt,
    MessagesEvent,
    SnapshotEvent,
    TasksEvent,
    UnknownEvent,
    UpdatesEvent,
    ValuesEvent,
)
from graphwire.messages import Message, MessageChunk
from graphwire.state import StateSnapshot

_TUPLES = ("triggers", "langgraph_triggers", "langgraph_path")  # in LangGraph; in JSON they are lists


def chunks_of(event: Event, limit: int | None = None) -> list[Any]:
    """Return the chunks that LangGraph yields for ``event``: one, or none.

    ``limit`` is the server's ``max_event_bytes``. Raises ``StreamBroken`` for a gap and for what was cut.
    """
    if event.cut_bytes is not None:
        raise too_large(event.cut_bytes, limit)
    match event:
        case GapEvent():
            raise StreamBroken(
                f"events {event.after_seq + 1} to {event.upto_seq} of run {event.run} are lost "
                f"({event.reason}), and a local graph loses none; use client.run(), which shows gaps and "
                "snapshots, or read faster"
            )
        case SnapshotEvent() | UnknownEvent() | MessagesEvent(discard=True):
            return []
        case MessagesEvent(message=message, metadata=metadata, chunk_id=id):
            _restore_tuples(metadata)
            return [(langchain_message(replace(message, id=id), limit), metadata)]
        case ValuesEvent(data=data, interrupts=marks) | UpdatesEvent(data=data, interrupts=marks):
            chunk = with_langchain(data, limit)
            if marks is None or not isinstance(chunk, dict):
                return [chunk]
            return [{**chunk, "__interrupt__": interrupts_of(marks, limit)}]
        case TasksEvent(data=dict(payload)) | CheckpointsEvent(data=dict(payload)):
            return [_with_tuples(with_langchain(payload, limit))]
        case DebugEvent(data={"payload": dict(payload), **wrapper}):
            return [{**wrapper, "payload": _with_tuples(with_langchain(payload, limit))}]
    if event.mode not in STREAM_MODES:
        return []
    return [with_langchain(event.data, limit)]


def namespace_of(event: Event) -> tuple[str, ...]:
    """Return the namespace under which LangGraph yields ``event``."""
    if isinstance(event, CustomEvent) and event.task_namespace is not None:
        return event.task_namespace
    return event.namespace


def part_of(event: Event, chunk: Any) -> dict[str, Any]:
    """Return a chunk as the item that ``version="v2"`` yields."""
    part = {"type": event.mode, "ns": namespace_of(event), "data": chunk}
    if isinstance(event, ValuesEvent):
        marks = chunk.pop("__interrupt__", ()) if isinstance(chunk, dict) else ()
        part["interrupts"] = marks
    return part


def _with_tuples(fields: dict[str, Any]) -> dict[str, Any]:
    out = dict(fields)
    _restore_tuples(out)
    if isinstance(out.get("tasks"), list):  # of a checkpoint; LangGraph keeps their interrupts in tuples
        out["tasks"] = [_with_interrupts(task) if isinstance(task, dict) else task for task in out["tasks"]]
    return out


def _restore_tuples(fields: dict[str, Any]) -> None:
    # In place: as in a local graph, the metadata of a call is one object for all its chunks.
    for name in _TUPLES:
        if isinstance(fields.get(name), list):
            fields[name] = tuple(fields[name])


def _with_interrupts(task: dict[str, Any]) -> dict[str, Any]:
    interrupts = task.get("interrupts")
    return {**task, "interrupts": tuple(interrupts)} if isinstance(interrupts, list) else task


# ── LangGraph's classes ──────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class GraphOutput:
    """An output and the interrupts of its run; used when LangGraph, which has the same class, is missing."""

    value: Any
    interrupts: tuple[Any, ...] = ()


@functools.cache
def _langgraph() -> Any:
    """Return the module ``langgraph.types``, None if LangGraph is not installed."""
    try:
        return importlib.import_module("langgraph.types")
    except ImportError:
        return None


def output_of(value: Any, interrupts: tuple[Any, ...]) -> Any:
    """Return a ``GraphOutput``, LangGraph's if it is installed."""
    types = _langgraph()
    return (GraphOutput if types is None else types.GraphOutput)(value=value, interrupts=interrupts)


def interrupts_of(asked: Iterable[Interrupt], limit: int | None = None) -> tuple[Any, ...]:
    """Return the interrupts, as LangGraph's class if it is installed."""
    types = _langgraph()
    made = []
    for one in asked:
        value = with_langchain(one.value, limit)
        if types is None:
            made.append(Interrupt(one.id, value, one.namespace, one.response_schema))
        elif one.response_schema is None:
            made.append(types.Interrupt(value=value, id=one.id))
        else:
            made.append(types.Interrupt(value=value, id=one.id, response_schema=one.response_schema))
    return tuple(made)


def snapshot_of(state: StateSnapshot, limit: int | None = None) -> Any:
    """Return the state, as LangGraph's ``StateSnapshot`` if it is installed."""
    types = _langgraph()
    tasks = []
    for task in state.tasks:
        inner = snapshot_of(task.state, limit) if isinstance(task.state, StateSnapshot) else task.state
        task = task._replace(
            interrupts=interrupts_of(task.interrupts, limit),
            state=inner,
            result=with_langchain(task.result, limit),
        )
        tasks.append(task if types is None else types.PregelTask(*task))
    state = state._replace(
        values=with_langchain(state.values, limit),
        metadata=with_langchain(state.metadata, limit),
        tasks=tuple(tasks),
        interrupts=interrupts_of(state.interrupts, limit),
    )
    return state if types is None else types.StateSnapshot(*state)


# ── LangChain's messages ─────────────────────────────────────────────────────────────────────────


def langchain() -> Any:
    """Return the module ``langchain_core.messages``. Raises ``MissingExtra``."""
    try:
        import langchain_core.messages
    except ImportError:
        raise MissingExtra(
            "messages of a remote graph are LangChain's, which is missing", "langchain"
        ) from None
    return langchain_core.messages


def with_langchain(value: Any, limit: int | None = None) -> Any:
    """Return ``value`` with LangChain's messages in place of this client's.

    Raises ``MissingExtra``, and ``StreamBroken`` if a part of ``value`` was cut for its size.
    """
    if isinstance(value, Message):
        return langchain_message(value, limit)
    if isinstance(value, dict):
        return {key: with_langchain(item, limit) for key, item in value.items()}
    if isinstance(value, list):
        return [with_langchain(item, limit) for item in value]
    if isinstance(value, Cut) and value.reason == "size":
        raise too_large(value.bytes, limit)
    return value


def too_large(size: int | None, limit: int | None) -> StreamBroken:
    """Return the error for a value of ``size`` bytes, which a server with this ``max_event_bytes`` cut."""
    most = "" if limit is None else f", which is {limit:,}"
    return StreamBroken(
        f"the server cut a value of {size or 0:,} bytes, more than its max_event_bytes{most}. A local graph "
        "cuts nothing: raise that limit, or keep large data elsewhere and its address in the state"
    )


_CLASSES = {
    "human": "HumanMessage",
    "ai": "AIMessage",
    "system": "SystemMessage",
    "tool": "ToolMessage",
    "function": "FunctionMessage",
    "chat": "ChatMessage",
    "remove": "RemoveMessage",
}


def langchain_message(message: Message, limit: int | None = None) -> Any:
    """Return the message as LangChain's class of its type. Raises like ``with_langchain()``."""
    module = langchain()
    fields = with_langchain(message.to_json(), limit)
    kind = fields.pop("type")
    cls = getattr(module, _CLASSES.get(kind, kind), None)
    if cls is None:
        cls = module.AIMessageChunk if isinstance(message, MessageChunk) else module.AIMessage
    if kind == "remove":
        fields.pop("content", None)
    return cls(**fields)
