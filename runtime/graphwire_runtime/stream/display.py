"""`Display`: what a run shows of itself, as chunks of values, updates, tasks, checkpoints and debug.

`drive.loop` says what happened; a display gives it the shape of each mode and pushes it into the outlets that
asked for the mode. Tokens come from `tokens`; custom data comes straight from a node's stream writer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from graphwire_runtime.clock import time, timestamp
from graphwire_runtime.namespace import Namespace
from graphwire_runtime.plan.config import Settings
from graphwire_runtime.plan.plan import NodePlan, Plan
from graphwire_runtime.plan.runtime import no_writer
from graphwire_runtime.plan.schema import Pairs
from graphwire_runtime.servable import RETRIES
from graphwire_runtime.stream.outlet import Outlet
from graphwire_runtime.stream.tokens import TokenTap
from graphwire_runtime.types import INTERRUPT, START, Interrupt, StreamWriter

__all__ = ["Display", "Show", "ShownTask", "interrupt_data", "results", "shown_values"]

Show = str | tuple[str, ...]
"""The keys to show: one whose bare value is shown, or several that are shown as a mapping."""


class ShownTask(Protocol):
    """What a display reads of a task."""

    id: str
    name: str
    checkpoint_ns: str
    input: Any
    triggers: tuple[str, ...]
    node: NodePlan
    pairs: Pairs
    cached: bool
    interrupts: tuple[Interrupt, ...]


class Display:
    """The outlets of one run, sorted by mode.

    Args:
        plan: the graph.
        settings: the merged config.
        namespace: the namespace of the graph.
        outlets: of the consumer, and of the consumers of surrounding graphs that asked for subgraphs.
        taps: the token taps of those outlets.
        own: the consumer's own outlet, None if it streams nothing.
        show: the keys that values and updates show.
    """

    __slots__ = (
        "_show_all",
        "_writer",
        "checkpoints",
        "custom",
        "debug",
        "namespace",
        "outlets",
        "plan",
        "retries",
        "settings",
        "show",
        "taps",
        "tasks",
        "updates",
        "values",
    )

    def __init__(
        self,
        plan: Plan,
        settings: Settings,
        namespace: Namespace,
        outlets: Sequence[Outlet],
        taps: Sequence[TokenTap],
        own: Outlet | None,
        show: Show,
    ) -> None:
        self.plan = plan
        self.settings = settings
        self.namespace = namespace
        self.show = show
        self._show_all = show == plan.keys
        self.outlets = outlets
        self.taps = taps
        self._writer: StreamWriter | None = None
        self.values, self.updates, self.tasks, self.debug, self.checkpoints, self.custom, self.retries = (
            tuple(outlet for outlet in outlets if mode in outlet.modes)
            for mode in ("values", "updates", "tasks", "debug", "checkpoints", "custom", RETRIES)
        )
        if own is not None and "custom" in own.modes:
            self.custom = (own,)  # only the innermost consumer that asked for custom data gets it

    @property
    def live(self) -> bool:
        """Whether chunks may come while a node is at work, so that it must not block the consumer."""
        return any(
            outlet.subgraphs or "custom" in outlet.modes or "messages" in outlet.modes
            for outlet in self.outlets
        )

    def shows(self, pairs: Pairs) -> bool:
        """Whether any of these writes is to a key that is shown."""
        if self._show_all:
            return bool(pairs)
        show = (self.show,) if isinstance(self.show, str) else self.show
        return any(key in show for key, _ in pairs)

    def show_values(self, values: dict[str, Any], interrupts: tuple[Interrupt, ...] = ()) -> None:
        """Show the state, and the interrupts that stop the run, if any."""
        for outlet in self.values:
            chunk = shown_values(values, self.show)
            if interrupts and not isinstance(chunk, dict):
                chunk = {}
            if outlet.parts and isinstance(chunk, dict):
                chunk = self.plan.output.instance(chunk)
            outlet.push_values(self.namespace, chunk, interrupts)

    def show_update(self, task: ShownTask) -> None:
        """Show what a task wrote. If it did not run, since its writes were known, it is marked as cached."""
        if self.updates:
            update = {task.name: self._update(task.pairs)}
            if task.cached:
                update["__metadata__"] = {"cached": True}
            for outlet in self.updates:
                outlet.push("updates", self.namespace, update)

    def show_interrupts(self, interrupts: tuple[Interrupt, ...]) -> None:
        """Show that the run stops, and at which questions; at none if it stops at a static breakpoint."""
        for outlet in self.updates:
            outlet.push("updates", self.namespace, {INTERRUPT: interrupts})

    def show_start(self, step: int, task: ShownTask) -> None:
        """Show that a task starts."""
        if self.tasks or self.debug:
            payload = {"id": task.id, "name": task.name, "input": task.input, "triggers": task.triggers}
            metadata: dict[str, Any] = {**self.settings.user_metadata(), **(task.node.metadata or {})}
            if self.settings.tags:
                metadata["tags"] = self.settings.tags
            if metadata:
                payload["metadata"] = metadata
            self._announce("task", self.tasks, "tasks", step, payload)

    def show_again(self, task: ShownTask) -> None:
        """Show that a task begins again behind an attempt that failed."""
        for outlet in self.retries:
            chunk = {"id": task.id, "name": task.name, "checkpoint_ns": task.checkpoint_ns}
            outlet.push(RETRIES, self.namespace, chunk)

    def show_result(self, step: int, task: ShownTask, error: BaseException | None = None) -> None:
        """Show how a task ended."""
        if self.tasks or self.debug:
            payload = {
                "id": task.id,
                "name": task.name,
                "error": error,
                "result": results(task.pairs),
                "interrupts": [interrupt_data(asked) for asked in task.interrupts],
            }
            self._announce("task_result", self.tasks, "tasks", step, payload)

    def show_checkpoint(self, step: int, payload: dict[str, Any]) -> None:
        """Show a checkpoint of the thread."""
        made = payload
        if START not in payload["next"] and any(outlet.parts for outlet in (*self.checkpoints, *self.debug)):
            made = {**payload, "values": self.plan.state.instance(payload["values"])}
        self._announce("checkpoint", self.checkpoints, "checkpoints", step, payload, made)

    @property
    def writer(self) -> StreamWriter:
        """Puts an object into the custom streams of this graph."""
        if self._writer is None:
            self._writer = _writer(self.custom, self.namespace)
        return self._writer

    def _announce(
        self,
        kind: str,
        outlets: Sequence[Outlet],
        mode: str,
        step: int,
        payload: dict[str, Any],
        made: dict[str, Any] | None = None,
    ) -> None:
        """Show a payload; ``made`` takes its place in outlets of parts."""
        for outlet in outlets:
            outlet.push(mode, self.namespace, payload if made is None or not outlet.parts else made)
        if self.debug:
            event = {"step": step, "timestamp": timestamp(time()), "type": kind, "payload": payload}
            for outlet in self.debug:
                is_made = made is not None and outlet.parts
                outlet.push("debug", self.namespace, {**event, "payload": made} if is_made else event)

    def _update(self, pairs: Pairs) -> Any:
        show = self.show
        if isinstance(show, str):
            values = [value for key, value in pairs if key == show]
            return None if not values else values[0] if len(values) == 1 else values
        if not self._show_all:
            pairs = [pair for pair in pairs if pair[0] in show]
        if not pairs:
            return None
        update = dict(pairs)
        return update if len(update) == len(pairs) else [{key: value} for key, value in pairs]


def shown_values(values: Mapping[str, Any], show: Show) -> Any:
    """The values of the keys to show, in their order; the bare value, or None, if `show` is one name."""
    if isinstance(show, str):
        return values.get(show)
    return {key: values[key] for key in show if key in values}


def results(pairs: Pairs) -> dict[str, Any]:
    """Writes by key; several to one key become `{"$writes": [value, ...]}`."""
    writes: dict[str, Any] = {}
    several: set[str] = set()
    for key, value in pairs:
        if key not in writes:
            writes[key] = value
        elif key in several:
            writes[key]["$writes"].append(value)
        else:
            several.add(key)
            writes[key] = {"$writes": [writes[key], value]}
    return writes


def interrupt_data(asked: Interrupt) -> dict[str, Any]:
    """An interrupt as plain data."""
    return {"value": asked.value, "id": asked.id, "response_schema": asked.response_schema}


def _writer(outlets: Iterable[Outlet], namespace: Namespace) -> StreamWriter:
    pushes: list[Callable[[str, Namespace, Any], None]] = [outlet.push for outlet in outlets]
    if not pushes:
        return no_writer
    if len(pushes) == 1:
        (push,) = pushes

        def write(chunk: Any) -> None:
            push("custom", namespace, chunk)

        return write

    def write_to_all(chunk: Any) -> None:
        for push in pushes:
            push("custom", namespace, chunk)

    return write_to_all
