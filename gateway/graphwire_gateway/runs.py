"""All runs of this server: start one, find one, list them, let them go.

Run ids belong to a principal; another's runs are indistinguishable from none.
"""

import asyncio
import base64
import contextlib
import itertools
import os
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

import orjson
from graphwire_protocol import commands
from graphwire_protocol.errors import Refusal
from graphwire_protocol.projection import Projector, TagError, restore
from graphwire_protocol.replies import RunRow
from graphwire_protocol.types import STREAM_MODES, TERMINAL, Mode

from graphwire_gateway.catalog import Catalog, Entry
from graphwire_gateway.commit import Committer
from graphwire_gateway.drive import Task
from graphwire_gateway.encode import Encoder
from graphwire_gateway.failures import Failures
from graphwire_gateway.inputs import message_of
from graphwire_gateway.limits import Limits
from graphwire_gateway.run import Run
from graphwire_gateway.store.base import NoLog
from graphwire_gateway.watch import Watch, is_like

if TYPE_CHECKING:
    from graphwire_gateway.store.base import Store

T = TypeVar("T")

PATIENCE_S = 5.0
"""What a drain waits for a store that does not answer, beyond the grace."""

PRINCIPAL = "graphwire_principal"
"""Where graph code finds in ``config["configurable"]`` who runs it."""


class Runs:
    """The registry of runs, by principal and id."""

    def __init__(
        self, catalog: Catalog, store: "Store", committer: Committer, failures: Failures, limits: Limits
    ) -> None:
        self._catalog = catalog
        self._store = store
        self._committer = committer
        self._failures = failures
        self._limits = limits
        self._runs: dict[str, Run] = {}
        self._active: Counter[str] = Counter()
        self._running = 0
        self._queue: deque[Run] = deque()
        self._ended: dict[str, asyncio.TimerHandle] = {}  # oldest first
        self._watches: dict[str, set[Watch]] = {}
        self._closing: set[asyncio.Task[None]] = set()
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
        _refuse_unserved(command)
        id = command.run or os.urandom(16).hex()
        known = self._runs.get(_key(principal, id))
        if known is not None:
            if known.graph != command.graph:
                raise Refusal(
                    "conflict", f"run {id!r} exists and runs graph {known.graph!r}", details={"run": id}
                )
            await known.created
            check(known)
            return known, False, await prepare(known)
        run = self._new(command, id, principal)
        check(run)
        self._runs[run.key] = run
        self._active[principal] += 1
        await self._create(run)
        try:
            prepared = await prepare(run)
        except BaseException:
            self._active[principal] -= 1
            del self._runs[run.key]
            self._own(self._store.delete(run.key))
            raise
        if run.status in TERMINAL:
            pass  # somebody else has cancelled it already
        elif self._running >= self._limits.max_server_runs:
            run.queue()
            self._queue.append(run)
        else:
            self._launch(run)
        return run, True, prepared

    async def _create(self, run: Run) -> None:
        try:
            await self._store.create(run.key, run.epoch)
        except Exception as error:
            del self._runs[run.key]
            self._active[run.principal] -= 1
            refusal = Refusal("unavailable", "the store of this server is away", after_ms=1000)
            run.created.set_exception(refusal)
            run.created.exception()  # it is raised here; who else waits may look, or not
            raise refusal from error
        self._store.tail(run.key, run.feed.grown)
        run.created.set_result(None)

    def _launch(self, run: Run) -> None:
        self._running += 1
        run.start()

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
        return Run(
            key=_key(principal, id),
            id=id,
            principal=principal,
            graph=command.graph,
            epoch=os.urandom(6).hex(),
            task=self._task(command, id, principal, entry),
            runner=entry.runner,
            encoder=Encoder(Projector(self._failures.in_data), limits.max_event_bytes),
            failures=self._failures,
            commit=self._committer.add,
            on_end=self._end,
            on_change=lambda row: self._changed(principal, row),
            cancel_grace_s=limits.cancel_grace_s,
            interrupt_ttl_s=limits.interrupt_ttl_s,
            max_run_s=limits.max_run_s,
            metadata=command.metadata or {},
        )

    def _task(self, command: commands.Run, id: str, principal: str, entry: Entry) -> Task:
        config = command.config or commands.RunConfig()
        configurable = _restored(config.configurable or {}, "config.configurable")
        for name in configurable:
            if name == "thread_id" or name.startswith(("checkpoint_", "graphwire_", "__")):
                raise Refusal(
                    "invalid_argument",
                    f"run.config.configurable.{name[:64]}: this key is set by the server",
                    details={"errors": [{"path": f"config.configurable.{name[:64]}", "reason": "reserved"}]},
                )
        configurable[PRINCIPAL] = principal
        graph = entry.graph
        thread = f"graphwire:{_key(principal, id)}" if graph.checkpointer else None
        if thread is not None:
            configurable["thread_id"] = thread
        merged: dict[str, Any] = {"configurable": configurable}
        merged["metadata"] = _restored(config.metadata or {}, "config.metadata")
        merged["tags"] = list(config.tags or ())
        for name in ("recursion_limit", "max_concurrency", "run_name"):
            if getattr(config, name) is not None:
                merged[name] = getattr(config, name)
        modes, subgraphs = _recorded(command, entry)
        return Task(
            graph=graph,
            input=_restored(command.input, "input"),
            config=merged,
            context=_restored(command.context, "context"),
            options=_options(command.options),
            modes=modes,
            subgraphs=subgraphs,
            private_thread=thread,
            max_events=self._limits.max_run_events,
        )

    # ── finding ──────────────────────────────────────────────────────────────────────────────────

    async def find(self, principal: str, id: str) -> Run:
        """Return the run. Raises ``Refusal(not_found)``."""
        run = self._runs.get(_key(principal, id))
        if run is None:
            raise Refusal("not_found", f"no run {id!r}", details={"kind": "run"})
        await run.created
        return run

    def page(self, principal: str, wish: commands.List) -> tuple[list[RunRow], str | None]:
        """Return rows of this principal's runs, newest first, and the cursor of the next page."""
        graphs = None if wish.graph is None else (wish.graph,)
        runs = [run for run in reversed(self._runs.values()) if run.principal == principal]
        rows = [(run, row) for run in runs if is_like(row := run.row(), wish, graphs)]
        skip = _skip(rows, wish.cursor)
        page = rows[skip : skip + wish.limit]
        more = len(rows) > skip + wish.limit
        return [row for _, row in page], _cursor(page[-1][1]) if more else None

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
        if run.has_started:
            self._running -= 1
        loop = asyncio.get_running_loop()
        self._ended[run.key] = loop.call_later(self._limits.result_ttl_s, self._forget, run.key)
        self._own(self._close(run.key))
        while self._queue and self._running < self._limits.max_server_runs:
            queued = self._queue.popleft()
            if queued.status not in TERMINAL:
                self._launch(queued)
        self._ends.set()

    async def _close(self, key: str) -> None:
        await self._store.close(key, self._limits.log_ttl_s)
        while self._ended and self._store.size > self._limits.store_bytes:
            await self._delete(next(iter(self._ended)))

    def _forget(self, key: str) -> None:
        self._own(self._delete(key))

    async def _delete(self, key: str) -> None:
        timer = self._ended.pop(key, None)
        if timer is not None:
            timer.cancel()
        run = self._runs.pop(key, None)
        if run is not None:
            for watch in self._watches.get(run.principal, ()):
                watch.forget(run.id)
            await self._store.delete(key)

    def _own(self, work: Coroutine[Any, Any, None]) -> None:
        async def guarded() -> None:
            with contextlib.suppress(NoLog):  # it is gone already
                await work

        task = asyncio.ensure_future(guarded())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

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
            while self._unfinished() and not (unless is not None and unless.is_set()):
                self._ends.clear()
                await self._ends.wait()

        with contextlib.suppress(TimeoutError, asyncio.TimeoutError):
            await asyncio.wait_for(all_ended(), timeout_s)


def _key(principal: str, id: str) -> str:
    return f"{principal}/{id}"  # an id has no slash


def _refuse_unserved(command: commands.Run) -> None:
    for name in ("thread", "checkpoint", "command"):
        if getattr(command, name) is not None:
            raise Refusal("unsupported", f"run.{name}: threads are not served by this server")
    if command.if_busy != "reject":
        raise Refusal("unsupported", "run.if_busy: threads are not served by this server")


def _restored(value: Any, path: str) -> Any:
    try:
        return restore(value, message_of, inbound=True, path=path)
    except TagError as error:
        raise Refusal(
            "invalid_argument",
            f"run.{error.path}: {error.reason}",
            details={"errors": [{"path": error.path, "reason": error.reason}]},
        ) from None


def _recorded(command: commands.Run, entry: Entry) -> tuple[frozenset[Mode], bool]:
    """Return what the log keeps: what the first specs, ``record`` and the operator ask for."""
    record = command.record or commands.Record()
    modes: set[Mode] = set(record.modes or ()) | entry.record
    subgraphs = bool(record.subgraphs) or entry.record_subgraphs
    for spec in command.subscribe:
        modes.update(spec.filter.modes)
        subgraphs = subgraphs or spec.filter.below_root
    return frozenset(modes.intersection(STREAM_MODES)), subgraphs


def _options(options: commands.RunOptions | None) -> dict[str, Any]:
    if options is None:
        return {}
    wire = options.to_wire()
    return {name: list(value) if isinstance(value, tuple) else value for name, value in wire.items()}


def _cursor(row: RunRow) -> str:
    return base64.urlsafe_b64encode(orjson.dumps([row.created_at, row.run])).decode("ascii")


def _skip(rows: list[tuple[Run, RunRow]], cursor: str | None) -> int:
    """Return how many rows a page begins behind; a row that is gone meanwhile is passed by its time."""
    if cursor is None:
        return 0
    try:
        created_at, id = orjson.loads(base64.urlsafe_b64decode(cursor.encode("ascii")))
        position = (str(created_at), str(id))
    except (ValueError, TypeError):
        raise Refusal("invalid_argument", "list.cursor: not a cursor that this server gave") from None
    for index, (_, row) in enumerate(rows):
        if row.run == position[1]:
            return index + 1
    return sum(row.created_at >= position[0] for _, row in rows)
