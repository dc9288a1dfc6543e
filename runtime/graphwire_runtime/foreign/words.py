"""LangGraph's words for this package's: its Command, Send, Overwrite, policies and managed keys.

Whatever an author's code hands to this package may be a word of LangGraph's: what a node or router returns,
an input, an update, a policy. It is taken as its twin here, at that edge, so nothing further in has to know.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

from graphwire_runtime.managed import Managed
from graphwire_runtime.types import Command, Interrupt, Overwrite, Send

__all__ = [
    "TASK",
    "both",
    "known",
    "managed_of",
    "ours",
    "ours_of_asked",
    "register",
    "their_policy",
    "their_send",
    "theirs",
    "twin",
]

TASK = "__graphwire_task"
"""The key in the `configurable` of a node's config that holds its task."""

Twin = TypeVar("Twin")


def known(module: str, name: str) -> Any:
    """What a module of LangGraph's calls by this name, None if nobody has imported that module."""
    return getattr(sys.modules.get(f"langgraph.{module}"), name, None)


def ours(value: Any) -> Any:
    """The twin of LangGraph's Command, Send or Overwrite; any other value itself."""
    if type(value) is dict or value is None:
        return value
    if _is(value, "Command"):
        return Command(graph=value.graph, update=value.update, resume=value.resume, goto=value.goto)
    if _is(value, "Send"):
        return Send(value.node, value.arg, timeout=getattr(value, "timeout", None))
    if _is(value, "Overwrite"):
        return Overwrite(value.value)
    return value


def twin(value: Any, kind: type[Twin]) -> Any:
    """A policy of LangGraph's as the policy of this package with the same name; any other value itself."""
    if not _is(value, kind.__name__):
        return value
    fields: Any = getattr(kind, "_fields", None) or getattr(kind, "__dataclass_fields__", ())
    given = {field: getattr(value, field) for field in fields if hasattr(value, field)}
    return kind(**given)


def their_policy(policy: Any, name: str) -> Any:
    """A policy of this package as LangGraph's of the same name; None for None."""
    if policy is None or _is(policy, name):
        return policy
    return known("types", name)(**{field: getattr(policy, field) for field in policy.__dataclass_fields__})


def their_send(send: Send) -> Any:
    """A Send of this package as one of LangGraph's, which must be imported."""
    made = known("types", "Send")
    if send.timeout is None:
        return made(send.node, send.arg)
    policy = send.timeout
    if hasattr(policy, "__dataclass_fields__"):
        policy = their_policy(policy, "TimeoutPolicy")
    return made(send.node, send.arg, timeout=policy)


def managed_of(kind: Any) -> Managed | None:
    """A managed value of LangGraph's, as it stands in `Annotated`; None for anything else."""
    base = known("managed.base", "ManagedValue")
    if base is None or not isinstance(kind, type) or not issubclass(kind, base):
        return None
    get: Any = kind.get  # type: ignore[attr-defined]
    return Managed(lambda step, limit: get(_Moment(step, limit)))


def ours_of_asked(asked: Any) -> Interrupt:
    """An interrupt of LangGraph's, or of this package, as one of this package."""
    if type(asked) is Interrupt:
        return asked
    return Interrupt(asked.value, asked.id, response_schema=getattr(asked, "response_schema", None))


def theirs(asked: Interrupt) -> Any:
    """An interrupt of this package as one of LangGraph's, if that is imported."""
    kind = known("types", "Interrupt")
    if kind is None:
        return asked
    return kind(value=asked.value, id=asked.id, response_schema=asked.response_schema)


def register(kind: type[Any]) -> None:
    """Let LangGraph's graphs see a class of this package as a graph that may be inside them."""
    protocol = known("pregel.protocol", "PregelProtocol")
    if protocol is not None and not issubclass(kind, protocol):
        protocol.register(kind)


def both(kind: type[Any], theirs: Any) -> Any:
    """A class of this package that is also one of LangGraph's; the class itself if theirs is None."""
    return kind if theirs is None else _both(kind, theirs)  # type: ignore[arg-type]


@cache
def _both(kind: type[Any], theirs: type[Any]) -> type[Any]:
    return type(kind.__name__, (kind, theirs), {"__module__": kind.__module__, "__doc__": kind.__doc__})


@dataclass(frozen=True, slots=True)
class _Moment:
    """What a managed value of LangGraph's reads: the superstep, and the first one that may not run."""

    step: int
    stop: int


def _is(value: Any, name: str) -> bool:
    # the type is asked and not the value: a Command of this package passes for one of LangGraph's
    kind = known("types", name)
    return kind is not None and issubclass(type(value), kind)
