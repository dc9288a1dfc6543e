"""One execution of a graph, on the runner's loop: pull a part, encode it, hand it home, no faster than home
takes it.
"""

import asyncio
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, cast

import orjson
from graphwire_protocol.payloads import PendingInterrupt
from graphwire_protocol.types import Mode, Namespace
from graphwire_runtime.servable import Servable, StreamMode

from graphwire_gateway.encode import Encoder
from graphwire_gateway.failures import RunLimit
from graphwire_gateway.runner import Runner
from graphwire_gateway.store.base import Record
from graphwire_gateway.telemetry import logger

log = logger("drive")

HAND_OVER_EVENTS = 1024
HAND_OVER_BYTES = 1 << 20
"""How much of a run may be on its way to the store before the graph is not pulled any further."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an execution ended. ``output`` is what ``invoke`` would return, as JSON."""

    kind: Literal["completed", "interrupted", "failed", "cancelled"]
    output: bytes | None = None
    interrupts: tuple[PendingInterrupt, ...] = ()
    error: BaseException | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """What a graph is asked for: arguments of its ``astream``, and which modes are recorded."""

    graph: Servable
    input: Any
    config: Mapping[str, Any]
    context: Any = None
    options: Mapping[str, Any] = field(default_factory=dict)
    modes: frozenset[Mode] = frozenset()
    subgraphs: bool = False
    private_thread: str | None = None
    max_events: int | None = None


class Drive:
    """Runs a task. What it makes goes home through the runner's hand-over: records, at last an outcome."""

    def __init__(self, owner: Any, task: Task, runner: Runner, encoder: Encoder) -> None:
        self.owner = owner
        self._task = task
        self._runner = runner
        self._encoder = encoder
        self._values: Any = None
        self._has_values = False
        self._pending: dict[str, PendingInterrupt] = {}
        self._paused = False
        self._made: list[Record | Outcome] = []  # in this tick
        self._limit = math.inf if task.max_events is None else task.max_events
        # The hand-over's bound: written by the runner, ``taken_*`` by home.
        self._put_events = 0
        self._put_bytes = 0
        self.taken_events = 0
        self.taken_bytes = 0
        self._room = asyncio.Event()
        self._waits = False
        self._is_over = False

    def stop(self) -> None:
        """Nothing more is taken: pull the graph no further. Runs on the home loop."""
        self._is_over = True
        self._runner.later(self._room.set)

    def taken(self, events: int, size: int) -> None:
        """Home has stored that much of what was put; runs on the home loop."""
        self.taken_events += events
        self.taken_bytes += size
        if self._waits and not self._is_full():
            self._waits = False
            self._runner.later(self._room.set)

    async def work(self) -> None:
        """Run the task to its end. Raises nothing: every end is an outcome."""
        try:
            outcome = await self._run()
        except asyncio.CancelledError as error:
            outcome = Outcome("cancelled", error=error)
        except BaseException as error:
            outcome = Outcome("failed", error=error)
        self._put(outcome)

    def _put(self, item: Record | Outcome) -> None:
        if not self._made:
            self._runner.put(self)
        self._made.append(item)

    def collect(self) -> tuple["Drive", list[Record | Outcome]]:
        """Return what was made since the last tick; for the runner."""
        made, self._made = self._made, []
        return self, made

    async def _run(self) -> Outcome:
        task, recorded, encoder = self._task, self._task.modes, self._encoder
        stream = task.graph.astream(
            task.input,
            dict(task.config),  # type: ignore[arg-type]
            stream_mode=_asked(task),
            subgraphs=task.subgraphs,
            **({} if task.context is None else {"context": task.context}),
            **task.options,
        )
        ns: Namespace = ()
        try:
            async for item in stream:
                if self._is_over:
                    break  # its code went on after it was cancelled
                if task.subgraphs:
                    ns, mode, chunk = item
                else:
                    mode, chunk = item
                if mode in recorded:
                    record = encoder.part(ns, mode, chunk)
                    self._put(record)
                    self._put_events += 1
                    self._put_bytes += record.size
                    if self._put_events > self._limit:
                        raise RunLimit(f"the run has more than {self._limit} events (max_run_events)")
                    if self._is_full():
                        await self._wait_for_room()
                if mode == "values" or mode == "updates":
                    self._follow(ns, mode, chunk)
        finally:
            close = getattr(stream, "aclose", None)
            if close is not None:
                await close()
            if not self._paused:
                await self.forget()
        kind: Literal["interrupted", "completed"] = "interrupted" if self._paused else "completed"
        return Outcome(kind, self._output(), tuple(self._pending.values()))

    def _follow(self, ns: Namespace, mode: str, chunk: Any) -> None:
        """Keep the root's values for the result, and the interrupts that wait."""
        is_state = isinstance(chunk, dict)
        if mode == "values" and not ns:
            self._values, self._has_values = chunk, True
        if not is_state or "__interrupt__" not in chunk:
            return
        if not ns:
            self._paused = True
        for item in chunk["__interrupt__"]:
            known = self._pending.get(item.id)
            if known is None or len(ns) > len(known.ns):
                value = orjson.loads(self._encoder.value(item.value))
                self._pending[item.id] = PendingInterrupt(id=item.id, value=value, ns=ns)

    def _is_full(self) -> bool:
        return (
            self._put_events - self.taken_events >= HAND_OVER_EVENTS
            or self._put_bytes - self.taken_bytes >= HAND_OVER_BYTES
        )

    async def _wait_for_room(self) -> None:
        self._room.clear()
        self._waits = True
        # Home may have taken some between the look and the flag.
        if self._is_full() and not self._is_over:
            await self._room.wait()
        self._waits = False

    def _output(self) -> bytes:
        return self._encoder.value(output_of(self._task, self._values) if self._has_values else None)

    async def forget(self) -> None:
        """Delete the private thread: nobody can go on with it. Raises nothing."""
        thread, saver = self._task.private_thread, self._task.graph.checkpointer
        if thread is None or not hasattr(saver, "adelete_thread"):
            return
        try:
            await saver.adelete_thread(thread)
        except Exception as error:  # some savers have the method and cannot delete
            log.warning("a run's private thread was not deleted", thread=thread, error=repr(error))


def _asked(task: Task) -> list[StreamMode]:
    """Return the modes to ask the graph for: the recorded ones, and those that the server follows itself.

    A static breakpoint shows in ``updates`` alone.
    """
    breaks = any(task.options.get(name) for name in ("interrupt_before", "interrupt_after")) or any(
        getattr(task.graph, name, None) for name in ("interrupt_before_nodes", "interrupt_after_nodes")
    )
    own: set[Mode] = {"values", "updates"} if breaks else {"values"}
    return sorted(cast("set[StreamMode]", task.modes | own))


def output_of(task: Task, values: Any) -> Any:
    """Return what ``invoke`` would return: the last values, cut to the output schema."""
    if task.options.get("output_keys") is not None or not isinstance(values, dict):
        return values
    keys = task.graph.output_channels
    if isinstance(keys, str):
        return values.get(keys)
    return {key: values[key] for key in keys if key in values} or None
