"""One execution of a graph: it pulls parts out of ``astream``, encodes them and hands them over.

An execution uses two loops: its code runs on the graph's runner; its owner, a run, is on the main loop. What
the graph makes crosses over once a tick, as ``Made``: records, and at the end an outcome. The other way,
``stored`` reports how much of it the store holds. The graph is not pulled while more than a bounded amount is
in between, so a slow store slows graphs down instead of filling memory.

What crosses is data (``RunRequest`` in, ``Made`` out), and the owner is one small Protocol, because the two
sides need not stay in one process.

Long because an execution is a state on two loops, and each method says on which it runs.
"""

import asyncio
import math
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal, Protocol, cast

import orjson
from graphwire_protocol.limits import DEFAULTS
from graphwire_protocol.payloads import Failure, PendingInterrupt
from graphwire_protocol.projection import Encoders, Projector
from graphwire_protocol.types import Mode, Namespace
from graphwire_runtime import CompiledStateGraph
from graphwire_runtime.servable import RETRIES, Servable, StreamMode

from graphwire_gateway.execution.attempts import Attempts
from graphwire_gateway.execution.encode import Encoder
from graphwire_gateway.execution.models import Models
from graphwire_gateway.execution.namespaces import GraphNamespaces, is_of_langgraph
from graphwire_gateway.execution.request import RunRequest
from graphwire_gateway.execution.schemas import response_schema_of
from graphwire_gateway.failures import Failures, RunLimit, forget_frames
from graphwire_gateway.fence import Fence
from graphwire_gateway.graphs.catalog import Catalog
from graphwire_gateway.graphs.entry import Entry
from graphwire_gateway.graphs.exits import cause_of
from graphwire_gateway.graphs.job import Job
from graphwire_gateway.graphs.pause import Pause
from graphwire_gateway.graphs.paused_saver import as_paused, read_pause
from graphwire_gateway.graphs.private import PrivateSaver
from graphwire_gateway.log.record import Record
from graphwire_gateway.scope import Scope, thread_config
from graphwire_gateway.telemetry import bind_to_logs, logger

log = logger("execution")

HAND_OVER_EVENTS = 1024
HAND_OVER_BYTES = 1 << 20
"""How much of an execution may be on its way to the store before its graph is not pulled any further."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an execution ended.

    ``completed``: ``output`` is what ``invoke`` would return, as JSON. ``interrupted``: the same, and what
    the graph asks. ``failed``: why. ``cancelled``: its owner had cancelled it.
    """

    kind: Literal["completed", "interrupted", "failed", "cancelled"]
    output: bytes | None = None
    interrupts: tuple[PendingInterrupt, ...] = ()
    failure: Failure | None = None
    schemas: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    """With ``interrupted``: the whole schemas of the answers, by interrupt, of which ``interrupts`` may show
    a part only.
    """
    kept_bytes: int = 0
    """With ``interrupted``: what was written of a private thread, in bytes."""
    pause: Pause | None = None
    """With ``interrupted``: what another process needs to repeat what follows; None if none could."""


@dataclass(slots=True)
class Made:
    """What an execution made in one tick: records, and its outcome if it has ended.

    ``checkpoint`` is the one of the thread that the graph begins from, when it is known: before all records.
    It is "" if the thread has none.
    """

    records: list[Record]
    outcome: Outcome | None = None
    checkpoint: str | None = None
    marks: Sequence[tuple[int, str]] = ()
    """Checkpoints that were reached, each with the number of ``records`` that were made before."""
    pause: Pause | None = None
    """With ``checkpoint``, of a run that begins without an input: what its thread was then."""


class ExecutionOwner(Protocol):
    """Whoever started an execution. Both methods are called on the main loop."""

    def receive(self, execution: "Execution", made: Made) -> None:
        """Take what the execution made since the last call."""

    def stopped(self, execution: "Execution") -> None:
        """All code of the execution has ended, also nodes in threads."""


@dataclass(frozen=True, slots=True)
class Executor:
    """The side of the server that runs graphs.

    ``max_event_bytes`` bounds the data of one event, ``max_meta_bytes`` the metadata of a message, and
    ``delete_s`` the time until a saver has deleted a private thread. ``encoders`` are the operator's for
    values of graphs. ``outlives`` says whether the store outlives the process: then executions tell which
    checkpoints they reach, and a private thread stays until its owner lets it be deleted.
    """

    catalog: Catalog
    failures: Failures
    max_event_bytes: int
    encoders: Encoders | None = None
    max_meta_bytes: int = DEFAULTS.max_frame_bytes
    delete_s: float = DEFAULTS.state_timeout_s
    outlives: bool = False
    fence: Callable[[], Fence | None] = lambda: None
    """Returns what an execution that begins now writes to its thread with."""

    def start(self, request: RunRequest, owner: ExecutionOwner) -> "Execution":
        """Start to run a graph; the owner hears of all that follows."""
        execution = self._new(request, owner, 0, is_resumed=False)
        execution.start()
        return execution

    def again(self, request: RunRequest, owner: ExecutionOwner, events_before: int) -> "Execution":
        """Start to run a graph for a run that an earlier process began, whose log has ``events_before``."""
        execution = self._new(request, owner, events_before, is_resumed=True)
        execution.start()
        return execution

    def paused(self, request: RunRequest, owner: ExecutionOwner, events_before: int) -> "Execution":
        """Return an execution that waits to be resumed: of a run that an earlier process began.

        ``events_before`` counts the events that its log has. Raises ``Refusal`` if its graph is not served.
        """
        return self._new(request.paused(), owner, events_before, is_resumed=True)

    def _new(
        self, request: RunRequest, owner: ExecutionOwner, events_before: int, *, is_resumed: bool
    ) -> "Execution":
        projector = Projector(self.failures.in_data, self.encoders, self.max_event_bytes)
        encoder = Encoder(projector, self.max_event_bytes, request.scope, self.max_meta_bytes, events_before)
        entry = self.catalog.get(request.graph)
        return Execution(
            request,
            owner,
            entry,
            encoder,
            self.failures,
            self.delete_s,
            events_before,
            is_resumed,
            self.outlives,
            self.fence,
        )


class Execution:
    """One execution of ``request``, made by an ``Executor``. Call its methods on the main loop.

    ``events_before`` counts the events that earlier executions of the same run made, if it ``is_resumed``.
    """

    def __init__(
        self,
        request: RunRequest,
        owner: ExecutionOwner,
        entry: Entry,
        encoder: Encoder,
        failures: Failures,
        delete_s: float = DEFAULTS.state_timeout_s,
        events_before: int = 0,
        is_resumed: bool = False,
        outlives: bool = False,
        fence: Callable[[], Fence | None] = lambda: None,
    ) -> None:
        self._request = request
        self._fence = fence
        self._outlives = outlives
        self._is_resumed = is_resumed
        self._owner = owner
        self._entry = entry
        self._runner = entry.runner
        self._encoder = encoder
        self._failures = failures
        self._delete_s = delete_s
        self._events_before = events_before
        self._job: Job | None = None
        self._is_cancelled = False
        self._is_dropped = False
        # On the runner's loop.
        self._records: list[Record] = []  # made in this tick
        self._outcome: Outcome | None = None
        self._ended: Outcome | None = None  # the outcome that was handed over
        self._failed: tuple[BaseException, Outcome] | None = None  # by what it ended
        self._checkpoint: str | None = None
        self._marks: list[tuple[int, str]] = []
        self._begun_at: Pause | None = None
        self._is_put = False  # whether the runner collects at the end of this tick
        self._values: Any = None
        self._has_values = False
        self._asked: dict[str, PendingInterrupt] = {}
        self._is_interrupted = False
        self._may_have_thread = is_resumed  # a private one
        self._limit = math.inf if request.max_events is None else request.max_events - events_before
        # The bound on what is handed over: ``_put_*`` is written on the runner's loop, ``_stored_*`` on the
        # main loop.
        self._put_events = 0
        self._put_bytes = 0
        self._stored_events = 0
        self._stored_bytes = 0
        self._room = asyncio.Event()
        self._is_waiting = False

    # ── called by its owner, on the main loop ────────────────────────────────────────────────────

    def start(self) -> None:
        """Begin on the runner's loop."""
        self._job = self._start(self._work, self._stopped)

    def _start(
        self, work: Callable[[], Coroutine[Any, Any, None]], on_end: Callable[[Job], None] | None = None
    ) -> Job:
        return self._runner.start(work, on_end, principal=self._request.principal, fence=self._fence())

    def resume(self, answers: Mapping[str, Any]) -> "Execution":
        """Start and return the execution that continues an interrupted one with ``answers``."""
        following = Execution(
            self._request.resumed(answers),
            self._owner,
            self._entry,
            self._encoder,
            self._failures,
            self._delete_s,
            self._events_before + self._put_events,
            is_resumed=True,
            outlives=self._outlives,
            fence=self._fence,
        )
        following.start()
        return following

    @property
    def is_over(self) -> bool:
        """Whether all its code has ended."""
        return self._job is None or self._job.is_over

    def stored(self, events: int, size: int) -> None:
        """The store holds that many more events and bytes."""
        self._stored_events += events
        self._stored_bytes += size
        if self._is_waiting and not self._is_full():
            self._is_waiting = False
            self._runner.later(self._room.set)

    def cancel(self, again_s: float) -> None:
        """Cancel the graph's code, and again every ``again_s`` seconds while it runs."""
        self._is_cancelled = True
        if self._job is not None:
            self._job.cancel(again_s)

    def drop(self) -> None:
        """Pull the graph no further: nothing that it still makes is received."""
        self._is_dropped = True
        self._runner.later(self._room.set)

    def delete_private_thread(self) -> None:
        """Delete the run's private thread, if it has one, on the runner: nothing can continue it."""
        scope = self._request.scope
        if scope is not None and scope.is_private and self._may_have_thread:
            self._start(self._delete_thread)

    def _stopped(self, job: Job) -> None:
        self._owner.stopped(self)

    # ── on the runner's loop ─────────────────────────────────────────────────────────────────────

    def collect(self) -> Callable[[], None]:
        """Return the hand-over of what was made since the last tick; called by the runner."""
        made = Made(self._records, self._outcome, self._checkpoint, self._marks or (), self._begun_at)
        self._records, self._outcome, self._checkpoint, self._is_put = [], None, None, False
        self._begun_at = None
        if self._marks:
            self._marks = []
        return partial(self._owner.receive, self, made)

    async def _work(self) -> None:
        # Raises nothing: every end is an outcome.
        request = self._request
        thread = None if request.scope is None or request.scope.is_private else request.scope.thread
        bind_to_logs(run=request.run, graph=request.graph, thread=thread)
        try:
            outcome = await self._run()
        except BaseException as error:
            outcome = self._ended_by(error)
            forget_frames(error)
        # Nothing begins again from here: what it was given and the state that it made are let go.
        self._request = replace(request.paused(), pause=outcome.pause)
        self._values, self._asked, self._failed = None, {}, None
        self._end(outcome)

    def _end(self, outcome: Outcome) -> None:
        if outcome is not self._ended:  # what happens behind it may have changed it
            self._ended = self._outcome = outcome
            self._hand_over()

    def _ended_by(self, error: BaseException) -> Outcome:
        if self._failed is None or self._failed[0] is not error:
            self._failed = error, self._outcome_of(error)
        return self._failed[1]

    def _outcome_of(self, error: BaseException) -> Outcome:
        if self._is_cancelled:
            return Outcome("cancelled")
        request = self._request
        try:
            failure = self._failures.of_run(cause_of(error), request.graph, request.run, request.scope)
        except BaseException as fault:  # describing an exception calls its code
            log.error("an exception cannot be described", run=request.run, error=type(fault).__name__)
            failure = Failure(code="graph_error", message="the graph raised what cannot be described")
        return Outcome("failed", failure=failure)

    def _put(self, record: Record) -> None:
        """Hand a record over. Raises ``RunLimit``."""
        self._encoder.check(record)
        if not self._is_put:
            self._hand_over()
        self._records.append(record)
        self._put_events += 1
        self._put_bytes += record.size

    def _hand_over(self) -> None:
        if not self._is_put:
            self._is_put = True
            self._runner.put(self)

    async def _run(self) -> Outcome:
        request = self._request
        async with self._entry.open(
            request.config,
            with_threads=request.scope is not None,
            is_held=request.is_held,
            context=request.context,
        ) as graph:
            self._may_have_thread = True
            if request.pause is not None:
                graph = as_paused(graph, request.pause)
            try:
                outcome = await self._stream(graph)
            except BaseException as error:
                await self._end_and_delete(self._ended_by(error), graph)
                raise
            if outcome.kind != "interrupted":
                await self._end_and_delete(outcome, graph)
            return outcome

    async def _end_and_delete(self, outcome: Outcome, graph: Servable) -> None:
        """Hand the outcome over, which a saver thus delays by a grace at most; delete the private thread."""
        if self._outlives and not self._request.is_held:
            return  # if the process stops before the store has the end, the run goes on from its thread
        self._may_have_thread = False
        if _has_private_thread(self._request, graph):
            self._end(outcome)
            await self._delete(graph)

    async def _stream(self, graph: Servable) -> Outcome:
        request, recorded, encoder = self._request, self._request.modes, self._encoder
        scope = request.scope
        if scope is not None and not scope.is_private and request.checkpoint is None and not self._is_resumed:
            self._checkpoint = await _latest_checkpoint(graph, scope, request.principal)
            if request.input is None:
                self._begun_at = await self._pause(graph)
            self._hand_over()
        config = request.config.copy()
        attempts = None
        if "messages" in recorded and is_of_langgraph(graph):
            attempts = Attempts()
            config["callbacks"] = [attempts]
        modes = _stream_modes(request, graph)
        marker: _Marker | None = None
        if self._outlives and _can_go_on(request, graph):
            marker = _Marker(begins=request.input is not None)
            modes = sorted({*modes, "checkpoints"})
        # Of a checkpoint mode ``debug`` speaks as well, behind ``checkpoints``, and is not of the next step.
        reached, says_last = None, "debug" if "debug" in modes else "checkpoints"
        stream = graph.astream(
            request.argument(graph),
            config,
            stream_mode=modes,
            subgraphs=request.subgraphs,
            **({} if request.context is None else {"context": request.context}),
            **request.options,
        )
        models = Models(graph) if request.version == "v2" else None
        is_held = request.is_held
        if is_held:
            recorded -= {"checkpoints"}
        ns: Namespace = ()
        namespaces = GraphNamespaces() if _needs_namespaces(request, graph) else None
        try:
            async for item in stream:
                if self._is_dropped:
                    break  # its code continued after it was cancelled
                if request.subgraphs:
                    ns, mode, chunk = item
                else:
                    mode, chunk = item
                if namespaces is not None and mode == "tasks":
                    namespaces.note(ns, chunk)
                if attempts is not None and attempts.has_any and mode == "messages":
                    self._take_back(attempts.void_before(chunk[1]))
                if mode in recorded and not (is_held and mode == "debug" and _is_checkpoint(chunk)):
                    at = ns if namespaces is None or mode != "custom" else namespaces.graph_of(ns)
                    if at != ns:
                        self._put(encoder.custom_of_task(at, ns, chunk))
                    elif models is None:
                        self._put(encoder.part(ns, mode, chunk))
                    else:
                        self._put(encoder.part(ns, mode, *models.part(ns, mode, chunk)))
                    if self._put_events > self._limit:
                        raise RunLimit(f"the run has more than {request.max_events} events (max_run_events)")
                    if self._is_full():
                        await self._wait_for_room()
                elif mode == RETRIES:
                    self._take_back(chunk["checkpoint_ns"])
                if mode == "values" or mode == "updates":
                    self._follow(ns, mode, chunk)
                elif marker is not None and not ns:
                    if mode == "checkpoints":
                        reached = marker.checkpoint(chunk)
                    if mode == says_last and (mode == "checkpoints" or _is_checkpoint(chunk)):
                        self._mark(reached)
        finally:
            close = getattr(stream, "aclose", None)
            if close is not None:
                await close()
        for void in () if attempts is None else attempts.void_at_end():
            self._take_back(void)
        output = _output_of(request, graph, self._values) if self._has_values else None
        if models is not None:
            output = models.output(output)
        encoded = encoder.value(output)
        if not self._is_interrupted:
            return Outcome("completed", encoded)
        kept = 0
        if isinstance(graph.checkpointer, PrivateSaver):
            assert request.scope is not None
            kept = await graph.checkpointer.keep(request.scope.saved)
        asked = tuple(self._asked.values())
        schemas = {one.id: one.response_schema for one in asked if one.response_schema}
        pause = await self._pause(graph)
        questions = encoder.questions(asked)
        return Outcome("interrupted", encoded, questions, schemas=schemas, kept_bytes=kept, pause=pause)

    async def _pause(self, graph: Servable) -> Pause | None:
        """Return what the thread's saver has now, if another process may find it there."""
        scope = self._request.scope
        is_found = self._outlives and not self._request.is_held and not self._entry.keeps_threads_in_memory
        if scope is None or not is_found:
            return None
        try:
            return await asyncio.wait_for(read_pause(graph.checkpointer, scope.saved), self._delete_s)
        except Exception as error:  # only a kill would need it
            self._failures.note("what a run waits at was not read", cause_of(error), run=self._request.run)
            return None

    def _mark(self, checkpoint: str | None) -> None:
        """Tell that all records so far are of steps that this checkpoint holds, and no later one is."""
        if checkpoint is not None:
            self._marks.append((len(self._records), checkpoint))
            self._hand_over()

    def _take_back(self, checkpoint_ns: str | None) -> None:
        """Record that what the task with this namespace has said is void."""
        for record in () if checkpoint_ns is None else self._encoder.take_back(checkpoint_ns):
            self._put(record)

    def _follow(self, ns: Namespace, mode: str, chunk: Any) -> None:
        """Remember the root's values, for the result, and the interrupts that wait for answers."""
        is_state = isinstance(chunk, dict)
        if mode == "values" and not ns:
            self._values, self._has_values = chunk, True
        if not is_state or "__interrupt__" not in chunk:
            return
        if not ns:
            self._is_interrupted = True
        for item in chunk["__interrupt__"]:
            known = self._asked.get(item.id)
            if known is None or len(ns) > len(known.ns):
                value = orjson.loads(self._encoder.value(item.value))
                self._asked[item.id] = PendingInterrupt(
                    id=item.id, value=value, ns=ns, response_schema=response_schema_of(item)
                )

    def _is_full(self) -> bool:
        return (
            self._put_events - self._stored_events >= HAND_OVER_EVENTS
            or self._put_bytes - self._stored_bytes >= HAND_OVER_BYTES
        )

    async def _wait_for_room(self) -> None:
        self._room.clear()
        self._is_waiting = True
        # The store may have taken some between the check and the flag.
        try:
            if self._is_full() and not self._is_dropped:
                await self._room.wait()
        finally:
            self._is_waiting = False

    async def _delete_thread(self) -> None:
        request = self._request

        async def open_and_delete() -> None:
            async with self._entry.open(
                request.config,
                with_threads=True,
                is_held=request.is_held,
                access_context="threads.read",
            ) as graph:
                if _has_private_thread(request, graph):
                    await self._delete(graph)

        try:
            await asyncio.wait_for(open_and_delete(), self._delete_s)
        except BaseException as error:
            self._note_not_deleted(error)

    async def _delete(self, graph: Servable) -> None:
        """Delete the private thread; whatever the saver raises or does not do changes no outcome."""
        assert self._request.scope is not None
        saver: Any = graph.checkpointer
        id = self._request.scope.saved
        if isinstance(saver, PrivateSaver) and saver.forget(id):
            return
        try:
            await asyncio.wait_for(saver.adelete_thread(id), self._delete_s)
        except BaseException as error:
            if isinstance(error, asyncio.CancelledError) and self._is_cancelled:
                raise
            self._note_not_deleted(error)

    def _note_not_deleted(self, error: BaseException) -> None:
        run = self._request.run
        self._failures.note("a run's private thread was not deleted", cause_of(error), run=run)


class _Marker:
    """Knows which of the checkpoints that a graph shows are its execution's own.

    Unless it ``begins`` with an input, the first one is that from which it goes on, or a copy of that.
    """

    def __init__(self, *, begins: bool) -> None:
        self._first: str | None = "" if begins else None

    def checkpoint(self, chunk: Any) -> str | None:
        """Return the id of the checkpoint in an item of mode ``checkpoints``; None if it is not its own."""
        id = str(chunk["config"]["configurable"]["checkpoint_id"])
        if self._first is None:
            self._first = id
        return None if id == self._first else id


def _can_go_on(request: RunRequest, graph: Servable) -> bool:
    """Tell whether another process could go on from a checkpoint of the run.

    Whoever goes on from a checkpoint passes the breakpoint there, so that a run with breakpoints does not.
    """
    has_thread = request.scope is not None and not request.is_held
    return has_thread and request.options.get("durability") != "exit" and not _has_breakpoints(request, graph)


def _has_breakpoints(request: RunRequest, graph: Servable) -> bool:
    return any(request.options.get(name) for name in ("interrupt_before", "interrupt_after")) or any(
        getattr(graph, name, None) for name in ("interrupt_before_nodes", "interrupt_after_nodes")
    )


async def _latest_checkpoint(graph: Servable, scope: Scope, principal: str) -> str:
    """Return the id of the thread's latest checkpoint, "" if it has none."""
    saved = await graph.checkpointer.aget_tuple(thread_config(scope, principal))
    return "" if saved is None else str(saved.config["configurable"]["checkpoint_id"])


def _is_checkpoint(chunk: Any) -> bool:
    """Tell whether an item of mode ``debug`` is about a checkpoint."""
    return isinstance(chunk, dict) and chunk.get("type") == "checkpoint"


def _has_private_thread(request: RunRequest, graph: Servable) -> bool:
    """Tell whether the run has a private thread, in a saver that may be able to delete it."""
    is_private = request.scope is not None and request.scope.is_private
    return is_private and hasattr(graph.checkpointer, "adelete_thread")


def _stream_modes(request: RunRequest, graph: Servable) -> list[StreamMode]:
    """Return the modes to ask the graph for: the recorded ones, and those that ``_follow`` needs.

    A static breakpoint shows only in ``updates``, and so does an interrupt where states are bare values. Our
    runtime says which tasks begin again: their messages are taken back.
    """
    keys = request.options.get("output_keys")
    is_bare = isinstance(graph.output_channels if keys is None else keys, str)
    needed: set[Mode] = {"values", "updates"} if _has_breakpoints(request, graph) or is_bare else {"values"}
    asked: set[str] = {*request.modes, *needed}
    if "messages" in asked and isinstance(graph, CompiledStateGraph):
        asked.add(RETRIES)
    if _needs_namespaces(request, graph):
        asked.add("tasks")
    return sorted(cast("set[StreamMode]", asked))


def _needs_namespaces(request: RunRequest, graph: Servable) -> bool:
    calls = isinstance(graph, CompiledStateGraph) or is_of_langgraph(graph)
    return calls and request.subgraphs and "custom" in request.modes


def _output_of(request: RunRequest, graph: Servable, values: Any) -> Any:
    """Return what ``invoke`` would return: the last values, cut to the output schema.

    The values of a graph with a single output channel are that channel's value already, whatever it is.
    """
    keys = graph.output_channels
    has_own_keys = request.options.get("output_keys") is not None
    if has_own_keys or isinstance(keys, str) or not isinstance(values, dict):
        return values
    return {key: values[key] for key in keys if key in values} or None
