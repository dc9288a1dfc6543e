"""All runs of this server: start one, find one, list them, let them go.

Run ids belong to a principal; another's runs are indistinguishable from none.
"""

import asyncio
import contextlib
import itertools
import os
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from graphwire_protocol import commands
from graphwire_protocol.errors import Refusal
from graphwire_protocol.projection import Projector
from graphwire_protocol.replies import RunRow, ThreadRow
from graphwire_protocol.types import TERMINAL

from graphwire_gateway.execution.encode import Encoder
from graphwire_gateway.execution.request import invalid, restored, task_of
from graphwire_gateway.failures import Failures
from graphwire_gateway.graphs.catalog import Catalog
from graphwire_gateway.graphs.entry import Entry
from graphwire_gateway.limits import Limits
from graphwire_gateway.log.commit import Committer
from graphwire_gateway.log.store import NoLog
from graphwire_gateway.runs.paging import page
from graphwire_gateway.runs.run import Run
from graphwire_gateway.runs.threads import Thread, Threads, busy
from graphwire_gateway.runs.watch import Watch, is_like
from graphwire_gateway.scope import Scope, private_scope, thread_scope

if TYPE_CHECKING:
    from graphwire_gateway.log.store import Store

T = TypeVar("T")

PATIENCE_S = 5.0
"""What is waited for a store, beyond the grace of a drain, or for a graph's loop that does not answer."""


class Runs:
    """The registry of runs, by principal and id."""

    def __init__(
        self,
        catalog: Catalog,
        store: "Store",
        committer: Committer,
        failures: Failures,
        limits: Limits,
        shared_threads: bool = False,
    ) -> None:
        self._catalog = catalog
        self._store = store
        self._committer = committer
        self._failures = failures
        self._limits = limits
        self._runs: dict[str, Run] = {}
        self._active: Counter[str] = Counter()
        self._threads = Threads()
        self._shares_threads = shared_threads
        self._running: set[Run] = set()
        self._queue: deque[Run] = deque()  # those that only wait for a place
        self._ended: dict[str, asyncio.TimerHandle] = {}  # oldest first
        self._watches: dict[str, set[Watch]] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._letting_go: dict[str, asyncio.Task[None]] = {}  # by log: the last work on it
        self._ends = asyncio.Event()
        self._hurried = asyncio.Event()
        self.draining = False

    # ── starting ─────────────────────────────────────────────────────────────────────────────────

    async def start(
        self,
        command: commands.Run,
        principal: str,
        check: Callable[[Run], None],
        prepare: Callable[[Run], Awaitable[T]],
    ) -> tuple[Run, bool, T]:
        """Start the run, or find it; return it, whether it was created, and what ``prepare`` made of it.

        ``check(run)`` may refuse; ``prepare(run)`` is awaited before the run's first event exists. Raises
        ``Refusal``; then nothing has happened.
        """
        id = command.run or os.urandom(16).hex()
        key = _key(principal, id)
        if command.checkpoint is not None and key not in self._runs:
            await self._check_checkpoint(command, principal)
        known = self._runs.get(key)
        if known is not None:
            _check_same(known, command)
            await asyncio.shield(known.created)
            check(known)
            return known, False, await prepare(known)
        run = self._new(command, id, principal)
        check(run)
        thread = self._thread(run)
        if thread is not None:
            thread.enter(run, command.if_busy)
        self._runs[run.key] = run
        self._active[principal] += 1
        try:
            await self._create(run)
            prepared = await prepare(run)
        except BaseException:
            if self._runs.get(run.key) is run:  # else somebody else has cancelled and deleted it already
                del self._runs[run.key]
                ended = self._ended.pop(run.key, None)
                if ended is None:
                    self._active[principal] -= 1
                else:
                    ended.cancel()
            self._leave(run)
            if run.created.done() and run.created.exception() is None:
                run.feed.deleted()
                self._let_go(run.key, self._store.delete(run.key))
            raise
        if run.status not in TERMINAL:  # somebody else may have cancelled it already
            self._begin(run)
        return run, True, prepared

    def _begin(self, run: Run) -> None:
        thread = self._thread(run)
        superseded = [] if thread is None else thread.claim(run)
        if thread is None or thread.holder is run:
            self._admit(run)
        elif not run.is_queued:
            run.queue()
        for other in superseded:
            other.cancel("superseded")

    def _admit(self, run: Run) -> None:
        """Start the run if there is a place, else queue it."""
        if len(self._running) < self._limits.max_server_runs:
            self._running.add(run)
            run.start()
            return
        if not run.is_queued:
            run.queue()
        self._queue.append(run)

    async def _create(self, run: Run) -> None:
        try:
            before = self._letting_go.get(run.key)
            if before is not None:  # a log of this id is being deleted
                await asyncio.wait([before])
            await self._store.create(run.key, run.epoch)
        except Exception as error:
            refusal = Refusal("unavailable", "the store of this server is away", after_ms=1000)
            run.created.set_exception(refusal)
            run.created.exception()  # it is raised here; who else waits may look, or not
            raise refusal from error
        self._store.tail(run.key, run.feed.grown)
        run.created.set_result(None)

    def _new(self, command: commands.Run, id: str, principal: str) -> Run:
        if self.draining:
            raise Refusal(
                "draining", "this server is going away; connect again and start it there", after_ms=1000
            )
        entry = self._catalog.get(command.graph)
        limits = self._limits
        if self._active[principal] >= limits.max_active_runs:
            raise Refusal(
                "limit_exceeded", f"{limits.max_active_runs} runs are active (max_active_runs)", after_ms=1000
            )
        scope = self._scope(command, entry, id, principal)
        return Run(
            key=_key(principal, id),
            id=id,
            principal=principal,
            graph=command.graph,
            epoch=os.urandom(6).hex(),
            task=task_of(command, entry, principal, scope, limits.max_run_events),
            runner=entry.runner,
            encoder=Encoder(Projector(self._failures.in_data), limits.max_event_bytes, scope),
            failures=self._failures,
            commit=self._committer.add,
            on_end=self._end,
            on_pause=self._pause,
            on_leave=self._leave,
            on_change=lambda row: self._changed(principal, row),
            cancel_grace_s=limits.cancel_grace_s,
            interrupt_ttl_s=limits.interrupt_ttl_s,
            max_run_s=limits.max_run_s,
            metadata=command.metadata or {},
        )

    def _scope(self, command: commands.Run, entry: Entry, id: str, principal: str) -> Scope | None:
        if command.thread is not None:
            return self.scope(entry, command.thread, principal, "run")
        return private_scope(principal, id) if entry.keeps_threads else None

    def scope(self, entry: Entry, thread: str, principal: str, frame: str) -> Scope:
        """Return what a caller's thread is to the checkpointer. Raises ``Refusal(invalid_argument)``."""
        if not entry.takes_threads:
            reason = (
                f"graph {entry.name!r} can have no checkpointer, so it has no threads; {_mend(entry, frame)}"
            )
            raise invalid("thread", f"{frame}.thread: {reason}", reason)
        return thread_scope(principal, entry.name, thread, is_shared=self._shares_threads)

    async def _check_checkpoint(self, command: commands.Run, principal: str) -> None:
        assert command.thread is not None
        entry = self._catalog.get(command.graph)
        scope = self.scope(entry, command.thread, principal, "run")
        configurable = {
            "thread_id": scope.saved,
            "checkpoint_ns": "",
            "checkpoint_id": command.checkpoint,
        }

        async def find() -> bool:
            config: Any = {"configurable": configurable}
            async with entry.open(config, with_threads=True) as graph:
                return await graph.checkpointer.aget_tuple(config) is not None

        if not await ask_soon(entry, "run.checkpoint", find):
            raise Refusal(
                "not_found",
                f"run.checkpoint: thread {command.thread!r} has no such checkpoint",
                details={"kind": "checkpoint"},
            )

    # ── threads ──────────────────────────────────────────────────────────────────────────────────

    def _thread(self, run: Run) -> Thread | None:
        return None if run.scope is None else self._threads.get(run.scope.saved)

    def _pause(self, run: Run) -> None:
        """The run asks: its place and its thread are free."""
        thread = self._thread(run)
        assert thread is not None
        following = thread.pause(run)
        self._vacate(run)
        if run.scope is not None:
            self._follow(following, run.scope)
        self._ends.set()

    def respond(self, run: Run, command: commands.Respond) -> None:
        """Answer what the run asks; it goes on if it has all that it needs. Raises ``Refusal``."""
        answers = {
            response.interrupt: restored(response.value, "respond", f"responses[{index}].value")
            for index, response in enumerate(command.responses)
        }
        thread = self._thread(run) if run.status == "interrupted" else None
        if thread is not None:
            thread.check_free(run)
        if run.answer(answers, is_partial=command.partial) and thread is not None:
            thread.go_on(run)
            self._running.add(run)  # even if there is no place: it has been let in once
            run.resume()

    def _leave(self, run: Run) -> None:
        """The run is over and its code has stopped: the next one on its thread may begin."""
        thread = self._thread(run)
        if thread is not None and run.scope is not None:
            self._follow(thread.leave(run), run.scope)

    def _follow(self, following: Run | None, scope: Scope) -> None:
        if following is None:
            self._threads.tidy(scope.saved)
        elif following.is_queued:  # else it is still being created, and begins by itself
            self._begin(following)

    def hold(self, scope: Scope) -> Callable[[], None]:
        """Keep the thread to a request; return what gives it free. Raises ``Refusal(busy)``."""
        thread = self._threads.get(scope.saved)
        if thread.is_busy:
            raise busy()
        name = thread.holder = os.urandom(8).hex()
        return lambda: self._follow(thread.leave(name), scope)

    # ── finding ──────────────────────────────────────────────────────────────────────────────────

    async def find(self, principal: str, id: str) -> Run:
        """Return the run. Raises ``Refusal(not_found)``."""
        run = self._runs.get(_key(principal, id))
        if run is None:
            raise Refusal("not_found", f"no run {id!r}", details={"kind": "run"})
        await asyncio.shield(run.created)  # who waits may be gone before
        return run

    def page(self, principal: str, wish: commands.List) -> tuple[list[RunRow], str | None]:
        """Return rows of this principal's runs, newest first, and the cursor of the next page."""
        graphs = None if wish.graph is None else (wish.graph,)
        runs = [run for run in reversed(self._runs.values()) if run.principal == principal]
        rows = [row for run in runs if is_like(row := run.row(), wish, graphs)]
        return page(rows, lambda row: (row.created_at, row.run), wish.limit, wish.cursor)

    def threads(self, principal: str) -> list[ThreadRow]:
        """Return rows of the threads that this principal's runs have, each with its latest run's status."""
        rows: dict[tuple[str, str], ThreadRow] = {}
        for run in self._runs.values():
            if run.principal == principal and run.thread is not None:
                rows[run.graph, run.thread] = ThreadRow(
                    graph=run.graph, thread=run.thread, status=run.status, updated_at=run.changed_at
                )
        return list(rows.values())

    def watch(self, watch: Watch, wish: commands.Watch) -> None:
        """Let a watch begin: with what matches now, newest first, then with every change."""
        runs = (run for run in reversed(self._runs.values()) if run.principal == watch.principal)
        rows = (row for run in runs if is_like(row := run.row(), wish, wish.graphs))
        watch.begin(list(itertools.islice(rows, self._limits.max_watch_runs)))
        self._watches.setdefault(watch.principal, set()).add(watch)

    def unwatch(self, watch: Watch | None) -> None:
        """A watch is over."""
        if watch is not None:
            watches = self._watches[watch.principal]
            watches.discard(watch)
            if not watches:
                del self._watches[watch.principal]

    def _changed(self, principal: str, row: RunRow) -> None:
        for watch in self._watches.get(principal, ()):
            watch.changed(row)

    # ── letting go ───────────────────────────────────────────────────────────────────────────────

    def _end(self, run: Run) -> None:
        """The run's terminal event is in its log, or the log is lost."""
        if self._runs.get(run.key) is not run:
            return
        self._active[run.principal] -= 1
        loop = asyncio.get_running_loop()
        self._ended[run.key] = loop.call_later(self._limits.result_ttl_s, self._forget, run)
        self._own(self._close(run))
        self._vacate(run)
        self._ends.set()

    def _vacate(self, run: Run) -> None:
        """The run needs no place any more; let the next one have it."""
        self._running.discard(run)
        while self._queue and len(self._running) < self._limits.max_server_runs:
            queued = self._queue.popleft()
            if queued.status not in TERMINAL:
                self._running.add(queued)
                queued.start()

    async def _close(self, run: Run) -> None:
        await asyncio.wait([self._let_go(run.key, self._store.close(run.key, self._limits.log_ttl_s))])
        while self._ended and self._store.size > self._limits.store_bytes:
            await self._delete(self._runs[next(iter(self._ended))])

    def _forget(self, run: Run) -> None:
        self._own(self._delete(run))

    async def _delete(self, run: Run) -> None:
        if self._runs.get(run.key) is run:
            del self._runs[run.key]
            timer = self._ended.pop(run.key, None)
            if timer is not None:
                timer.cancel()
            for watch in self._watches.get(run.principal, ()):
                watch.forget(run.id)
            run.feed.deleted()
            self._let_go(run.key, self._store.delete(run.key))
        deleting = self._letting_go.get(run.key)
        if deleting is not None:
            await asyncio.wait([deleting])

    def of_thread(self, scope: Scope) -> list[Run]:
        """Return the runs of a thread that are known, whoever's they are."""
        return [run for run in self._runs.values() if run.scope == scope]

    async def remove(self, run: Run) -> None:
        """Forget a run that has ended, or is interrupted and then cancelled first. Raises ``Refusal``."""
        if run.status not in TERMINAL and run.status != "interrupted":
            raise Refusal("conflict", f"run {run.id!r} is {run.status}; cancel it first")
        run.cancel("deleted")
        while self._runs.get(run.key) is run and run.key not in self._ended:
            self._ends.clear()
            await self._ends.wait()
        await self._delete(run)

    def _let_go(self, key: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Do something with a log that is not written any more, behind what is being done with it."""
        before = self._letting_go.get(key)

        async def behind() -> None:
            if before is not None:
                await asyncio.wait([before])
            try:
                await work
            finally:
                if self._letting_go.get(key) is task:
                    del self._letting_go[key]

        task = self._letting_go[key] = self._own(behind())
        return task

    def _own(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        async def guarded() -> None:
            with contextlib.suppress(NoLog):  # it is gone already
                await work

        task = asyncio.ensure_future(guarded())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
        return task

    async def drain(self, timeout_s: float) -> None:
        """Refuse new runs, give the others ``timeout_s`` seconds to end, then cancel them."""
        self.draining = True
        await self._wait_for_ends(timeout_s, self._hurried)
        for run in self._unfinished():
            run.cancel("shutdown")
        await self._wait_for_ends(self._limits.cancel_grace_s + PATIENCE_S)
        with contextlib.suppress(TimeoutError, asyncio.TimeoutError):  # the store may be away for good
            await asyncio.wait_for(self._committer.settle(), self._limits.cancel_grace_s + PATIENCE_S)
        if self._closing:
            await asyncio.wait(self._closing, timeout=self._limits.cancel_grace_s + PATIENCE_S)
        for timer in self._ended.values():
            timer.cancel()

    def hurry(self) -> None:
        """Let a drain that is under way wait for no run any longer."""
        self._hurried.set()
        self._ends.set()

    def _unfinished(self) -> Iterable[Run]:
        return [run for run in self._runs.values() if run.key not in self._ended]

    async def _wait_for_ends(self, timeout_s: float, unless: asyncio.Event | None = None) -> None:
        async def all_ended() -> None:
            # Who asks has nothing to do until it is answered.
            while any(run.status != "interrupted" for run in self._unfinished()) and not (
                unless is not None and unless.is_set()
            ):
                self._ends.clear()
                await self._ends.wait()

        with contextlib.suppress(TimeoutError, asyncio.TimeoutError):
            await asyncio.wait_for(all_ended(), timeout_s)


def _mend(entry: Entry, frame: str) -> str:
    mends = ["leave the thread out"] if frame == "run" else []
    is_its_own = entry.graph.checkpointer is False
    mends.append(
        "compile it without checkpointer=False" if is_its_own else "let the server have a checkpointer"
    )
    return ", or ".join(mends)


def _key(principal: str, id: str) -> str:
    return f"{principal}/{id}"  # an id has no slash


async def ask_soon(entry: Entry, where: str, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Do ``work`` on the graph's loop. Raises ``Refusal(unavailable)`` where that takes too long."""
    try:
        return await asyncio.wait_for(entry.runner.ask(work), PATIENCE_S)
    except (TimeoutError, asyncio.TimeoutError):
        message = f"{where}: graph {entry.name!r} does not answer; its loop or its saver is busy"
        raise Refusal("unavailable", message, after_ms=1000) from None


def _check_same(run: Run, command: commands.Run) -> None:
    if run.graph != command.graph:
        reason = f"runs graph {run.graph!r}"
    elif command.thread is not None and run.thread != command.thread:
        reason = "has another thread" if run.thread else "has no thread"
    else:
        return
    raise Refusal("conflict", f"run {run.id!r} exists and {reason}", details={"run": run.id})
