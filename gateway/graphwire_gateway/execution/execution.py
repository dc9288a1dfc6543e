"""One execution of a graph, on the runner's loop: pull a part, encode it, hand it home, no faster than home
takes it.
"""

import asyncio
import math
from dataclasses import dataclass
from typing import Any, Literal, cast

import orjson
from graphwire_protocol.payloads import PendingInterrupt
from graphwire_protocol.types import Mode, Namespace
from graphwire_runtime.servable import Servable, StreamMode

from graphwire_gateway.execution.encode import Encoder
from graphwire_gateway.execution.request import Task
from graphwire_gateway.failures import RunLimit
from graphwire_gateway.graphs.runner import Runner
from graphwire_gateway.log.store import Record
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
    events: int = 0
    """How many events were made, of an interrupted one."""
    error: BaseException | None = None


class Drive:
    """Runs a task. What it makes goes home through the runner's hand-over: records, at last an outcome.

    ``before`` counts the events that the run made until it was interrupted.
    """

    def __init__(self, owner: Any, task: Task, runner: Runner, encoder: Encoder, before: int = 0) -> None:
        self.owner = owner
        self._task = task
        self._runner = runner
        self._encoder = encoder
        self._values: Any = None
        self._has_values = False
        self._pending: dict[str, PendingInterrupt] = {}
        self._paused = False
        self._made: list[Record | Outcome] = []  # in this tick
        self._limit = math.inf if task.max_events is None else task.max_events - before
        # The hand-over's bound: written by the runner, ``taken_*`` by home.
        self._put_events = 0
        self._put_bytes = 0
        self.taken_events = 0
        self.taken_bytes = 0
        self._room = asyncio.Event()
        self._waits = False
        self._is_over = False
        self.has_forgotten = False
        """Whether the private thread, if there is one, was deleted, and nothing can have written it since."""

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
        task = self._task
        keeps = task.scope is not None
        async with task.entry.open(task.config, with_threads=keeps, context=task.context) as graph:
            return await self._stream(graph)

    async def _stream(self, graph: Servable) -> Outcome:
        task, recorded, encoder = self._task, self._task.modes, self._encoder
        stream = graph.astream(
            task.given_to(graph),
            task.config.copy(),
            stream_mode=_asked(task, graph),
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
                        raise RunLimit(
                            f"the run has more than {self._task.max_events} events (max_run_events)"
                        )
                    if self._is_full():
                        await self._wait_for_room()
                if mode == "values" or mode == "updates":
                    self._follow(ns, mode, chunk)
        finally:
            close = getattr(stream, "aclose", None)
            try:
                if close is not None:
                    await close()
            finally:
                if not self._paused:
                    await _forget(task, graph)
        self.has_forgotten = not self._paused
        kind: Literal["interrupted", "completed"] = "interrupted" if self._paused else "completed"
        return Outcome(kind, self._output(graph), tuple(self._pending.values()), self._put_events)

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

    def _output(self, graph: Servable) -> bytes:
        return self._encoder.value(_output_of(self._task, graph, self._values) if self._has_values else None)

    async def forget(self) -> None:
        """Delete the private thread: nobody can go on with it. Raises nothing."""
        try:
            async with self._task.entry.open(
                self._task.config, with_threads=True, access_context="threads.read"
            ) as graph:
                await _forget(self._task, graph)
        except Exception as error:
            log.warning("a run's private thread was not deleted", error=repr(error))


async def _forget(task: Task, graph: Servable) -> None:
    scope, saver = task.scope, graph.checkpointer
    if scope is None or not scope.is_private or not hasattr(saver, "adelete_thread"):
        return
    try:
        await saver.adelete_thread(scope.saved)
    except Exception as error:  # some savers have the method and cannot delete
        log.warning("a run's private thread was not deleted", thread=scope.saved, error=repr(error))


def _asked(task: Task, graph: Servable) -> list[StreamMode]:
    """Return the modes to ask the graph for: the recorded ones, and those that the server follows itself.

    A static breakpoint shows in ``updates`` alone, and so does an interrupt where states are bare values.
    """
    breaks = any(task.options.get(name) for name in ("interrupt_before", "interrupt_after")) or any(
        getattr(graph, name, None) for name in ("interrupt_before_nodes", "interrupt_after_nodes")
    )
    keys = task.options.get("output_keys")
    bare = isinstance(graph.output_channels if keys is None else keys, str)
    own: set[Mode] = {"values", "updates"} if breaks or bare else {"values"}
    return sorted(cast("set[StreamMode]", task.modes | own))


def _output_of(task: Task, graph: Servable, values: Any) -> Any:
    """Return what ``invoke`` would return: the last values, cut to the output schema."""
    if task.options.get("output_keys") is not None or not isinstance(values, dict):
        return values
    keys = graph.output_channels
    if isinstance(keys, str):
        return values.get(keys)
    return {key: values[key] for key in keys if key in values} or None
