"""One subscription as the server keeps it: a filtered cursor over a log, of a few hundred bytes.

A reader turns records into frames, as far as credit and the room in the batch allow. It holds no events and
has no task: its connection gives it turns, and each turn says what follows it. Its states are those of the
protocol's table ``SUBSCRIPTION``.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias

from graphwire_protocol.codec import encode
from graphwire_protocol.commands import From, Position
from graphwire_protocol.credit import Allowance
from graphwire_protocol.filters import BY_KEY, Matcher
from graphwire_protocol.frames import Closed, Gap, Mark, Synced
from graphwire_protocol.limits import DEFAULTS, AnnouncedLimits
from graphwire_protocol.state import SUBSCRIPTION, SubscriptionState, advance
from graphwire_protocol.types import ClosedReason, GapReason, Recovery, Seq

from graphwire_gateway.connections.patching import Patches
from graphwire_gateway.connections.sharing import SMALL, Sharing
from graphwire_gateway.log.fold import Fold
from graphwire_gateway.log.log import Log
from graphwire_gateway.log.record import Record
from graphwire_gateway.log.store import NoLog, Page, Store, StoreAway

_AWAY_S = 0.2  # before a store that was away is asked again

Next: TypeAlias = Literal["turn", "waiting", "stalled", "closed", "over"]
"""What follows a turn: another turn; the log's growth; credit; nothing, because the reader has just sent
``closed``; nothing, because it was left before and sent nothing (``over``).
"""

_TURN_BYTES = 16 << 10
_TURN_RECORDS = 256


class Reader:
    """A cursor of one connection over ``log``.

    ``cursor`` is the last seq that was looked at, ``shown`` the last one that the client knows of.
    ``ready(reader)`` is called when it wants a turn.
    """

    __slots__ = (
        "_delivered",
        "_gap_reason",
        "_head",
        "_is_stalled",
        "_limits",
        "_missing",
        "_origin",
        "_patches",
        "_ready",
        "_sharing",
        "_skipped",
        "_state",
        "_store",
        "_sync_at",
        "allowance",
        "cursor",
        "is_over",
        "log",
        "matcher",
        "shown",
        "sub",
    )

    def __init__(
        self,
        sub: int,
        log: Log,
        store: Store,
        matcher: Matcher,
        credit: int | None,
        ready: "Callable[[Reader], None]",
        patches: Patches | None = None,
        limits: AnnouncedLimits = DEFAULTS,
        sharing: Sharing | None = None,
    ) -> None:
        self.sub = sub
        self.log = log
        self.matcher = matcher
        self.allowance = Allowance(credit)
        self.cursor: Seq = 0
        self.shown: Seq = 0
        self.is_over = False
        self._store = store
        self._ready = ready
        self._patches = patches
        self._limits = limits
        self._sharing = sharing or Sharing()
        self._state: SubscriptionState = "requested"
        self._sync_at: Seq | None = None  # where the replay of what lay before the attachment ends
        self._missing: Literal["nothing", "gap", "snapshot"] = "nothing"
        self._gap_reason: GapReason = "evicted"
        self._is_stalled = False
        self._delivered = 0
        self._skipped = 0
        # A message's metadata is sent with its first delta behind this seq: the start of the attachment, or
        # the end of its last gap.
        self._origin: Seq = 0
        self._head = b'{"type":"event","sub":%d,"n":' % sub

    # ── the attachment ───────────────────────────────────────────────────────────────────────────

    async def attach(self, start: From) -> tuple[Page, Recovery, Seq | None]:
        """Put the cursor where the client wants it; return the log's state, the recovery, and ``after``.

        Raises ``NoLog``.
        """
        page = await self._store.read(self.log.key, 0, 0)
        self._check_there()
        recovery, after = self._begin(page, start)
        self._move("subscribed live" if recovery == "live" else "subscribed")
        return page, recovery, after

    def _begin(self, page: Page, start: From) -> tuple[Recovery, Seq | None]:
        head = page.head
        if start == "now":
            self._jump(head)
            return "live", head
        if start == "snapshot":
            self._missing = "snapshot"
            self._sync_at = head
            return "snapshot", None
        after = start.seq if isinstance(start, Position) else 0
        self._jump(after)
        if isinstance(start, Position) and start.epoch != page.epoch:
            self._gap_reason = "epoch_changed"
        elif after > head:
            self._gap_reason = "ahead"
        elif after >= page.evicted:
            if after == head:
                return "live", after
            self._sync_at = head
            return "replayed", after
        self._missing = "gap"
        self._sync_at = head
        return "gap", None

    def wake(self) -> None:
        """The log has grown or was deleted, or credit came: ask for a turn."""
        self._is_stalled = False
        self._ready(self)

    def grant(self, events: int) -> None:
        """Add credit."""
        self.allowance.add(events)
        if self._is_stalled and events:
            self.wake()

    # ── a turn ───────────────────────────────────────────────────────────────────────────────────

    async def turn(self, out: list[bytes], room: int) -> tuple[int, Next]:
        """Append frames to ``out``, about ``room`` bytes; return how many bytes, and what follows."""
        if self.is_over:
            return 0, "over"
        try:
            if self._missing != "nothing":
                return await self._recover(out)
            head = self.log.head
            page = await self._read()
            records, bodies = await self._prepare(page.records, min(room, _TURN_BYTES))
        except NoLog:
            if self.is_over:
                return 0, "over"
            return self._close(out, "deleted"), "closed"
        except StoreAway:
            asyncio.get_running_loop().call_later(_AWAY_S, self.wake)
            return 0, "waiting"
        if self.is_over:  # it was left while the store was reading
            return 0, "over"
        if page.evicted > self.cursor:
            self._missing = "gap"
            return 0, "turn"
        size = self._take(records, bodies, out, min(room, _TURN_BYTES)) + self._sync(out)
        if self._is_stalled:
            return size, "stalled"
        if self.cursor < self.log.head:
            if page.head < head and not records:  # the store has lost some; who writes it will say so
                asyncio.get_running_loop().call_later(_AWAY_S, self.wake)
                return size, "waiting"
            return size, "turn"
        if self.log.end is not None:
            return size + self._close(out, "end"), "closed"
        self.log.wait(self)
        return size, "waiting"

    async def _read(self) -> Page:
        page = await self._store.read(self.log.key, self.cursor, _TURN_RECORDS)
        self._check_there()
        return page

    async def _prepare(
        self, records: Sequence[Record], room: int
    ) -> tuple[Sequence[Record], dict[Seq, bytes | None]]:
        """Make the bodies that differ from those of the records, about ``room`` bytes of them.

        Return the records up to there, and by seq the bodies, None for what ``keys`` leave nothing of.
        """
        patches, matcher = self._patches, self.matcher
        bodies: dict[Seq, bytes | None] = {}
        if matcher.keys is None and patches is None:
            return records, bodies
        size = 0
        for seq, record in enumerate(records, self.cursor + 1):
            address, body = record.address, None
            if address.mode not in BY_KEY or not matcher.admits(address):
                continue
            if size >= room:
                records = records[: seq - self.cursor - 1]
                break
            if patches is not None and address.mode == "values":
                body = await patches.body(self._sharing, self._store, self.log, matcher, seq, record)
            else:
                data = await self._sharing.projected(self.log, seq, record, matcher)
                body = None if data is None else record.body_with(data)
            bodies[seq] = body
            size += len(body or b"") + min(record.size, SMALL)
            if self.is_over:
                break
        self._check_there()
        return records, bodies

    def _take(
        self, records: Sequence[Record], bodies: dict[Seq, bytes | None], out: list[bytes], room: int
    ) -> int:
        """Append the frames of ``records``, the ones behind the cursor; return how many bytes.

        ``bodies`` has those that differ from the records' own.
        """
        self._move("event")  # once for all records: events do not change the state
        size = 0
        admits, is_unlimited = self.matcher.admits, self.allowance.left is None
        patches = self._patches
        seq = self.cursor
        for record in records:
            address = record.address
            if not admits(address):
                seq += 1
                self._skipped += 1
                continue
            body = bodies.get(seq + 1, record.body) if bodies else record.body
            if body is None:
                seq += 1
                self._skipped += 1
                continue
            if not is_unlimited and not self.allowance.covers(address.mode):
                self._is_stalled = True
                break
            seq += 1
            self._delivered += 1
            if not is_unlimited:
                self.allowance.spend(address.mode)
            if patches is not None and address.mode == "values":
                patches.sent(seq, address.ns)
            if record.meta is not None and record.previous <= self._origin:
                frame = b'%s%d,"seq":%d,%s,"meta":%s}' % (self._head, self._delivered, seq, body, record.meta)
            else:
                frame = b'%s%d,"seq":%d,%s}' % (self._head, self._delivered, seq, body)
            out.append(frame)
            self.shown = seq
            size += len(frame)
            if size >= room:
                break
        self.cursor = seq
        if patches is not None:
            patches.release()
        return size

    def _sync(self, out: list[bytes]) -> int:
        """Send ``synced`` once what lay before the attachment is through."""
        if self._sync_at is None or self.cursor < self._sync_at:
            return 0
        self._move("synced")
        self._sync_at = None
        self.shown = self.cursor
        frame = encode(Synced(sub=self.sub, seq=self.cursor))
        out.append(frame)
        return len(frame)

    # ── gaps and snapshots ───────────────────────────────────────────────────────────────────────

    async def _recover(self, out: list[bytes]) -> tuple[int, Next]:
        """Send the gap or the snapshot that is missing, if there is credit. Raises ``NoLog``."""
        if self.allowance.left == 0:
            self._is_stalled = True
            return 0, "stalled"
        is_gap = self._missing == "gap"
        snapshot, fold = await self._sharing.snapshot(
            self._store, self.log, self.matcher, self._limits, is_of_base=is_gap
        )
        if self.is_over:
            return 0, "over"
        self._check_there()
        frames = [self._gap(fold, snapshot.lacks_messages)] if is_gap else []
        self._move("snapshot")
        self._jump(snapshot.upto)
        frames.append(snapshot.frame(self.sub))
        self._missing = "nothing"
        out.extend(frames)
        return sum(map(len, frames)), "turn"

    def _gap(self, base: Fold, lacks_messages: bool) -> bytes:
        """Return a ``gap`` up to the end of ``base``; its snapshot must follow."""
        self._move("gap")
        # In another epoch, or beyond the head of this one, the client has seen nothing of this log.
        seen = self.shown if self._gap_reason == "evicted" else 0
        gap = Gap(
            sub=self.sub,
            after_seq=self.shown,
            upto_seq=base.upto,
            reason=self._gap_reason,
            lost=tuple(sorted({*base.lost(self.matcher, seen), *(("messages",) if lacks_messages else ())})),
        )
        self._gap_reason = "evicted"
        self._jump(base.upto)
        return encode(gap)

    def _jump(self, seq: Seq) -> None:
        self.cursor = self.shown = self._origin = seq
        if self._patches is not None:
            self._patches.reset()

    # ── marks and the end ────────────────────────────────────────────────────────────────────────

    @property
    def is_silent(self) -> bool:
        """Whether the cursor has moved without the client's knowing."""
        return self.cursor > self.shown

    def mark(self) -> bytes | None:
        """Return a ``mark`` if the cursor has moved without the client's knowing; else None."""
        if self.is_over or not self.is_silent or self._missing != "nothing" or self._sync_at is not None:
            return None
        self._move("mark")
        self.shown = self.cursor
        return encode(Mark(sub=self.sub, seq=self.cursor, n=self._delivered))

    def _close(self, out: list[bytes], reason: ClosedReason) -> int:
        """Send ``closed``; nothing follows it."""
        self._move("closed")
        self.is_over = True
        has_ended = reason == "end"
        frame = encode(
            Closed(
                sub=self.sub,
                reason=reason,
                seq=self.cursor if has_ended else None,
                status=self.log.end if has_ended else None,
                delivered=self._delivered,
                skipped=self._skipped,
            )
        )
        out.append(frame)
        return len(frame)

    def _check_there(self) -> None:
        """Check that what was just read is of this log. Raises ``NoLog``."""
        if self.log.is_deleted:
            raise NoLog(self.log.key)

    def _move(self, frame: str) -> None:
        self._state = advance(SUBSCRIPTION, self._state, frame)
