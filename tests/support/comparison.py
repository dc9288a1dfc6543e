"""Both frameworks side by side: the names of each, and a comparable form of what they stream.

A test module that imports this is skipped if LangGraph is not installed. Ids are numbered in the order in
which they appear, errors are compared by type, versions and times are left out.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Awaitable, Callable
from dataclasses import fields, is_dataclass
from types import SimpleNamespace
from typing import Any

import graphwire_runtime
import pytest
from langchain_core.messages import BaseMessage
from pydantic import BaseModel

pytest.importorskip("langgraph.graph")

import langgraph.errors
import langgraph.func
import langgraph.graph
import langgraph.runtime
import langgraph.types
from langgraph.config import get_config, get_store, get_stream_writer

OURS: Any = graphwire_runtime
THEIRS: Any = SimpleNamespace(
    **{
        **vars(langgraph.runtime),
        **vars(langgraph.errors),
        **vars(langgraph.types),
        **vars(langgraph.graph),
        **vars(langgraph.func),
        "get_config": get_config,
        "get_store": get_store,
        "get_stream_writer": get_stream_writer,
    }
)

HOWS = [
    "stream",
    pytest.param(
        "astream",
        marks=pytest.mark.skipif(
            sys.version_info < (3, 11), reason="LangGraph's nodes lose their context there; ours keep it"
        ),
    ),
]
ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|\b[0-9a-f]{32}\b")
HIDDEN = ("timestamp", "lc_versions", "langgraph_version", "__pregel_checkpointer")
PLAIN = (int, float, bool, type(None))


class View:
    """Chunks and snapshots as plain data: ids numbered (`alike`: all the same), no times, errors by type."""

    def __init__(self, alike: bool = False) -> None:
        self._ids: dict[str, str] = {}
        self._alike = alike

    def _name(self, found: re.Match[str]) -> str:
        return "id" if self._alike else self._ids.setdefault(found[0], f"id{len(self._ids)}")

    def __call__(self, value: Any) -> Any:
        kind = type(value)
        if kind in PLAIN:
            return value
        if isinstance(value, str):
            return ID.sub(self._name, value) if len(value) >= 32 else value
        if kind is dict:
            return self._shown(value)
        if isinstance(value, BaseMessage):
            return (type(value).__name__, value.content, self(value.id))
        if isinstance(value, BaseException):
            return type(value).__name__
        if isinstance(value, dict):
            return self._shown(value)
        if hasattr(value, "_asdict"):
            return (type(value).__name__, self({**value._asdict(), "created_at": None}))
        if isinstance(value, (list, tuple)):
            items = [self(item) for item in value]
            if self._alike and all(_asks(item) for item in items):
                items.sort(key=repr)  # tasks side by side ask in any order
            return type(value)(items)
        if isinstance(value, BaseModel):
            return (type(value).__name__, self(dict(value)))
        if is_dataclass(value) and not isinstance(value, type):
            return (type(value).__name__, {f.name: self(getattr(value, f.name)) for f in fields(value)})
        return value

    def _shown(self, value: dict[Any, Any]) -> dict[Any, Any]:
        keys = sorted(value, key=str) if self._alike else value  # so that chunks can be sorted as text
        shown = {self(key): self(value[key]) for key in keys if key not in HIDDEN}
        if isinstance(error := shown.get("error"), str):
            shown["error"] = error.partition("(")[0]  # the repr of an error, whose text is the library's
        return shown


def _asks(item: Any) -> bool:
    """Whether this is an interrupt in its comparable form, from an object or from plain data."""
    return (isinstance(item, tuple) and item[:1] == ("Interrupt",)) or (
        isinstance(item, dict) and item.keys() == {"id", "value", "response_schema"}
    )


async def recorded(
    graph: Any, value: Any, how: str, *, alike: bool = False, **kwargs: Any
) -> tuple[list[Any], str | None]:
    """The chunks of a run, and the name of the error's type if it failed; see View for `alike`."""
    view, chunks = View(alike), []
    try:
        if how == "stream":
            for chunk in graph.stream(value, **kwargs):
                chunks.append(view(chunk))  # noqa: PERF401
        else:
            async for chunk in graph.astream(value, **kwargs):
                chunks.append(view(chunk))  # noqa: PERF401
    except Exception as error:
        return chunks, type(error).__name__
    return chunks, None


_known: dict[Any, Any] = {}


async def once(key: Any, make: Callable[[], Awaitable[Any]]) -> Any:
    """What LangGraph does, made once for all tests with the same key that compare with it."""
    if key not in _known:
        _known[key] = await make()
    return _known[key]


def in_any_order(chunks: list[Any]) -> list[str]:
    """Chunks of nodes side by side, which may end in any order; to be recorded with `alike=True`."""
    return sorted(map(repr, chunks))
