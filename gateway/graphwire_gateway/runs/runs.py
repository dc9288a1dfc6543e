"""All runs of this server: start one, find one, list them, let them go.

Run ids belong to a principal. The runs of others look like runs that do not exist.

Long because one registry decides when a run begins and when nothing is kept of it any more.
"""

import asyncio
import contextlib
import os
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from typing import Any

from graphwire_protocol import commands
from graphwire_protocol.errors import Refusal
from graphwire_protocol.replies import RunRow
from graphwire_protocol.types import TERMINAL

from graphwire_gateway.execution.execution import Executor
from graphwire_gateway.execution.request import (
    RunRequest,
    RunValues,
    json_size,
    restored,
    run_request,
    run_sizes,
    run_values,
)
from graphwire_gateway.fence import Fence
from graphwire_gateway.graphs.catalog import Catalog
from graphwire_gateway.graphs.entry import Entry
from graphwire_gateway.limits import Limits
from graphwire_gateway.log.commit import Committer
from graphwire_gateway.log.store import NoLog, Store, StoreAway
from graphwire_gateway.runs.asking import PATIENCE_S
from graphwire_gateway.runs.checks import check_same, check_sizes, check_takes_threads
from graphwire_gateway.runs.clock import left, now
from graphwire_gateway.runs.elsewhere import Elsewhere, Nowhere
from graphwire_gateway.runs.holdings import Holdings
from graphwire_gateway.runs.known_threads import KnownThreads
from graphwire_gateway.runs.numbers import Numberings
from graphwire_gateway.runs.paging import made_page
from graphwire_gateway.runs.registry import Registry
from graphwire_gateway.runs.report import log_status
from graphwire_gateway.runs.restoring import Restoring
from graphwire_gateway.runs.retention import Retention
from graphwire_gateway.runs.row_watch import matches
from graphwire_gateway.runs.run import Run
from graphwire_gateway.runs.slots import Slots
from graphwire_gateway.runs.standing import RunStart, start_of
from graphwire_gateway.runs.start import asks_saver, check_responses, check_start
from graphwire_gateway.runs.steps import Place
from graphwire_gateway.runs.threads import IfBusy, ThreadQueue, ThreadQueues
from graphwire_gateway.runs.watch import RunInfoWatch, Watches
from graphwire_gateway.scope import Scope, private_scope, run_key, thread_scope

_MOVED_MS = 100  # after which whoever passed a command on here knows better
_AT_ONCE = 256  # logs of an earlier process that are closed in one turn of the loop


class Runs:
    """The registry of runs, by principal and id. It listens to each of them (``RunListener``)."""

    def __init__(
        self,
        catalog: Catalog,
        executor: Executor,
        store: Store,
        committer: Committer,
        limits: Limits,
        shared_threads: bool = False,
        owns: Callable[[str], bool] = lambda _: True,
        hands_over: bool = False,
        elsewhere: Elsewhere | None = None,
    ) -> None:
        self._catalog = catalog
        self._executor = executor
        self._store = store
        self._committer = committer
        self._limits = limits
        self.failures = executor.failures
        """Describes what graphs raise."""
        self.shared_threads = shared_threads
        """Whether all principals share their threads."""
        self.owns = owns
        """Tells whether a thread is this server's, by the saver's id; or a run without one, by its key."""
        self._hands_over = hands_over
        self._runs = Registry()
        self._active: Counter[str] = Counter()
        self._starts: Counter[str] = Counter()  # that are under way, of each principal
        self._elsewhere = elsewhere or Nowhere()
        self._threads = ThreadQueues()
        self.numberings = Numberings()
        self._slots = Slots(limits.max_server_runs)
        self._watches = Watches(limits.max_watch_runs)
        self._retention = Retention(store)
        self.holdings = Holdings(store, limits.store_bytes, self._runs.with_ended(), self._evict)
        self.known_threads = KnownThreads(
            limits, self.holdings, store, is_shared=shared_threads, spawn=self._retention.spawn
        )
        self.restoring = Restoring()
        self._outlives = store.outlives
        self._has_changed = asyncio.Event()  # a run has ended or paused
        self._is_hurried = asyncio.Event()
        self.draining = False
        """Whether the server goes away and starts no more runs."""

    @property
    def hindrance(self) -> str:
        """Why no client should come to this server now; empty if one may."""
        return "draining" if self.draining else self._committer.hindrance

    @property
    def is_taken(self) -> bool:
        """Whether another server has the store, so that nothing that happens here is stored."""
        return self._store.taken.is_set()

    @property
    def fence(self) -> Fence | None:
        """What this server writes with, beside the store."""
        return self._store.fence

    def check_ours(self, run: str | None = None) -> None:
        """Answer nothing from memory that another server may know better by now. Raises ``Refusal``.

        What is asked of ``run`` alone, by its key, is done where the run is.
        """
        if not self._store.is_ours and (run is None or self._runs.get(run) is None):
            message = "this server has not reached its store for long, and another one may have it; ask again"
            raise Refusal("unavailable", message, after_ms=1000)

    # ── starting ─────────────────────────────────────────────────────────────────────────────────

    @contextlib.asynccontextmanager
    async def starting(self, command: commands.Run, principal: str) -> AsyncIterator[tuple[Run, bool]]:
        """Start the run or find it: yield it, and whether it is new.

        A new run has its log, but no event before the block ends; then it begins. If the block raises, the
        run is removed again. Raises ``Refusal``; then nothing has happened.
        """
        id = command.run or os.urandom(16).hex()
        key = run_key(principal, id)
        values: RunValues | None = None
        elsewhere = 0
        if self._runs.get(key) is None:
            await self.holdings.check_room(principal)
            elsewhere = await self._active_elsewhere(principal)
            try:
                await self._check_start(command, principal)
                self._check_new(command, principal, elsewhere)
                sizes = run_sizes(command)
                values = await self.restoring.run(principal, sum(sizes), partial(run_values, command, sizes))
            finally:
                self._starts[principal] -= 1
                self._note_active(principal)
        known = self._runs.get(key)
        if known is not None:
            check_same(known, command)
            await asyncio.shield(known.created)
            yield known, False
            return
        self._check_open(principal, elsewhere)
        assert values is not None
        run = self._new(command, values, id, principal)
        queue = self._queue(run)
        if queue is not None:
            queue.enter(run, command.if_busy)
        self._runs.add(run)
        self.known_threads.add(run)
        self._count(run)
        self._count_in(principal)
        try:
            await self._create(run)
            yield run, True
        except BaseException:
            self._remove_unstarted(run)
            raise
        if run.status not in TERMINAL:  # it may have been cancelled meanwhile
            self._begin(run)

    async def _active_elsewhere(self, principal: str) -> int:
        """Count a start that is under way, until ``_starts`` is lowered; return the active runs of others."""
        self._starts[principal] += 1
        try:
            return await self._elsewhere.active(principal, self._active[principal] + self._starts[principal])
        except BaseException as error:
            self._starts[principal] -= 1
            self._note_active(principal)
            if isinstance(error, StoreAway):
                raise Refusal("unavailable", "the store of this server is away", after_ms=1000) from error
            raise

    def _note_active(self, principal: str) -> None:
        self._elsewhere.note(principal, self._active[principal] + self._starts[principal])
        for counts in (self._active, self._starts):
            if not counts[principal]:
                del counts[principal]

    def _check_new(self, command: commands.Run, principal: str, elsewhere: int) -> None:
        if not self._refuses:  # which is said first
            self._catalog.get(command.graph)
            check_sizes(command, self._limits)
        self._check_open(principal, elsewhere)

    @property
    def _refuses(self) -> bool:
        """Whether no run is taken any more. The next server may go on with what is queued to the end."""
        return self.draining and not self._hands_over

    def _check_open(self, principal: str, elsewhere: int) -> None:
        if self._refuses:
            raise Refusal(
                "draining", "this server is going away; connect again and start it there", after_ms=1000
            )
        most = self._limits.max_active_runs
        if self._active[principal] + elsewhere >= most:
            raise Refusal("limit_exceeded", f"{most} runs are active (max_active_runs)", after_ms=1000)

    def _new(self, command: commands.Run, values: RunValues, id: str, principal: str) -> Run:
        entry = self._catalog.get(command.graph)
        limits = self._limits
        scope: Scope | None = None
        if command.thread is not None:
            scope = self.scope(entry, command.thread, principal, "run")
        else:
            self._check_owned(run_key(principal, id))
        if command.thread is None and entry.takes_threads:
            scope = private_scope(principal, id, is_held=not entry.keeps_threads)
        request = run_request(
            command, values, entry, run=id, principal=principal, scope=scope, max_events=limits.max_run_events
        )
        start = start_of(command, request, now()) if self._outlives else None
        return self.make(request, command.metadata or {}, start)

    def make(
        self, request: RunRequest, metadata: dict[str, Any], start: RunStart | None, epoch: str | None = None
    ) -> Run:
        """Return a run that is not registered yet, with a log of this epoch, or of a new one."""
        scope = request.scope
        return Run(
            request,
            key=run_key(request.principal, request.run),
            principal=request.principal,
            epoch=epoch or os.urandom(6).hex(),
            executor=self._executor,
            commit=self._committer.add,
            listener=self,
            limits=self._limits,
            metadata=metadata,
            numbering=None if scope is None or scope.is_private else self.numberings.of(scope.saved),
            start=start,
        )

    async def _create(self, run: Run) -> None:
        try:
            await self._retention.wait(run.key)  # an older log of this id may be on its way out
            await self._store.create(run.key, run.log.epoch, run.take_start())
        except Exception as error:
            refusal = Refusal("unavailable", "the store of this server is away", after_ms=1000)
            _fail_creation(run, refusal)
            raise refusal from error
        self._store.tail(run.key, run.log.grow)
        run.created.set_result(None)

    def _remove_unstarted(self, run: Run) -> None:
        is_registered = self._runs.holds(run)  # else it was cancelled and deleted meanwhile
        if is_registered:
            if not self._runs.remove(run):
                self._count_out(run.principal)
            self.holdings.drop(run)
            self._watches.gone(run.principal, run.id, "deleted")
            self.known_threads.drop(run, "deleted")
            self._has_changed.set()
        self.run_stopped(run)
        if not run.created.done():  # cancelled while the store was creating the log; it may have done so
            _fail_creation(run, Refusal("unavailable", "the start of this run was cancelled", after_ms=1000))
            self._retention.delete(run.key)
        elif run.created.exception() is None and is_registered:
            run.forget()
            self._retention.delete(run.key)

    def _count_in(self, principal: str) -> None:
        self._active[principal] += 1
        self._note_active(principal)

    def _count_out(self, principal: str) -> None:
        self._active[principal] -= 1
        self._note_active(principal)

    def _begin(self, run: Run) -> None:
        queue = self._queue(run)
        superseded = [] if queue is None else queue.claim(run)
        if queue is None or queue.holder is run:
            self._slots.start(run)
        elif not run.is_queued:
            run.queue()
        for other in superseded:
            other.cancel("superseded")

    def scope(self, entry: Entry, thread: str, principal: str, frame: str) -> Scope:
        """Return the scope of a caller's thread. Raises ``Refusal(invalid_argument)``."""
        check_takes_threads(entry, frame)
        scope = thread_scope(principal, entry.name, thread, is_shared=self.shared_threads)
        self._check_owned(scope.saved)
        return scope

    def _check_owned(self, name: str) -> None:
        if not self.owns(name):
            raise Refusal("unavailable", "another part of this server has it; ask again", after_ms=_MOVED_MS)

    async def _check_start(self, command: commands.Run, principal: str) -> None:
        if command.thread is None or not asks_saver(command):
            return
        entry = self._catalog.get(command.graph)
        scope = self.scope(entry, command.thread, principal, "run")
        held = self._threads.interrupted(scope.saved)
        await check_start(command, entry, self.failures, scope, principal, held)

    # ── runs of an earlier process ───────────────────────────────────────────────────────────────

    def take_up(self, run: Run, be_as_left: Callable[[], None]) -> None:
        """Keep a run that an earlier process left; ``be_as_left`` makes it what it was there.

        Those that have ended are to be given to ``keep_all_ended``.
        """
        self._runs.add(run)
        be_as_left()
        self.known_threads.add_left(run)
        self._count(run)
        self._store.tail(run.key, run.log.grow)
        if not run.has_ended:
            self._count_in(run.principal)
        if run.status == "interrupted" and run.scope is not None:
            self._threads.get(run.scope.saved).pause(run)

    def go_on(self, run: Run, request: RunRequest, place: Place, void_calls: tuple[str, ...]) -> None:
        """Let a run go on that an earlier process left executing."""
        queue = self._queue(run)
        assert queue is not None
        queue.take_up(run)
        self._slots.take_up(run)
        run.go_on(request, place, void_calls)
        for other in queue.claim(run):
            other.cancel("superseded")

    def queue_again(self, run: Run, if_busy: IfBusy) -> None:
        """Let a run that an earlier process had queued enter its thread's line; it begins if it can."""
        queue = self._queue(run)
        if queue is not None:
            queue.enter(run, "enqueue" if if_busy == "reject" and queue.is_busy else if_busy)
        self._begin(run)

    # ── threads ──────────────────────────────────────────────────────────────────────────────────

    def _queue(self, run: Run) -> ThreadQueue | None:
        return None if run.scope is None else self._threads.get(run.scope.saved)

    def uses(self, saved: str) -> bool:
        """Tell whether a run or a request uses the thread of that id. May be called on any thread."""
        return self._threads.is_in_use(saved)

    async def respond(self, run: Run, command: commands.Respond) -> None:
        """Answer what the run asks; it resumes if it has all that it needs. Raises ``Refusal``."""
        size = json_size(*(response.value for response in command.responses))
        answers = await self.restoring.run(run.principal, size, partial(_answers, command))
        check_responses(run, command)
        if run.status == "interrupted" and not run.can_continue:
            self._catalog.get(run.graph)
            raise Refusal("unavailable", f"run {run.id!r} cannot go on: {run.hindrance}")
        if self._slots.is_closed:
            message = "this server is going away, and the question waits; connect again and answer there"
            raise Refusal("draining", message, after_ms=1000)
        queue = self._queue(run) if run.status == "interrupted" else None
        if queue is not None:
            queue.check_free(run)
        sent = {response.interrupt: response.value for response in command.responses}
        has_all = run.answer(answers, is_partial=command.partial, sent=sent)
        self._count(run)
        if has_all and queue is not None:
            queue.resume(run)
            self._slots.resume(run)

    def hold(self, scope: Scope) -> Callable[[], None]:
        """Reserve the thread for a request; return its release. Raises ``Refusal(busy)``."""
        queue = self._threads.get(scope.saved)
        if queue.is_busy:
            raise queue.busy()
        request = queue.holder = os.urandom(8).hex()
        return lambda: self._continue(queue.leave(request), scope)

    def _continue(self, following: Run | None, scope: Scope) -> None:
        """Begin the run that holds the thread now, if it is new."""
        if following is None:
            self._threads.tidy(scope.saved)
        elif following.is_queued:  # else its creation is not finished, and begins it
            self._begin(following)

    # ── what runs report ─────────────────────────────────────────────────────────────────────────

    def run_changed(self, run: Run, row: RunRow) -> None:
        """Show a new status to the principal's watches, and to the operator."""
        log_status(run, row)
        self.row_changed(run, row)

    def row_changed(self, run: Run, row: RunRow) -> None:
        """Show the principal's watches what is known now."""
        if self._runs.holds(run):  # else it was removed meanwhile
            self._watches.changed(run.principal, row)
            self.known_threads.changed(run)

    def run_moved(self, run: Run) -> None:
        """Let the principal's watches know how far the run is, if they ask for it."""
        if self._runs.holds(run):
            self._watches.moved(run)

    def run_paused(self, run: Run) -> None:
        """Free the thread and the slot of a run that waits for answers."""
        assert run.scope is not None
        self._count(run)
        self._retention.spawn(self.holdings.make_room())
        following = self._threads.get(run.scope.saved).pause(run)
        self._slots.release(run)
        self._continue(following, run.scope)
        self._has_changed.set()

    def run_ended(self, run: Run) -> None:
        """Keep the result of a run for ``result_ttl_s``, and free its slot."""
        if not self._runs.holds(run):
            return
        self._count(run)
        self._count_out(run.principal)
        self._keep_result(run)
        self._retention.spawn(self._close(run))
        self._slots.release(run)
        self._has_changed.set()

    def keep_all_ended(self, runs: Sequence[Run]) -> None:
        """Keep what runs of an earlier process have left, as of those that end here.

        One task for all: two for each took half of the time in which a server takes them up.
        """
        for run in runs:
            self._keep_result(run)
        self._retention.spawn(self._close_all(runs))

    def _keep_result(self, run: Run) -> None:
        seconds = left(self._limits.result_ttl_s, run.changed_at)
        self._runs.end(run, asyncio.get_running_loop().call_later(seconds, self._expire, run))

    def run_stopped(self, run: Run) -> None:
        """Free the thread of a run whose code has stopped, for the next run in line."""
        self._has_changed.set()
        self._count(run)
        queue = self._queue(run)
        if queue is not None and run.scope is not None:
            self._continue(queue.leave(run), run.scope)

    # ── finding ──────────────────────────────────────────────────────────────────────────────────

    async def find(self, principal: str, id: str) -> Run:
        """Return the run. Raises ``Refusal(not_found)``."""
        run = self._runs.get(run_key(principal, id))
        if run is None:
            raise Refusal("not_found", f"no run {id!r}", details={"kind": "run"})
        await asyncio.shield(run.created)  # the caller may be cancelled; the creation goes on
        return run

    def page(self, principal: str, command: commands.List) -> tuple[list[RunRow], str | None]:
        """Return rows of this principal's runs, newest first, and the cursor of the next page."""
        graphs = None if command.graph is None else (command.graph,)
        runs = [
            run
            for run in self._runs.of(principal)
            if run.is_known and matches(run, run.known_status, command, graphs)
        ]
        return made_page(
            runs,
            lambda run: (run.created_at, run.id),
            Run.row,
            command.limit,
            command.cursor,
            self._limits.max_event_bytes,
        )

    def of_thread(self, scope: Scope) -> list[Run]:
        """Return all known runs of a thread, of any principal."""
        return [run for run in self._runs.all() if run.scope == scope]

    def watch(self, watch: RunInfoWatch) -> None:
        """Begin a watch: with the runs that match now, newest first, then with every change."""
        self._watches.open(watch, (run for run in self._runs.of(watch.principal) if run.is_known))

    def unwatch(self, watch: RunInfoWatch) -> None:
        """End a watch."""
        self._watches.close(watch)

    # ── letting go ───────────────────────────────────────────────────────────────────────────────

    async def _close(self, run: Run) -> None:
        seconds = left(self._limits.log_ttl_s, run.changed_at)
        await asyncio.wait([self._retention.close(run.key, seconds)])
        await self.holdings.make_room()

    async def _close_all(self, runs: Sequence[Run]) -> None:
        for number, run in enumerate(runs):
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)
            if self._runs.holds(run):  # else it was deleted meanwhile, and its id may be another run's
                with contextlib.suppress(NoLog):
                    await self._store.close(run.key, left(self._limits.log_ttl_s, run.changed_at))
        await self.holdings.make_room()

    def _count(self, run: Run) -> None:
        if self._runs.holds(run):
            self.holdings.count(run)

    async def _evict(self, principal: str) -> None:
        await self._delete(self._runs.first_ended(principal), "evicted")

    def _expire(self, run: Run) -> None:
        self._retention.spawn(self._delete_for_good(run, "expired"))

    async def _delete(self, run: Run, reason: str) -> None:
        if self._runs.holds(run):
            self._runs.remove(run)
            self.holdings.drop(run)
            self._watches.gone(run.principal, run.id, reason)
            self.known_threads.drop(run, reason)
            run.forget()
            self._retention.delete(run.key)
        await self._retention.wait(run.key)

    async def remove(self, run: Run) -> None:
        """Delete a run that has ended, or is interrupted; that is cancelled first. Raises ``Refusal``."""
        if run.status not in TERMINAL and run.status != "interrupted":
            raise Refusal("conflict", f"run {run.id!r} is {run.status}; cancel it first")
        run.cancel("deleted")
        while self._runs.holds(run) and not self._runs.is_ended(run):
            self._has_changed.clear()
            await self._has_changed.wait()
        await asyncio.shield(self._retention.spawn(self._delete_for_good(run, "deleted")))

    async def _delete_for_good(self, run: Run, reason: str) -> None:
        """Delete a run so that no later process shows it, even if its log cannot be deleted yet."""
        self.known_threads.keep_numbering(run)  # in the same group
        await run.doom()
        await self._delete(run, reason)

    async def drain(self, timeout_s: float) -> None:
        """Refuse new runs, give the others ``timeout_s`` seconds to end, then cancel them."""
        self.draining = True
        if self._outlives:
            self._slots.close()  # those that wait go on in the next process
        await self._wait_for_ends(timeout_s, self._is_hurried)
        clock = asyncio.get_running_loop().time
        ends_at = clock() + self._limits.cancel_grace_s + PATIENCE_S  # the store may be away for good
        handed_over = []
        for run in self._runs.unfinished():
            if self._hands_over and run.can_be_handed_over:
                handed_over.append(asyncio.wait_for(run.hand_over(), PATIENCE_S))
            elif not (self._outlives and run.is_waiting):
                run.cancel("shutdown")
        await asyncio.gather(*handed_over, return_exceptions=True)
        await self._wait_for_ends(ends_at - clock())
        with contextlib.suppress(TimeoutError, asyncio.TimeoutError):
            await asyncio.wait_for(self._committer.settle(), max(0, ends_at - clock()))
        await self._retention.finish(max(0, ends_at - clock()))
        for run in self._runs.unfinished():
            run.stop_timers()
        self._runs.stop_timers()

    def rests(self) -> bool:
        """Start no more runs, if none is executing now; return whether that is so."""
        if self.executing:
            return False
        self._slots.close()
        return True

    @property
    def executing(self) -> int:
        """How many runs are neither over nor waiting."""
        return sum(not run.is_waiting for run in self._runs.unfinished())

    @property
    def can_be_handed_over(self) -> bool:
        """Whether the next server could go on with all of them."""
        return all(run.is_waiting or run.can_be_handed_over for run in self._runs.unfinished())

    def hurry(self) -> None:
        """Let a drain that is under way wait for no more runs."""
        self._is_hurried.set()
        self._has_changed.set()

    def _may_stay(self, run: Run) -> bool:
        """Tell whether a drain need not wait for the run. One that asks has nothing to do until answered."""
        return run.is_left or run.status == "interrupted" or (self._slots.is_closed and run.is_waiting)

    async def _wait_for_ends(self, timeout_s: float, unless: asyncio.Event | None = None) -> None:
        async def all_ended() -> None:
            while any(not self._may_stay(run) for run in self._runs.unfinished()) and not (
                unless is not None and unless.is_set()
            ):
                self._has_changed.clear()
                await self._has_changed.wait()

        with contextlib.suppress(TimeoutError, asyncio.TimeoutError):
            await asyncio.wait_for(all_ended(), timeout_s)


def _fail_creation(run: Run, refusal: Refusal) -> None:
    """Let ``refusal`` reach everybody who waits for the run's log."""
    run.created.set_exception(refusal)
    run.created.exception()  # nobody may be waiting, and that is no error


def _answers(command: commands.Respond) -> dict[str, Any]:
    return {
        response.interrupt: restored(response.value, "respond", f"responses[{index}].value")
        for index, response in enumerate(command.responses)
    }
