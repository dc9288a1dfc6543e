"""What goes out on one connection: replies first, then the subscriptions in fair turns, a batch at a time.

The log is the queue: nothing is kept here but which subscriptions have something to read. One ``send`` takes
everything that is ready in a tick; when the socket does not take more, nothing is read.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from graphwire_protocol.commands import From, Position, Spec
from graphwire_protocol.commands import Watch as WatchWish
from graphwire_protocol.errors import Refusal
from graphwire_protocol.filters import Filter, Matcher
from graphwire_protocol.replies import Subscribed
from graphwire_protocol.types import ClosedReason, Recovery, Seq

from graphwire_gateway.connections.patching import Patches
from graphwire_gateway.connections.reader import Subscription
from graphwire_gateway.log.fold import Fold
from graphwire_gateway.log.store import NoLog, Page, Store
from graphwire_gateway.runs.run import Run
from graphwire_gateway.runs.watch import Watch

BATCH_BYTES = 256 << 10
"""A batch is at most this long unless it holds one frame."""

CONTROL_BYTES = 1 << 20
"""Replies that may wait for the socket; beyond it the connection reads no more requests."""

MARK_S = 2.5
"""A subscription whose cursor moved silently is told within twice this many seconds."""

_TURN_BYTES = 16 << 10
_TURN_RECORDS = 256
_PATCHED_RECORDS = 32  # a patch is made of two whole states
_ROUND = 64  # turns between two looks at the rest of the process

_matchers: dict[Filter, Matcher] = {}


def _matcher(filter: Filter) -> Matcher:
    """Return the matcher of a filter; equal filters share one, and its decisions."""
    known = _matchers.get(filter)
    if known is None:
        if len(_matchers) >= 1024:
            _matchers.clear()
        known = _matchers[filter] = Matcher(filter)
    return known


class Delivery:
    """The outgoing side of one connection.

    ``send(batch)`` writes one message and returns when the socket can take more. ``release(sub)`` is called
    when a subscription has ended by itself.
    """

    def __init__(
        self, store: Store, send: Callable[[bytes], Awaitable[None]], release: Callable[[int], None]
    ) -> None:
        self._store = store
        self._send = send
        self._release = release
        self._control: deque[bytes] = deque()
        self._control_size = 0
        self._control_room = asyncio.Event()
        self._control_room.set()
        self._turns: deque[Subscription | Watch] = deque()
        self._subs: dict[int, Subscription] = {}
        self._watches: dict[int, Watch] = {}
        self._silent: dict[Subscription, None] = {}
        self._mark_timer: asyncio.TimerHandle | None = None
        self._marks_due = False
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._closing = False

    # ── what the connection's reader does ────────────────────────────────────────────────────────

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
        """Wait until the replies that are queued are below their bound."""
        await self._control_room.wait()

    async def attach(self, id: int, run: Run, spec: Spec) -> tuple[Subscribed, Callable[[], None]]:
        """Return the reply to a subscription, and what begins its delivery once that is queued."""
        patches = Patches() if spec.values == "patch" else None
        subscription = Subscription(spec.sub, run, _matcher(spec.filter), spec.credit, self._enqueue, patches)
        try:
            page = await self._store.read(run.key, 0, 0)
            _check_there(run)
        except NoLog:
            raise Refusal("not_found", f"no run {run.id!r}", details={"kind": "run"}) from None
        recovery, after = _place(subscription, page, spec.from_)
        reply = Subscribed(
            id=id,
            sub=spec.sub,
            run=run.id,
            epoch=page.epoch,
            head=page.head,
            after=after,
            recovery=recovery,
            filter=spec.filter,
            credit=spec.credit,
        )

        def begin() -> None:
            self._subs[spec.sub] = subscription
            run.feed.join(subscription)
            subscription.wake()

        return reply, begin

    def watch(self, wish: WatchWish, principal: str) -> Watch:
        """Return a new watch, which takes its turns here."""
        watch = self._watches[wish.sub] = Watch(wish, principal, self._enqueue)
        return watch

    def detach(self, sub: int) -> None:
        """End a subscription or a watch: no frame of it follows what is queued now."""
        subscription = self._subs.pop(sub, None)
        if subscription is not None:
            self._leave(subscription)
        watch = self._watches.pop(sub, None)
        if watch is not None:
            watch.is_over = True

    def grant(self, sub: int, events: int) -> None:
        """Add credit; an unknown ``sub`` is ignored."""
        subscription = self._subs.get(sub)
        if subscription is None:
            return
        subscription.allowance.add(events)
        if subscription.place == "stalled" and events:
            subscription.wake()

    def _enqueue(self, reader: Subscription | Watch) -> None:
        self._turns.append(reader)
        self._has_work()

    def _has_work(self) -> None:
        self._idle.clear()
        self._wake.set()

    def drop(self) -> None:
        """Leave every log; only replies are sent from here on."""
        for subscription in list(self._subs.values()):
            self._leave(subscription)
        self._subs.clear()
        for watch in self._watches.values():
            watch.is_over = True
        self._watches.clear()
        self._turns.clear()

    def close(self) -> None:
        """The connection is gone."""
        self._closing = True
        if self._mark_timer is not None:
            self._mark_timer.cancel()
        self.drop()
        self._control_room.set()
        self._idle.set()

    def _leave(self, subscription: Subscription) -> None:
        subscription.is_over = True
        subscription.run.feed.leave(subscription)
        self._silent.pop(subscription, None)

    async def flushed(self) -> None:
        """Wait until nothing more is ready to be sent, and what was is with the socket."""
        if not self._closing:
            await self._idle.wait()

    # ── the writer ───────────────────────────────────────────────────────────────────────────────

    async def main(self) -> None:
        """Send what is ready until cancelled."""
        while True:
            if not self._control and not self._turns and not self._marks_due:
                self._wake.clear()
                self._idle.set()
                await self._wake.wait()
            out: list[bytes] = []
            size = self._take_control(out)
            if self._marks_due:
                size += self._take_marks(out)
            turns = 0
            while self._turns and size < BATCH_BYTES and turns < _ROUND and not self._control:
                reader, room = self._turns.popleft(), BATCH_BYTES - size
                if isinstance(reader, Subscription):
                    size += await self._turn(reader, out, room)
                elif not reader.is_over:
                    size += reader.take(out, min(room, _TURN_BYTES))
                turns += 1
            for batch in batches(out):
                await self._send(batch)
            if self._turns:
                await asyncio.sleep(0)  # neither store nor socket need have waited: let others run

    def _take_control(self, out: list[bytes]) -> int:
        size = self._control_size
        out.extend(self._control)
        self._control.clear()
        self._control_size = 0
        self._control_room.set()
        return size

    async def _turn(self, subscription: Subscription, out: list[bytes], room: int) -> int:
        """Give one subscription its turn; return the bytes that it appended to ``out``."""
        if subscription.is_over:
            return 0
        run = subscription.run
        try:
            if subscription.need != "none":
                return await self._recover(subscription, out)
            page = await self._store.read(run.key, subscription.cursor, _TURN_RECORDS)
            records = page.records
            if subscription.patches is not None:
                records = records[:_PATCHED_RECORDS]
                await subscription.patches.prepare(
                    self._store, run.key, subscription.matcher, subscription.cursor, records
                )
            _check_there(run)
        except NoLog:
            return self._end(subscription, out, "deleted")
        if subscription.is_over:  # it was left while the store was reading
            return 0
        if page.evicted > subscription.cursor:
            subscription.need = "gap"
            self._turns.append(subscription)
            return 0
        size = subscription.take(records, out, min(room, _TURN_BYTES))
        if subscription.patches is not None:
            subscription.patches.release()
        synced = subscription.synced()
        if synced is not None:
            out.append(synced)
            size += len(synced)
        if subscription.place == "stalled":
            pass
        elif subscription.cursor < run.feed.head:
            self._turns.append(subscription)
        elif subscription.is_at_end:
            return size + self._end(subscription, out, "end")
        else:
            subscription.place = "waiting"
            run.feed.wait(subscription)
        if subscription.cursor > subscription.told:
            self._note_silence(subscription)
        return size

    async def _recover(self, subscription: Subscription, out: list[bytes]) -> int:
        """Send the gap or the snapshot that the subscription needs, credit allowing."""
        if subscription.allowance.left == 0:
            subscription.place = "stalled"
            return 0
        key = subscription.run.key
        fold = await self._store.base(key)
        if subscription.need == "snapshot":
            fold = await self._fold_to(subscription.run.feed.head, key, fold)
        if subscription.is_over:
            return 0
        _check_there(subscription.run)
        frames = [subscription.gap(fold)] if subscription.need == "gap" else []
        frames.append(subscription.snapshot(fold))
        subscription.need = "none"
        out.extend(frames)
        self._turns.append(subscription)
        return sum(map(len, frames))

    async def _fold_to(self, head: Seq, key: str, fold: Fold) -> Fold:
        while fold.upto < head:
            page = await self._store.read(key, fold.upto, _TURN_RECORDS)
            if page.evicted > fold.upto:
                fold = await self._store.base(key)
                continue
            for record in page.records[: head - fold.upto]:
                fold.add(record)
        return fold

    def _end(self, subscription: Subscription, out: list[bytes], reason: ClosedReason) -> int:
        frame = subscription.closed(reason)
        out.append(frame)
        if self._subs.get(subscription.sub) is subscription:
            del self._subs[subscription.sub]
            self._release(subscription.sub)
        self._leave(subscription)
        return len(frame)

    # ── marks ────────────────────────────────────────────────────────────────────────────────────

    def _note_silence(self, subscription: Subscription) -> None:
        self._silent[subscription] = None
        if self._mark_timer is None:
            self._mark_timer = asyncio.get_running_loop().call_later(MARK_S, self._due)

    def _due(self) -> None:
        self._mark_timer = None
        self._marks_due = True
        self._has_work()

    def _take_marks(self, out: list[bytes]) -> int:
        self._marks_due = False
        silent, self._silent = self._silent, {}
        frames = [frame for subscription in silent if (frame := subscription.mark()) is not None]
        out.extend(frames)
        return sum(map(len, frames))


def _check_there(run: Run) -> None:
    """Check that what was just read is of this run. Raises ``NoLog``."""
    if run.feed.is_deleted:
        raise NoLog(run.key)


def _place(subscription: Subscription, page: Page, wish: From) -> tuple[Recovery, Seq | None]:
    """Put a new subscription where the client wants it; return the recovery and ``after``."""
    head = page.head
    if wish == "now":
        subscription.begin(head)
        return "live", head
    if wish == "snapshot":
        subscription.need = "snapshot"
        subscription.sync_at = head
        return "snapshot", None
    after = wish.seq if isinstance(wish, Position) else 0
    subscription.begin(after)
    if isinstance(wish, Position) and wish.epoch != page.epoch:
        subscription.need_reason = "epoch_changed"
    elif after > head:
        subscription.need_reason = "ahead"
    elif after >= page.evicted:
        if after == head:
            return "live", after
        subscription.sync_at = head
        return "replayed", after
    subscription.need = "gap"
    subscription.sync_at = head
    return "gap", None


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
