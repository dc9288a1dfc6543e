"""What goes out on one connection: replies first, then its subscriptions in fair turns, a batch at a time.

The logs are the queues: nothing is kept here but which subscriptions have something to send. One ``send``
takes everything that is ready in a tick. While the socket takes no more, no log is read.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any
from weakref import WeakValueDictionary

from graphwire_protocol import commands
from graphwire_protocol.errors import Refusal
from graphwire_protocol.filters import Filter, Matcher
from graphwire_protocol.limits import DEFAULTS, AnnouncedLimits
from graphwire_protocol.replies import Subscribed

from graphwire_gateway.connections.patching import Patches
from graphwire_gateway.connections.reader import Reader
from graphwire_gateway.connections.sharing import Sharing
from graphwire_gateway.log.log import Log
from graphwire_gateway.log.store import NoLog, Store, StoreAway
from graphwire_gateway.runs.row_watch import RowWatch
from graphwire_gateway.runs.thread_watch import ThreadInfoWatch
from graphwire_gateway.runs.watch import RunInfoWatch

BATCH_BYTES = 256 << 10
"""The most bytes of a batch of several frames."""

CONTROL_BYTES = 1 << 20
"""Bytes of replies that may wait for the socket; beyond that the connection reads no more requests."""

MARK_S = 2.5
"""Seconds: a subscription whose cursor moved without a frame gets a ``mark`` within twice this time."""

_WATCH_BYTES = 16 << 10  # of a watch's turn
_ROUND = 64  # turns before the rest of the process gets the loop

_matchers: WeakValueDictionary[Filter, Matcher] = WeakValueDictionary()


def matcher_of(filter: Filter) -> Matcher:
    """Return the matcher of a filter. Equal filters share one, and with it the decisions it remembers.

    It lives as long as a subscription uses it: a filter may be large, and hold addresses of logs that ended.
    """
    known = _matchers.get(filter)
    if known is None:
        known = _matchers[filter] = Matcher(filter)
    return known


class _Signal:
    """An ``asyncio.Event`` of a few dozen bytes instead of 750; an idle connection has three."""

    __slots__ = ("_is_set", "_waiters")

    def __init__(self) -> None:
        self._is_set = False
        self._waiters: list[asyncio.Future[None]] | None = None

    def set(self) -> None:
        self._is_set = True
        waiters, self._waiters = self._waiters or (), None
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    def clear(self) -> None:
        self._is_set = False

    async def wait(self) -> None:
        if not self._is_set:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters = [*(self._waiters or ()), waiter]
            await waiter


async def _send_nothing(batch: bytes) -> None:
    """Send nothing: the connection is gone."""


class Delivery:
    """The outgoing side of one connection.

    ``send(batch)`` writes one message and returns when the socket can take more. ``release(sub)`` is called
    when a subscription has ended by itself. ``turn()`` returns when events may be read, and ``done()``
    is called when they are: other connections have their turns.
    """

    def __init__(
        self,
        store: Store,
        send: Callable[[bytes], Awaitable[None]],
        release: Callable[[int], None],
        limits: AnnouncedLimits = DEFAULTS,
        sharing: Sharing | None = None,
        turn: Callable[[], Awaitable[None]] | None = None,
        done: Callable[[], None] = lambda: None,
    ) -> None:
        self._store = store
        self._sharing = sharing or Sharing()
        self._limits = limits
        self._send = send
        self._turn_of_all = turn
        self._done = done
        self._release = release
        self._control: list[bytes] = []
        self._control_size = 0
        self._control_room = _Signal()
        self._control_room.set()
        self._turns: deque[Reader | RowWatch[Any]] = deque()
        self._readers: dict[int, Reader] = {}
        self._watches: dict[int, RowWatch[Any]] = {}
        self._silent: dict[Reader, None] = {}
        self._mark_timer: asyncio.TimerHandle | None = None
        self._marks_due = False
        self._wake = _Signal()
        self._idle = _Signal()
        self._idle.set()
        self._closing = False

    # ── called by the connection ─────────────────────────────────────────────────────────────────

    def reply(self, frame: bytes) -> None:
        """Send a frame before any event."""
        if self._closing:
            return
        self._control.append(frame)
        self._control_size += len(frame)
        if self._control_size > CONTROL_BYTES:
            self._control_room.clear()
        self._has_work()

    async def room(self) -> None:
        """Wait until the queued replies are below their bound."""
        await self._control_room.wait()

    async def attach(self, id: int, log: Log, spec: commands.Spec) -> tuple[Reader, Subscribed]:
        """Return a reader for a subscription, and the reply to it. Delivery starts with ``begin``.

        Raises ``Refusal(not_found)``.
        """
        patches = Patches() if spec.values == "patch" else None
        matcher = matcher_of(spec.filter)
        reader = Reader(
            spec.sub,
            log,
            self._store,
            matcher,
            spec.credit,
            self._enqueue,
            patches,
            self._limits,
            self._sharing,
        )
        try:
            page, recovery, after = await reader.attach(spec.from_)
        except NoLog:
            raise Refusal("not_found", f"no run {log.run!r}", details={"kind": "run"}) from None
        except StoreAway:
            raise Refusal("unavailable", "the store of this server is away", after_ms=1000) from None
        subscribed = Subscribed(
            id=id,
            sub=spec.sub,
            run=log.run,
            epoch=page.epoch,
            head=page.head,
            after=after,
            recovery=recovery,
            filter=spec.filter,
            credit=spec.credit,
        )
        return reader, subscribed

    def begin(self, reader: Reader) -> None:
        """Deliver to a reader; its ``subscribed`` is queued."""
        self._readers[reader.sub] = reader
        reader.log.join(reader)
        reader.wake()

    def watch(self, command: commands.Watch, principal: str) -> RunInfoWatch:
        """Return a new watch of runs, which takes its turns here."""
        watch = self._watches[command.sub] = RunInfoWatch(command, principal, self._enqueue)
        return watch

    def watch_threads(self, command: commands.Watch, owner: str) -> ThreadInfoWatch:
        """Return a new watch of the owner's threads, which takes its turns here."""
        watch = self._watches[command.sub] = ThreadInfoWatch(command, owner, self._enqueue)
        return watch

    def detach(self, sub: int) -> None:
        """End a subscription or a watch: no frame of it follows what is queued now."""
        reader = self._readers.pop(sub, None)
        if reader is not None:
            self._leave(reader)
        watch = self._watches.pop(sub, None)
        if watch is not None:
            watch.is_over = True

    def grant(self, sub: int, events: int) -> None:
        """Add credit; an unknown ``sub`` is ignored."""
        reader = self._readers.get(sub)
        if reader is not None:
            reader.grant(events)

    def _enqueue(self, ready: Reader | RowWatch[Any]) -> None:
        self._turns.append(ready)
        self._has_work()

    def _has_work(self) -> None:
        self._idle.clear()
        self._wake.set()

    def drop(self) -> None:
        """Leave every log; only replies are sent from here on."""
        for reader in list(self._readers.values()):
            self._leave(reader)
        self._readers.clear()
        for watch in self._watches.values():
            watch.is_over = True
        self._watches.clear()
        self._turns.clear()

    def close(self) -> None:
        """The connection is gone."""
        self._closing = True
        self._send = _send_nothing  # the connection's own: without the cycles, all of it goes at once
        self._turn_of_all = None
        if self._mark_timer is not None:
            self._mark_timer.cancel()
        self.drop()
        self._control_room.set()
        self._idle.set()

    def _leave(self, reader: Reader) -> None:
        reader.is_over = True
        reader.log.leave(reader)
        self._silent.pop(reader, None)

    async def flushed(self) -> None:
        """Wait until the socket has taken everything that is ready."""
        if not self._closing:
            await self._idle.wait()

    # ── the writer ───────────────────────────────────────────────────────────────────────────────

    async def main(self) -> None:
        """Send what is ready until cancelled, or closed."""
        while not self._closing:
            if not self._control and not self._turns and not self._marks_due:
                self._wake.clear()
                self._idle.set()
                await self._wake.wait()
            if self._turns and self._turn_of_all is not None:
                await self._turn_of_all()
            await self._round()
            if self._turns:
                await asyncio.sleep(0)  # store and socket may not have waited: let others run

    async def _round(self) -> None:
        """Send one batch. A method of its own, so that an idle connection does not keep its last one."""
        out: list[bytes] = []
        size = self._take_control(out)
        if self._marks_due:
            size += self._take_marks(out)
        turns = 0
        while self._turns and size < BATCH_BYTES and turns < _ROUND and not self._control:
            ready, room = self._turns.popleft(), BATCH_BYTES - size
            if isinstance(ready, Reader):
                size += await self._turn(ready, out, room)
            elif not ready.is_over:
                size += ready.take(out, min(room, _WATCH_BYTES))
            turns += 1
        self._done()
        for batch in batches(out):
            await self._send(batch)

    def _take_control(self, out: list[bytes]) -> int:
        size = self._control_size
        out.extend(self._control)
        self._control.clear()
        self._control_size = 0
        self._control_room.set()
        return size

    async def _turn(self, reader: Reader, out: list[bytes], room: int) -> int:
        """Give one reader its turn; return the bytes that it appended to ``out``."""
        size, following = await reader.turn(out, room)
        if following == "over":
            return size
        if following == "closed":
            if self._readers.get(reader.sub) is reader:
                del self._readers[reader.sub]
                self._release(reader.sub)
            self._leave(reader)
            return size
        if following == "turn":
            self._turns.append(reader)
        if reader.is_silent:
            self._note_silence(reader)
        return size

    # ── marks ────────────────────────────────────────────────────────────────────────────────────

    def _note_silence(self, reader: Reader) -> None:
        self._silent[reader] = None
        if self._mark_timer is None:
            self._mark_timer = asyncio.get_running_loop().call_later(MARK_S, self._request_marks)

    def _request_marks(self) -> None:
        self._mark_timer = None
        self._marks_due = True
        self._has_work()

    def _take_marks(self, out: list[bytes]) -> int:
        self._marks_due = False
        silent, self._silent = self._silent, {}
        frames = [frame for reader in silent if (frame := reader.mark()) is not None]
        out.extend(frames)
        return sum(map(len, frames))


def batches(frames: list[bytes]) -> list[bytes]:
    """Join frames into messages: one frame as itself, more as an array of at most ``BATCH_BYTES``."""
    if sum(map(len, frames)) + len(frames) < BATCH_BYTES:
        return [_join(frames)] if frames else []
    out: list[bytes] = []
    group: list[bytes] = []
    size = 1
    for frame in frames:
        if group and size + len(frame) + 1 > BATCH_BYTES:
            out.append(_join(group))
            group, size = [], 1
        group.append(frame)
        size += len(frame) + 1
    if group:
        out.append(_join(group))
    return out


def _join(frames: list[bytes]) -> bytes:
    return frames[0] if len(frames) == 1 else b"[" + b",".join(frames) + b"]"
