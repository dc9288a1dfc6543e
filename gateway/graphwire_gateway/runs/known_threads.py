"""The threads that the server itself knows: those with a known run, and those that were given metadata.

Of each there is an object in memory, which lives as long as one of the two. Metadata is kept until the thread
is deleted or let go by the server's saver in memory, and no longer than the store keeps things. It counts
towards ``store_bytes`` like what runs hold, so a principal who keeps too much of it is refused more.

What only a saver knows is not here: ``listing`` adds it to lists, and to the list that a watch begins with.
When the last run of a thread is forgotten, the saver is asked what is left, so that watches do not show a run
that is gone.

Long because each way in which a thread comes, changes and goes is one method here, in a few lines.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping
from typing import Any, TypeAlias

from graphwire_protocol import commands
from graphwire_protocol.errors import Refusal
from graphwire_protocol.replies import ThreadRow

from graphwire_gateway.execution.request import held_size, json_size
from graphwire_gateway.limits import Limits
from graphwire_gateway.log.store import Store
from graphwire_gateway.runs.clock import now
from graphwire_gateway.runs.details import StatusDetails
from graphwire_gateway.runs.holdings import Holdings
from graphwire_gateway.runs.known_thread import KnownThread
from graphwire_gateway.runs.row_watch import Key
from graphwire_gateway.runs.run import Run
from graphwire_gateway.runs.thread_watch import (
    RowAsListed,
    ThreadInfoWatch,
    ThreadInfoWatches,
    thread_matches,
)
from graphwire_gateway.scope import Scope, thread_names
from graphwire_gateway.telemetry import logger

log = logger("threads")

Look: TypeAlias = Callable[[KnownThread], Awaitable[StatusDetails | None]]
"""Asks the saver what a thread waits for; None if it has no checkpoint of it. Raises ``Refusal``."""


async def _nothing_saved(thread: KnownThread) -> StatusDetails | None:
    return None


class KnownThreads:
    """The known threads of all principals, and the watches of threads.

    ``is_shared`` says whether all principals share their threads. ``spawn(work)`` runs work in the
    background.
    """

    def __init__(
        self,
        limits: Limits,
        holdings: Holdings,
        store: Store,
        *,
        is_shared: bool,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:
        self._limits = limits
        self._holdings = holdings
        self._store = store
        self._outlives = store.outlives
        self._writing = asyncio.Lock()  # what is kept in the store changes in the order of what is known here
        self._is_shared = is_shared
        self._spawn = spawn
        self._threads: dict[str, KnownThread] = {}  # by the saver's id
        self._of: dict[str, dict[Key, KnownThread]] = {}
        self._deleting: set[str] = set()
        self._gone: list[set[tuple[str, Key]]] = []  # what went during each listing that is under way
        self._began: dict[str, dict[Key, str]] = {}  # of saved threads that watches have shown
        self._to_look_at: dict[str, tuple[KnownThread, str]] = {}  # and why its last run went
        self._is_looking = False
        self._watches = ThreadInfoWatches(limits.max_watch_runs)
        self.look: Look = _nothing_saved
        """How a saver is asked; the server sets it."""

    @property
    def most_listed(self) -> int:
        """How many threads a watch begins with at most."""
        return self._limits.max_watch_runs

    def owner(self, principal: str) -> str:
        """Return whose the threads of a principal are: "" if all principals share them."""
        return "" if self._is_shared else principal

    def of(self, principal: str) -> list[KnownThread]:
        """Return the known threads of a principal, in no order that matters."""
        return [thread for thread in self._of.get(self.owner(principal), {}).values() if thread.is_known]

    def holds(self, saved: str) -> bool:
        """Tell whether a thread is known, by its id in its saver."""
        return saved in self._threads

    @contextlib.contextmanager
    def noting_gone(self) -> Iterator[set[tuple[str, Key]]]:
        """Yield a set, to which each thread is added that goes meanwhile, by owner and key."""
        gone: set[tuple[str, Key]] = set()
        self._gone.append(gone)
        try:
            yield gone
        finally:
            self._gone = [other for other in self._gone if other is not gone]

    # ── watches ──────────────────────────────────────────────────────────────────────────────────

    def open(self, watch: ThreadInfoWatch, saved: Iterable[RowAsListed], gone: set[tuple[str, Key]]) -> None:
        """Begin a watch, with the known threads that match and with ``saved``, which only savers know.

        ``gone`` are those that went since the savers were asked.
        """
        owner, command = watch.principal, watch.command
        known = self._of.get(owner, {})
        found: list[tuple[str, KnownThread | RowAsListed]] = [
            (thread.shown_at, thread)
            for thread in known.values()
            if thread.is_known and thread_matches(thread, thread.shown_status, command, command.graphs)
        ]
        began = self._began.setdefault(owner, {})
        for listed in saved:
            if listed.id not in known and (owner, listed.id) not in gone:
                found.append((listed.shown_row().updated_at, listed))
                began[listed.id] = listed.shown_row().created_at or ""
        found.sort(key=lambda item: item[0], reverse=True)
        self._watches.open(watch, (thread for _, thread in found))

    def close(self, watch: ThreadInfoWatch) -> None:
        """End a watch."""
        self._watches.close(watch)
        if not self._watches.watch_any(watch.principal):
            self._began.pop(watch.principal, None)

    # ── what becomes of runs ─────────────────────────────────────────────────────────────────────

    def add(self, run: Run) -> None:
        """A run is new."""
        if run.thread is not None and run.scope is not None:
            thread = self._get_or_make(run.scope, run.graph, run.principal)
            thread.began_at(run.created_at)  # a millisecond ago, or in an earlier process
            thread.add(run)

    def add_left(self, run: Run) -> None:
        """An earlier process left a run."""
        self.add(run)
        thread = self._of_run(run)
        if thread is not None:
            thread.shown(run)

    def changed(self, run: Run) -> None:
        """The store holds a new status of a run."""
        thread = self._of_run(run)
        if thread is not None:
            thread.shown(run)
            self._report(thread)

    def keep_numbering(self, without: Run) -> None:
        """Let the store have the last number of a thread's runs with another one, for this one goes."""
        thread = self._of_run(without)
        if thread is not None:
            thread.keep_numbering(without)

    def drop(self, run: Run, reason: str) -> None:
        """A run is no longer known."""
        thread = self._of_run(run)
        if thread is None:
            return
        thread.drop(run)
        if thread.runs:
            self._report(thread)
        else:
            self._has_no_run(thread, reason)

    def _of_run(self, run: Run) -> KnownThread | None:
        thread = None if run.scope is None else self._threads.get(run.scope.saved)
        return thread if thread is not None and run.key in thread.runs else None

    def _has_no_run(self, thread: KnownThread, reason: str) -> None:
        if thread.scope.saved in self._deleting:
            return
        if not thread.is_kept:
            self._remove(thread)
        if not thread.is_saved or self._watches.know(thread.principal, thread.id):
            self._look_later(thread, reason)

    # ── what savers know ─────────────────────────────────────────────────────────────────────────

    def _look_later(self, thread: KnownThread, reason: str) -> None:
        self._to_look_at[thread.scope.saved] = thread, reason
        if not self._is_looking:
            self._is_looking = True
            self._spawn(self._look_at_all())

    async def _look_at_all(self) -> None:
        """Ask savers, one thread after another, what is left of those without a run."""
        try:
            while self._to_look_at:
                thread, reason = self._to_look_at.pop(next(iter(self._to_look_at)))
                try:
                    found = await self.look(thread)
                except Refusal:
                    continue  # the saver is away; the next list says it
                self._found(thread, found, reason)
        finally:
            self._is_looking = False

    def _found(self, thread: KnownThread, found: StatusDetails | None, reason: str) -> None:
        saved = thread.scope.saved
        known = self._threads.get(saved)
        if saved in self._deleting or (known is not None and (known is not thread or known.runs)):
            return  # there is more to say of it meanwhile, and it is said
        if found is not None:
            thread.is_saved = True
            thread.rest(found)
        elif thread.is_kept and thread.is_saved:
            thread.rest(StatusDetails("completed"))  # no run of it came to a checkpoint
        else:
            self._let_go(thread, reason if thread.is_saved else "evicted")
            return
        if known is None and self._watches.watch_any(thread.principal):
            self._began.setdefault(thread.principal, {})[thread.id] = thread.created_at
        self._report(thread)

    def saver_wrote(self, scope: Scope, graph: str, principal: str) -> None:
        """A request has written into a thread's state."""
        thread = self._threads.get(scope.saved)
        if thread is None:
            thread = KnownThread(scope, graph, self.owner(principal), principal)
            thread.began_at(self._began.get(thread.principal, {}).get(thread.id))
        if not thread.runs and self._watches.watch_any(thread.principal):
            self._look_later(thread, "expired")

    def saver_let_go(self, saved: str) -> None:
        """The server's saver in memory keeps nothing of a thread any more."""
        thread = self._threads.get(saved)
        if saved in self._deleting:
            return
        if thread is None:
            names = thread_names(saved)
            if names is not None:
                self._say_gone(names[0], names[1:], "evicted")
        elif thread.runs:
            thread.is_saved = False  # it stays as long as they do, unless one of them writes it anew
        else:
            self._let_go(thread, "evicted")

    # ── what requests do ─────────────────────────────────────────────────────────────────────────

    async def update(self, command: commands.ThreadUpdate, scope: Scope, principal: str) -> ThreadRow:
        """Merge metadata into that of a thread, and return its row. Raises ``Refusal``."""
        known = self._threads.get(scope.saved)
        self._merged(command, scope, known)
        found = None
        if known is None or not known.runs:
            # Before anything is changed: the saver may be away.
            found = await self.look(known or KnownThread(scope, command.graph, "", principal))
        await self._holdings.make_room()
        async with self._writing:
            known = self._threads.get(scope.saved)
            metadata = self._merged(command, scope, known)
            if known is None or held_size(metadata) > held_size(known.metadata):
                self._holdings.check_share(self.owner(principal))
            at = now() if found is None else found.at
            if self._outlives:
                kept = KnownThread(scope, command.graph, self.owner(principal), principal, at)
                kept.began_at(None if known is None else known.created_at)
                kept.set_metadata(metadata)
                await self._keep(kept)
                if scope.saved in self._deleting:  # since a moment ago
                    self._spawn(self._keep_as_known(scope.saved))
                    raise _being_deleted(command)
            thread = self._get_or_make(scope, command.graph, principal, at)
            if found is not None and not thread.runs:
                thread.rest(found)
            thread.set_metadata(metadata)
            self._holdings.count(thread)
            self._report(thread)
            return thread.row()

    async def _keep(self, thread: KnownThread) -> None:
        """Let the store have a thread's metadata before anybody sees it. Raises ``Refusal``."""
        try:
            await self._store.keep_thread(thread.scope.saved, thread.dump())
        except Exception as error:
            raise _store_away("thread_update") from error

    async def _keep_as_known(self, saved: str) -> None:
        """Let the store have what is known of a thread that was deleted or let go: usually nothing."""
        async with self._writing:
            thread = self._threads.get(saved)
            data = thread.dump() if thread is not None and thread.is_kept else None
            try:
                await self._store.keep_thread(saved, data)
            except Exception as error:
                log.warning("a thread's metadata was not deleted from the store", error=repr(error))

    def take_up(self, threads: Mapping[str, bytes]) -> None:
        """Know the threads that an earlier process left in the store; the runs are known already."""
        for saved, data in threads.items():
            try:
                kept = KnownThread.load(saved, data)
            except (ValueError, KeyError, TypeError) as error:
                log.error("a thread's metadata cannot be read, and stays in the store", error=repr(error))
                continue
            if kept.principal != self.owner(kept.user):
                log.warning(
                    "a thread's metadata stays in the store: shared_threads was changed", thread=kept.thread
                )
                continue
            thread = self._get_or_make(kept.scope, kept.graph, kept.user, kept.updated_at)
            thread.began_at(kept.created_at)
            thread.set_metadata(kept.metadata)
            self._holdings.count(thread)
            if not thread.runs:
                self._look_later(thread, "expired")

    def _merged(
        self, command: commands.ThreadUpdate, scope: Scope, known: KnownThread | None
    ) -> dict[str, Any]:
        if scope.saved in self._deleting:
            raise _being_deleted(command)
        merged = {**({} if known is None else known.metadata), **command.metadata}
        merged = {name: value for name, value in merged.items() if value is not None}
        limit = min(("max_metadata_bytes", "max_frame_bytes"), key=lambda name: getattr(self._limits, name))
        size, most = json_size(merged), getattr(self._limits, limit)
        if size > most:
            raise Refusal(
                "limit_exceeded",
                f"thread_update.metadata: all of the thread's would take {size:,} bytes, more than {limit}, "
                f"which is {most:,}; remove keys by setting them to null",
                details={"path": "metadata", "bytes": size, "limit": limit},
            )
        return merged

    def begin_deletion(self, scope: Scope) -> None:
        """A thread is being deleted: it changes no more until that has ended."""
        self._deleting.add(scope.saved)

    async def delete_kept(self, scope: Scope) -> None:
        """Let the store keep nothing of a thread that is being deleted. Raises ``Refusal(unavailable)``."""
        thread = self._threads.get(scope.saved)
        if thread is None or not thread.is_kept or not self._outlives:
            return
        try:
            async with self._writing:
                await self._store.keep_thread(scope.saved, None)
        except Exception as error:
            raise _store_away("delete") from error

    def end_deletion(self, scope: Scope, graph: str, principal: str, *, is_done: bool) -> None:
        """The deletion of a thread has ended; a run may have begun to wait for that."""
        self._deleting.discard(scope.saved)
        thread = self._threads.get(scope.saved)
        if is_done:
            if thread is not None:
                self._remove(thread)
            self._say_gone(self.owner(principal), (graph, scope.thread), "deleted")
            if thread is not None and thread.runs:
                self._report(self._get_or_make(scope, graph, principal).take_runs(thread))
        elif thread is not None:
            if thread.is_kept and self._outlives:
                self._spawn(self._keep_as_known(scope.saved))
            if not thread.runs:
                self._has_no_run(thread, "deleted")

    # ── one place for each change ────────────────────────────────────────────────────────────────

    def _get_or_make(self, scope: Scope, graph: str, principal: str, at: str | None = None) -> KnownThread:
        thread = self._threads.get(scope.saved)
        if thread is None:
            owner = self.owner(principal)
            thread = self._threads[scope.saved] = KnownThread(scope, graph, owner, principal, at)
            self._of.setdefault(owner, {})[thread.id] = thread
            thread.began_at(self._began.get(owner, {}).get(thread.id))
        thread.user = principal
        return thread

    def _report(self, thread: KnownThread) -> None:
        if thread.scope.saved in self._deleting or not self._watches.watch_any(thread.principal):
            return
        version = thread.shown_version
        if version != thread.reported:
            thread.reported = version
            self._watches.changed(thread.principal, thread.shown_row())

    def _let_go(self, thread: KnownThread, reason: str) -> None:
        if self._threads.get(thread.scope.saved) is thread:
            self._remove(thread)
        self._say_gone(thread.principal, thread.id, reason)

    def _say_gone(self, owner: str, key: Key, reason: str) -> None:
        for gone in self._gone:
            gone.add((owner, key))
        self._began.get(owner, {}).pop(key, None)
        self._watches.gone(owner, key, reason)

    def _remove(self, thread: KnownThread) -> None:
        del self._threads[thread.scope.saved]
        if thread.is_kept and self._outlives:
            self._spawn(self._keep_as_known(thread.scope.saved))
        threads = self._of[thread.principal]
        del threads[thread.id]
        if not threads:
            del self._of[thread.principal]
        self._holdings.drop(thread)


_BUSY_MS = 1000


def _store_away(frame: str) -> Refusal:
    message = f"{frame}: the store of this server is away; the thread was not changed"
    return Refusal("unavailable", message, after_ms=_BUSY_MS)


def _being_deleted(command: commands.ThreadUpdate) -> Refusal:
    message = f"thread_update: thread {command.thread!r} is being deleted; try again"
    return Refusal("busy", message, after_ms=_BUSY_MS)
