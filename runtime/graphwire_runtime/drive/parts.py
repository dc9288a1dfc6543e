"""`run` and `arun`: a run for its consumer, in whose parts a state is an instance of a schema class.

With `version="v2"` the states of the values mode become instances of the output schema, and those in
checkpoints instances of the state schema, if these are dataclasses or pydantic classes. The schemas are
those of the graph that the consumer has called, also for states of graphs inside it. A state that its schema
refuses raises where the consumer would have got it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from graphwire_runtime.drive.iterate import aiterate, iterate
from graphwire_runtime.drive.request import Request
from graphwire_runtime.plan.plan import Plan
from graphwire_runtime.types import START

__all__ = ["arun", "run"]


def run(request: Request) -> Iterator[Any]:
    """The chunks of a run, blocking; see `iterate`."""
    if not (request.parts and _makes_instances(request.plan)):
        return iterate(request)
    return _run(request)


def arun(request: Request) -> AsyncIterator[Any]:
    """The chunks of a run, on the event loop; see `aiterate`."""
    if not (request.parts and _makes_instances(request.plan)):
        return aiterate(request)
    return _arun(request)


def _makes_instances(plan: Plan) -> bool:
    return plan.output.makes_instances or plan.state.makes_instances


def _run(request: Request) -> Iterator[Any]:
    parts: Any = iterate(request)
    make = _maker(request.plan)
    try:
        for part in parts:
            yield make(part)
    finally:
        parts.close()


async def _arun(request: Request) -> AsyncIterator[Any]:
    parts: Any = aiterate(request)
    make = _maker(request.plan)
    try:
        async for part in parts:
            yield make(part)
    finally:
        await parts.aclose()


def _maker(plan: Plan) -> Callable[[dict[str, Any]], dict[str, Any]]:
    output, state = plan.output, plan.state

    def checkpoint(data: dict[str, Any]) -> dict[str, Any]:
        if START in data["next"] or not isinstance(data["values"], dict):
            return data
        return {**data, "values": state.instance(data["values"])}

    def make(part: dict[str, Any]) -> dict[str, Any]:
        mode, data = part["type"], part["data"]
        if mode == "values" and isinstance(data, dict):
            return {**part, "data": output.instance(data)}
        if mode == "checkpoints":
            return {**part, "data": checkpoint(data)}
        if mode == "debug" and data["type"] == "checkpoint":
            return {**part, "data": {**data, "payload": checkpoint(data["payload"])}}
        return part

    return make
