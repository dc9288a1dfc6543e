"""`Relay`: takes the chunks of a graph of LangGraph's that runs in a task, to the outlets of the run."""

from __future__ import annotations

from typing import Any

from graphwire_runtime.foreign.words import TASK, ours_of_asked
from graphwire_runtime.types import INTERRUPT

__all__ = ["Relay"]

RETRIES = "retries"


class Relay:
    """A stream as LangGraph's graphs know it: modes, and a function of `(namespace, mode, chunk)`.

    Tokens and custom data do not come this way: callbacks and stream writers bring them.

    Args:
        task: the task that the graph runs in.
    """

    __slots__ = ("_beats", "_outlets", "_repeated", "modes")

    def __init__(self, task: Any) -> None:
        self._outlets = [outlet for outlet in task.run.display.outlets if outlet.subgraphs]
        self._repeated = task.retried or task.run.repeated
        self._beats = task.beats
        self.modes = {mode for outlet in self._outlets for mode in outlet.modes}
        if RETRIES in self.modes:
            self.modes.add("tasks")

    def __call__(self, part: tuple[tuple[str, ...], str, Any]) -> None:
        """Push a chunk into the outlets that asked for its mode."""
        namespace, mode, chunk = part
        for beat in self._beats:
            beat()
        asked: tuple[Any, ...] = ()
        rest = chunk
        if mode in ("values", "updates") and isinstance(chunk, dict) and INTERRUPT in chunk:
            asked = tuple(map(ours_of_asked, chunk[INTERRUPT]))
            rest = {key: value for key, value in chunk.items() if key != INTERRUPT}
            chunk = {**chunk, INTERRUPT: asked}
        elif mode in ("checkpoints", "debug"):
            chunk = _without_task(chunk)
        for outlet in self._outlets:
            if mode == "values" and mode in outlet.modes:
                outlet.push_values(namespace, rest, asked)
            elif mode in outlet.modes:
                outlet.push(mode, namespace, chunk)
            if self._repeated and mode == "tasks" and RETRIES in outlet.modes and "result" not in chunk:
                where = "|".join((*namespace, f"{chunk['name']}:{chunk['id']}"))
                again = {"id": chunk["id"], "name": chunk["name"], "checkpoint_ns": where}
                outlet.push(RETRIES, namespace, again)


def _without_task(value: Any) -> Any:
    """A checkpoint as LangGraph shows it, without our task in its configs."""
    if isinstance(value, list):
        return [_without_task(item) for item in value]
    if not isinstance(value, dict):
        return value
    shown = {}
    for key, item in value.items():
        if key in ("payload", "config", "parent_config", "tasks", "state"):
            item = _without_task(item)
        elif key == "configurable":
            item = {name: each for name, each in item.items() if name != TASK}
        shown[key] = item
    return shown
