"""One subscription, as its server keeps it: a filtered cursor over a log, a few hundred bytes.

It turns a page of records into frames, as far as credit and the room in the batch allow. It holds no events
and has no task: its connection gives it turns.
"""

from collections.abc import Callable, Sequence
from typing import Literal

import orjson
from graphwire_protocol.codec import encode
from graphwire_protocol.credit import Allowance
from graphwire_protocol.filters import BY_KEY, NOTHING, Matcher
from graphwire_protocol.frames import Closed, Gap, Mark, Synced
from graphwire_protocol.types import TERMINAL, ClosedReason, GapReason, Seq

from graphwire_gateway.connections.patching import Patches
from graphwire_gateway.log.fold import Fold
from graphwire_gateway.log.store import Record
from graphwire_gateway.runs.run import Run

Need = Literal["none", "gap", "snapshot"]


class Subscription:
    """A cursor of one connection over the log of ``run``.

    ``cursor`` is the last seq that was looked at, ``told`` the last one that the client knows of.
    """

    __slots__ = (
        "_head",
        "_n",
        "_origin",
        "_ready",
        "allowance",
        "cursor",
        "is_over",
        "matcher",
        "need",
        "need_reason",
        "patches",
        "place",
        "run",
        "skipped",
        "sub",
        "sync_at",
        "told",
    )

    def __init__(
        self,
        sub: int,
        run: Run,
        matcher: Matcher,
        credit: int | None,
        ready: "Callable[[Subscription], None]",
        patches: Patches | None = None,
    ) -> None:
        self.sub = sub
        self.run = run
        self.matcher = matcher
        self.allowance = Allowance(credit)
        self.cursor: Seq = 0
        self.told: Seq = 0
        self.sync_at: Seq | None = None
        self.need: Need = "none"
        self.need_reason: GapReason = "evicted"
        self.patches = patches
        self.skipped = 0
        self.is_over = False
        self.place: Literal["turns", "waiting", "stalled"] = "turns"
        self._n = 0
        # Metadata is told with the first delta of a message that lies behind here: where the attachment
        # began, or where its last gap ended.
        self._origin: Seq = 0
        self._head = b'{"type":"event","sub":%d,"n":' % sub
        self._ready = ready

    def wake(self) -> None:
        """The log has grown, or credit came: ask for a turn."""
        self.place = "turns"
        self._ready(self)

    def begin(self, after: Seq) -> None:
        """Deliver from behind ``after`` on."""
        self.cursor = self.told = self._origin = after

    def take(self, records: Sequence[Record], out: list[bytes], room: int) -> int:
        """Append the frames of ``records``, the ones behind the cursor, to ``out``, about ``room`` bytes.

        Returns the bytes appended. Where it stops before the end, ``stalled`` is the place if credit is what
        is missing.
        """
        size = 0
        admits, covers = self.matcher.admits, self.allowance.left is None
        has_keys, patches = self.matcher.keys is not None, self.patches
        seq = self.cursor
        for record in records:
            address = record.address
            if not admits(address):
                seq += 1
                self.skipped += 1
                continue
            body: bytes | None = record.body
            if patches is not None and address.mode == "values":
                body = patches.body(seq + 1)
            elif has_keys and address.mode in BY_KEY:
                body = self._cut(record)
            if body is None:
                seq += 1
                self.skipped += 1
                continue
            if not covers and not self.allowance.covers(address.mode):
                self.place = "stalled"
                break
            seq += 1
            self._n += 1
            if not covers:
                self.allowance.spend(address.mode)
            if patches is not None and address.mode == "values":
                patches.tell(seq, address.ns)
            if record.meta is not None and record.previous <= self._origin:
                frame = b'%s%d,"seq":%d,%s,"meta":%s}' % (self._head, self._n, seq, body, record.meta)
            else:
                frame = b'%s%d,"seq":%d,%s}' % (self._head, self._n, seq, body)
            out.append(frame)
            self.told = seq
            size += len(frame)
            if size >= room:
                break
        self.cursor = seq
        return size

    def _cut(self, record: Record) -> bytes | None:
        data = self.matcher.project(record.address.mode, orjson.loads(record.data))
        if data is NOTHING:
            return None
        body = record.body
        return body[: record.start] + orjson.dumps(data) + body[record.stop :]

    def gap(self, base: Fold) -> bytes:
        """Return a ``gap`` up to the end of ``base``, whose snapshot must follow."""
        # Of another epoch, or of what this one has not reached yet, the client has seen nothing.
        seen = self.told if self.need_reason == "evicted" else 0
        gap = Gap(
            sub=self.sub,
            after_seq=self.told,
            upto_seq=base.upto,
            reason=self.need_reason,
            lost=tuple(base.lost(self.matcher, seen)),
        )
        self.need_reason = "evicted"
        self._move(base.upto)
        return encode(gap)

    def snapshot(self, fold: Fold) -> bytes:
        """Return the ``snapshot`` of ``fold`` as the filter shows it; delivery goes on behind it."""
        self._move(fold.upto)
        return orjson.dumps({"type": "snapshot", "sub": self.sub, **fold.snapshot(self.matcher)})

    def _move(self, seq: Seq) -> None:
        self.cursor = self.told = self._origin = seq
        if self.patches is not None:
            self.patches.reset()

    def synced(self) -> bytes | None:
        """Return ``synced`` if what lay before the attachment is through."""
        if self.sync_at is None or self.cursor < self.sync_at:
            return None
        self.sync_at = None
        self.told = self.cursor
        return encode(Synced(sub=self.sub, seq=self.cursor))

    def mark(self) -> bytes | None:
        """Return a ``mark`` if the cursor has moved without the client's knowing."""
        if self.is_over or self.cursor <= self.told or self.need != "none" or self.sync_at is not None:
            return None
        self.told = self.cursor
        return encode(Mark(sub=self.sub, seq=self.cursor))

    def closed(self, reason: ClosedReason) -> bytes:
        """Return ``closed``; nothing follows it."""
        self.is_over = True
        status = self.run.status
        return encode(
            Closed(
                sub=self.sub,
                reason=reason,
                seq=self.cursor if reason == "end" else None,
                status=status if reason == "end" else None,
                delivered=self._n,
                skipped=self.skipped,
            )
        )

    @property
    def is_at_end(self) -> bool:
        """Whether the cursor is behind the terminal event of an ended run."""
        run = self.run
        return run.is_sealed and self.cursor >= run.feed.head and run.status in TERMINAL
