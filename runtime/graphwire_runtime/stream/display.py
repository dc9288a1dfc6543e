"""What a run shows of itself: chunks of values, updates, tasks, debug and checkpoints for whoever asked.

`loop` says what happened, this puts it into the outlets' shapes. Tokens are `messages`' business, custom data
go straight from the node's writer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from graphwire_runtime.clock import timestamp
from graphwire_runtime.plan.plan import Plan
from graphwire_runtime.plan.runtime import ignore
from graphwire_runtime.plan.schema import Pairs
from graphwire_runtime.stream.outlet import INTERRUPT, Namespace, Outlet
from graphwire_runtime.types import Interrupt, StreamWriter

if TYPE_CHECKING:
    from graphwire_runtime.plan.config import Settings
    from graphwire_runtime.step.task import Task

__all__ = ["Display", "Show", "interrupt_data", "results"]

Show = str | tuple[str, ...]


class Display:
    """The outlets of one run by what they want, and the keys that values and updates show."""

    __slots__ = (
        "_show_all",
        "checkpoints",
        "custom",
        "debug",
        "messages",
        "namespace",
        "outlets",
        "plan",
        "settings",
        "show",
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
        own: Outlet | None,
        show: Show,
    ) -> None:
        self.plan = plan
        self.settings = settings
        self.namespace = namespace
        self.show = show
        self._show_all = show == plan.keys
        self.outlets = outlets
        self.values, self.updates, self.tasks, self.debug, self.messages, self.checkpoints, self.custom = (
            tuple(outlet for outlet in outlets if mode in outlet.modes)
            for mode in ("values", "updates", "tasks", "debug", "messages", "checkpoints", "custom")
        )
        if own is not None and "custom" in own.modes:
            self.custom = (own,)  # who streams a graph's custom data takes it from everybody further out

    @property
    def live(self) -> bool:
        """Whether chunks may come while a node is still at work, so that it must not block their reader."""
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

    def output(self, values: dict[str, Any], show: Show) -> Any:
        """The present values of the keys to be shown, in schema order; the bare value for a single name."""
        if isinstance(show, str):
            return values.get(show)
        return {key: values[key] for key in show if key in values}

    def show_values(self, values: dict[str, Any], interrupts: tuple[Interrupt, ...] = ()) -> None:
        """Show the state, with the interrupts that keep it from going on."""
        for outlet in self.values:
            chunk = self.output(values, self.show)
            if outlet.parts and isinstance(chunk, dict):
                chunk = self.plan.state.instance(chunk)
            outlet.push_values(self.namespace, chunk, interrupts)

    def show_update(self, task: Task) -> None:
        """Show what a task wrote; one that was taken from the thread's store is marked."""
        if self.updates:
            update = {task.name: self._update(task.pairs)}
            if task.cached:
                update["__metadata__"] = {"cached": True}
            for outlet in self.updates:
                outlet.push("updates", self.namespace, update)

    def show_interrupts(self, interrupts: tuple[Interrupt, ...]) -> None:
        """Show that the graph stops here, and what is asked; nothing is at a static breakpoint."""
        for outlet in self.updates:
            outlet.push("updates", self.namespace, {INTERRUPT: interrupts})

    def show_start(self, step: int, task: Task) -> None:
        """Show that a task begins."""
        if self.tasks or self.debug:
            payload = {"id": task.id, "name": task.name, "input": task.input, "triggers": task.triggers}
            metadata: dict[str, Any] = {**self.settings.user_metadata(), **(task.node.metadata or {})}
            if self.settings.tags:
                metadata["tags"] = self.settings.tags
            if metadata:
                payload["metadata"] = metadata
            self._announce("task", self.tasks, "tasks", step, payload)

    def show_result(self, step: int, task: Task, error: BaseException | None = None) -> None:
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
        self._announce("checkpoint", self.checkpoints, "checkpoints", step, payload)

    def writer(self) -> StreamWriter:
        """A function that puts an object into the custom stream of whoever asked for it."""
        return _writer(self.custom, self.namespace)

    def _announce(
        self, kind: str, outlets: Sequence[Outlet], mode: str, step: int, payload: dict[str, Any]
    ) -> None:
        for outlet in outlets:
            outlet.push(mode, self.namespace, payload)
        if self.debug:
            event = {"step": step, "timestamp": timestamp(), "type": kind, "payload": payload}
            for outlet in self.debug:
                outlet.push("debug", self.namespace, event)

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


def results(pairs: Pairs) -> dict[str, Any]:
    """Writes by key; several of one key stand in a mapping of their own."""
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
        return ignore
    if len(pushes) == 1:
        (push,) = pushes

        def write(chunk: Any) -> None:
            push("custom", namespace, chunk)

        return write

    def write_to_all(chunk: Any) -> None:
        for push in pushes:
            push("custom", namespace, chunk)

    return write_to_all
