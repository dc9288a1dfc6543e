"""What a server does, before it listens, with the runs that an earlier process left in its store.

A run that has ended is shown as it was. One that waits for answers waits on, and can be answered. One that
was queued is queued again, in its thread's order. One that was executing goes on from a checkpoint of its
thread (``resumption``), or fails with code ``lost`` if that is gone with the process. A run that never began,
and of which nobody knows, is deleted, and so is one whose deletion was not finished.

A run that cannot be read, because a newer version wrote it or the file is damaged, is left where it is, and
the log names it.
"""

import asyncio
import contextlib
import gc
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from graphwire_protocol import commands
from graphwire_protocol.errors import Refusal
from graphwire_protocol.types import TERMINAL
from langchain_core.runnables import RunnableConfig

from graphwire_gateway.errors import CannotServe
from graphwire_gateway.execution.request import RunRequest, restored, run_request, run_sizes, run_values
from graphwire_gateway.graphs.catalog import Catalog
from graphwire_gateway.limits import Limits
from graphwire_gateway.log.store import Kept, Store, StoreAway
from graphwire_gateway.runs.report import ids_of
from graphwire_gateway.runs.resumption import calls_behind, find_place, may_go_on
from graphwire_gateway.runs.run import Run
from graphwire_gateway.runs.runs import Runs
from graphwire_gateway.runs.standing import FoundRun, RunStanding, RunStart, found_run
from graphwire_gateway.runs.steps import Place
from graphwire_gateway.scope import PRINCIPAL
from graphwire_gateway.telemetry import logger

log = logger("recovery")

_AT_ONCE = 256  # runs that are taken up in one turn of the loop
_ASKED_AT_ONCE = 16  # savers are asked about so many runs at once; each has to answer within some time

_PATIENCE_S = 30.0  # with a store that is away
_RETRY_S = 0.25

_Way: TypeAlias = tuple[RunRequest, Place, tuple[str, ...]]


class Recovery:
    """Takes up what is kept of an earlier process's runs. The graphs are loaded; nobody is served yet."""

    def __init__(self, runs: Runs, catalog: Catalog, store: Store, limits: Limits) -> None:
        self._asking = asyncio.Semaphore(_ASKED_AT_ONCE)
        self._runs = runs
        self._catalog = catalog
        self._store = store
        self._limits = limits

    async def take_up(self, kept: Sequence[Kept]) -> None:
        """Take up all runs, which are in the order of their creation, and what is kept of threads."""
        with _nothing_collected():
            await self._take_up_all(kept)
        try:
            self._runs.known_threads.take_up(await self._store.threads())
        except StoreAway as error:
            raise CannotServe(str(error)) from error

    async def _take_up_all(self, kept: Sequence[Kept]) -> None:
        ended: list[Run] = []
        queued: list[tuple[Run, commands.Run]] = []
        executing: list[_Executing] = []
        waiting = going_on = lost = 0
        for number, one in enumerate(kept):
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)
            try:
                found = found_run(one)
            except ValueError as error:
                log.error("a run cannot be read, and stays in the store", run=one.run, error=repr(error))
                continue
            if found.standing is None or found.standing.is_deleted:
                with contextlib.suppress(Exception):  # then the next process finds it
                    await self._store.delete(found.key)
                continue
            run, request, answers = self._take_up(found, found.standing)
            frame = found.start.frame
            if run.has_ended:
                ended.append(run)
                continue
            if frame.on_disconnect == "cancel":
                run.adopt(self, self._limits.disconnect_grace_s)
                run.abandon(self)
            why = self._reason_lost(found, found.standing)
            if run.cancelled_by is not None:
                run.lose(run.cancelled_by)
            elif run.status == "running":
                executing.append(_Executing(run, request, answers, found, found.standing))
            elif why is not None:
                lost += 1
                _lose(run, found, why)
            elif run.status == "interrupted":
                waiting += 1
            else:
                queued.append((run, frame))
        places = await asyncio.gather(*map(self._place, executing))
        for each, place in zip(executing, places, strict=True):
            if isinstance(place, str):
                lost += 1
                _lose(each.run, each.found, place)
            else:
                going_on += 1
                self._runs.go_on(each.run, *place)
        self._runs.keep_all_ended(sorted(ended, key=lambda run: run.changed_at))
        # A run with if_busy: interrupt goes before the others of its thread.
        for run, frame in sorted(queued, key=lambda one: one[1].if_busy != "interrupt"):
            if not run.hindrance:
                self._runs.queue_again(run, frame.if_busy)
        counts = {"ended": len(ended), "waiting": waiting, "queued": len(queued)}
        counts |= {"going_on": going_on, "lost": lost}
        if any(counts.values()):
            log.info("runs of an earlier process", **counts)

    async def _place(self, one: "_Executing") -> "_Way | str":
        """Return how a run goes on: its request, where, and the calls that are void; or why it is lost."""
        async with self._asking:
            return await self._find_place(one)

    async def _find_place(self, one: "_Executing") -> "_Way | str":
        start, standing, most = one.found.start, one.standing, self._limits.max_attempts
        if standing.attempt - standing.handed_over >= most:
            return (
                f"{_STOPPED}, and it was tried {most} times (max_attempts); it may be what stops it: look at "
                "what its nodes do before you start it again"
            )
        if one.request is None:
            return f"{_STOPPED}, and it cannot go on: {one.run.hindrance}"
        entry = self._catalog.get(one.request.graph)
        if not may_go_on(entry, start):
            return _lost_message(start)
        try:
            place = await find_place(entry, self._runs.failures, start, standing, self._runs.fence)
            if place is None:
                return _lost_message(start)
            void = await self._void_calls(one.found, place)
        except CannotServe:
            raise
        except Exception as error:
            reason = error.message if isinstance(error, Refusal) else type(error).__name__
            return f"{_lost_message(start)} (its checkpoints cannot be read: {reason})"
        if place.pause is not None:
            request = one.request if place.with_input else one.request.resumed(one.answers)
            return replace(request, pause=place.pause), place, void
        if place.with_input:
            return one.request.at_checkpoint(place.checkpoint), place, void
        return one.request.repeated(place.checkpoint), place, void

    async def _void_calls(self, found: FoundRun, place: Place) -> tuple[str, ...]:
        """Return the calls behind a place. Raises ``CannotServe`` if the store stays away."""
        clock = asyncio.get_running_loop().time
        ends_at = clock() + _PATIENCE_S
        while True:
            try:
                return await calls_behind(self._store, found.key, place.after, found.head)
            except StoreAway as error:
                if clock() > ends_at:
                    raise CannotServe(f"runs cannot be taken up, and stay as they are: {error}") from error
                await asyncio.sleep(_RETRY_S)

    def _take_up(
        self, found: FoundRun, standing: RunStanding
    ) -> tuple[Run, RunRequest | None, Mapping[str, Any]]:
        request: RunRequest | None = None
        hindrance, answers = "", {}
        has_ended = standing.status in TERMINAL
        has_input = standing.status == "queued" or standing.began is not None
        if not has_ended or standing.kept_bytes:  # else nothing is needed of its graph
            try:
                request = self._request(found.start, has_begun=not has_input)
                request = replace(request, pause=standing.pause)
                answers = {
                    id: restored(value, "run", "answer") for id, value in (standing.answers or {}).items()
                }
            except Refusal as refusal:
                request, hindrance = None, refusal.message
            except Exception as error:  # whatever a class makes of an input that an older version took
                request = None
                hindrance = f"what it was given cannot be read any more: {type(error).__name__}"
        scope = found.start.scope
        if request is not None and scope is not None and scope.is_held:
            self._catalog.get(request.graph).has_private(scope.saved)
        run = self._made(found, request)
        run.hindrance = hindrance
        self._runs.take_up(run, lambda: run.take_up(found, request, answers))
        if hindrance and not has_ended and standing.status != "running":
            log.warning("a run cannot go on, and waits", run=run.id, graph=run.graph, reason=hindrance)
        return run, request, answers

    def _made(self, found: FoundRun, request: RunRequest | None) -> Run:
        start = found.start
        if request is None:
            request = RunRequest(
                run=start.run,
                graph=start.frame.graph,
                input=None,
                config=RunnableConfig(configurable={PRINCIPAL: start.principal}),
                modes=start.modes,
                subgraphs=start.subgraphs,
                scope=start.scope,
            )
        return self._runs.make(request, start.frame.metadata or {}, start, found.epoch)

    def _request(self, start: RunStart, *, has_begun: bool) -> RunRequest:
        """Return what the run asks of its graph, to start or to continue. Raises ``Refusal``."""
        if has_begun:
            start = start.without_input()
        return run_request(
            start.frame,
            run_values(start.frame, run_sizes(start.frame)),
            self._catalog.get(start.frame.graph),
            run=start.run,
            principal=start.principal,
            scope=start.scope,
            max_events=self._limits.max_run_events,
            has_begun=has_begun,
        )

    def _reason_lost(self, found: FoundRun, standing: RunStanding) -> str | None:
        """Return why a run cannot wait on; None if it can, or is none that waits."""
        if standing.status == "interrupted":
            with contextlib.suppress(Refusal):  # the next process may serve its graph again
                if self._catalog.get(found.start.frame.graph).keeps_threads_in_memory:
                    return (
                        "the server stopped while this run waited for answers, and its graph's checkpointer "
                        "keeps threads in memory; start it again, and give the graph one that outlives the "
                        "server"
                    )
        return None


@dataclass(frozen=True, slots=True)
class _Executing:
    """A run that was executing; ``request`` is None if its graph cannot take it any more.

    ``answers`` are those with which it continued.
    """

    run: Run
    request: RunRequest | None
    answers: Mapping[str, Any]
    found: FoundRun
    standing: RunStanding


_STOPPED = "the server stopped while this run was executing"


def _lost_message(start: RunStart) -> str:
    if start.scope is None or start.scope.is_private:
        return f"{_STOPPED}; start it again, on a thread: a run without one cannot go on after a restart"
    return (
        f"{_STOPPED}; its thread has what the finished steps wrote: answer what it still asks, or start "
        "another run on it"
    )


def _lose(run: Run, found: FoundRun, why: str) -> None:
    log.warning(
        "a run is lost", **ids_of(run), was=run.status, since=run.changed_at, events=found.head, reason=why
    )
    run.lose(why)


@contextlib.contextmanager
def _nothing_collected() -> Iterator[None]:
    """Let the garbage collector rest: what is made stays, and each collection would walk through all."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
