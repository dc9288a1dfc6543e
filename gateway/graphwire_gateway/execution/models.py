"""States as version v2 of LangGraph's streams has them: instances of the class of a state or an output.

The graph itself always streams version v1: its run needs the values even if nobody asked for them, and not
every state makes an instance, since a field may be missing until some node has written it.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

from graphwire_protocol.types import Namespace
from pydantic import BaseModel

from graphwire_gateway.graphs.library import schemas_of


class Models:
    """Makes instances of the classes of a graph's states. It calls the graph's code: use it on the runner."""

    def __init__(self, graph: Any) -> None:
        self._output, self._state = (cls if _is_model(cls) else None for cls in schemas_of(graph))

    def part(self, ns: Namespace, mode: str, chunk: Any) -> tuple[Any, Sequence[Any]]:
        """Return what v2 has in place of a chunk of v1, and the interrupts beside it.

        Raises what the class raises.
        """
        if not isinstance(chunk, dict):
            return chunk, ()
        if mode == "values":
            return self._values(ns, _without_marks(chunk)), chunk.get("__interrupt__", ())
        if mode == "checkpoints":
            return self._checkpoint(chunk), ()
        if mode == "debug" and chunk.get("type") == "checkpoint":
            return {**chunk, "payload": self._checkpoint(chunk.get("payload"))}, ()
        return chunk, ()

    def output(self, values: Any) -> Any:
        """Return what v2 has in place of the values that ``invoke`` returns. Raises what the class raises."""
        if self._output is None or not isinstance(values, dict):
            return values
        return self._output(**_without_marks(values))

    def _values(self, ns: Namespace, values: dict[str, Any]) -> Any:
        try:
            return self.output(values)
        except Exception:
            if not ns:
                raise
            return values  # LangGraph takes the root's class for the states of subgraphs, too

    def _checkpoint(self, payload: Any) -> Any:
        if (
            self._state is None
            or not isinstance(payload, dict)
            or not isinstance(payload.get("values"), dict)
        ):
            return payload
        if "__start__" in payload.get("next", ()):  # the input is not in the state yet
            return payload
        return {**payload, "values": self._state(**payload["values"])}


def _without_marks(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key != "__interrupt__"}


def _is_model(cls: Any) -> bool:
    return isinstance(cls, type) and (issubclass(cls, BaseModel) or dataclasses.is_dataclass(cls))
