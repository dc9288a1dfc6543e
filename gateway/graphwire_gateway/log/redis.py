"""Logs in Redis or Valkey: one process writes a log, and others read and follow it.

An append is one message with a script for each log, which checks the epoch and the seq, takes the records
and publishes the new head (``log/redis_scripts.py``). If the answer gets lost, the same batches come again,
and are known again. Who follows is woken by a message (``log/redis_growth.py``). Old records are folded by
the writer: it reads them, folds them in a thread, and puts the base in their place, if nothing was folded
meanwhile.

What is known of logs here is what the answers of the server said last, and decides about nothing but what to
fold. Of logs that others write, nothing is known. While the server cannot be reached, everything that asks it
raises ``StoreAway``, after a bounded time.

Long because writing, reading, folding and expiry share what is known of the logs.
"""

import asyncio
import contextlib
import os
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from graphwire_protocol.types import Durability, Seq
from redis.asyncio import Redis

from graphwire_gateway.errors import CannotServe
from graphwire_gateway.fence import Fence
from graphwire_gateway.limits import LogLimits
from graphwire_gateway.log.eviction import Stop, first, over
from graphwire_gateway.log.fold import Fold
from graphwire_gateway.log.packed import packed, unpacked
from graphwire_gateway.log.record import Record, first_of
from graphwire_gateway.log.redis_folds import Found, folded, shrunk
from graphwire_gateway.log.redis_growth import Growth
from graphwire_gateway.log.redis_keys import cluster_key
from graphwire_gateway.log.redis_known import Known
from graphwire_gateway.log.redis_opening import claim_all, claim_call, kept_logs, losses
from graphwire_gateway.log.redis_owner import RedisOwner
from graphwire_gateway.log.redis_recent import Command, Recent
from graphwire_gateway.log.redis_scripts import (
    APPEND,
    CREATE,
    CREATE_AGAIN,
    DELETE,
    FENCED,
    FOLD,
    GAP,
    READ,
    RENEW,
    STAND,
)
from graphwire_gateway.log.redis_server import RedisServer, ScriptCall
from graphwire_gateway.log.shares import FLOOR, shares
from graphwire_gateway.log.store import Batch, Fenced, Kept, NoLog, Page, Rewound, SeqGap, StoreAway
from graphwire_gateway.log.tails import MOST_BYTES, Tails
from graphwire_gateway.telemetry import logger

log = logger("store")

LEASE_S = 7 * 24 * 3600.0
"""How long a log outlives its last append or ``touch``, and a closed one what it is kept for."""

_ATTEMPTS = 60  # of others than the store: a minute, or some where each attempt has to time out
_TOUCHED = 500  # logs that are touched in one message
_ENTRY_RECORDS = 64
_ENTRY_BYTES = 64 << 10  # about, of one entry
_PAGE_BYTES = 1 << 20  # about, of one answer
_NUMBERS = 1 << 20  # of logs that an owner of the prefix begins, until the next one's
_SLICE = 512  # records that are folded at once
_SLICE_BYTES = 256 << 10  # and about how many bytes of them
_PARTS = 8  # of the memory for newest records, where a process has several stores
_SLACK = 8  # evict an eighth at once, so that a full log does not fold at every append


class RedisStore:
    """The logs on the server at ``url``; ``RedisServer`` says what that may be.

    Several stores may share a server. Each bounds the logs that it writes: those that it has created,
    appended to or claimed, and those that it found when it was opened; ``size`` counts these.

    A log expires ``lease_s`` seconds after its last append or ``touch``. ``ping_s``: see ``Growth``. A store
    that ``is_alone`` shares its prefix with no other that is: it waits for its turn, then claims all logs.
    One that ``is_part`` of what its process serves waits for nothing, and leaves it to others to warn.
    """

    def __init__(
        self,
        url: str,
        limits: LogLimits | None = None,
        *,
        lease_s: float = LEASE_S,
        ping_s: float = 5.0,
        is_alone: bool = False,
        is_part: bool = False,
    ) -> None:
        self._limits = limits or LogLimits()
        self._lease_ms = int(lease_s * 1000)
        self._url = url
        self._server = RedisServer(url, warns=not is_part)
        self._writer = os.urandom(8).hex()
        patience_s = 0 if is_part else None
        self._owner = RedisOwner(self._server, self._writer, patience_s) if is_alone else None
        if self._owner is not None:
            self._owner.came_back = self._see_who_is_there
        self._recent = Recent()
        self._server.life.restore = self._restore
        self._taken = asyncio.Event()
        self._touching: asyncio.Task[None] | None = None
        self._growth = Growth(self._server, ping_s, hears_itself=is_alone)
        self._logs: dict[str, Known] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._work: set[asyncio.Task[None]] = set()
        self._sizes: Counter[str] = Counter()  # by principal
        self._begun = 0  # logs
        self._doomed: dict[str, str] = {}  # logs that are to be deleted, and their epochs
        self._thread_writes = asyncio.Lock()
        self._tails = Tails(MOST_BYTES // _PARTS if is_part else MOST_BYTES)
        self._folder = ThreadPoolExecutor(1, "graphwire-store-folds")
        self.size = 0
        """Bytes held by the logs that this store writes, as their records count."""

    @property
    def durability(self) -> Durability:
        """What the server promises; known once the store is open. See ``RedisServer.open``."""
        return self._server.durability

    @property
    def outlives(self) -> bool:
        """Another process finds it, as long as the server is there."""
        return True

    @property
    def taken(self) -> asyncio.Event:
        """Set once another server has the prefix, of a store that ``is_alone``; see ``Store``."""
        return self._taken if self._owner is None else self._owner.taken

    @property
    def is_ours(self) -> bool:
        """Whether the lease of a store that ``is_alone`` has not ended; see ``Store``."""
        return self._owner is None or self._owner.may_write

    @property
    def away_s(self) -> float:
        """What the renewals of a store that ``is_alone`` know; see ``Store``."""
        return 0.0 if self._owner is None else self._owner.away_s

    @property
    def name(self) -> str:
        """The server's address, without a password."""
        return self._server.name

    @property
    def prefix(self) -> str:
        """What all keys begin with."""
        return self._server.prefix

    def announce(self, url: str) -> None:
        """Say where the server listens whose store it is, if it ``is_alone``. Call it before ``open``."""
        if self._owner is not None:
            self._owner.announce(url)

    @property
    def fence(self) -> Fence | None:
        """A later store of the prefix has a greater number; None unless this one ``is_alone``, and open."""
        if self._owner is None or not self._owner.number:
            return None
        return Fence(self._server.owner_keys[1], self._owner.number)

    @contextlib.asynccontextmanager
    async def another_client(self) -> AsyncIterator[Redis]:
        """Yield a client of the same server, which tries again for a minute or some before it fails."""
        server = RedisServer(self._url, attempts=_ATTEMPTS)
        try:
            yield server.client
        finally:
            await server.aclose()

    def size_of(self, principal: str) -> int:
        """Return the bytes held by the logs of a principal's runs, of those that this store writes."""
        return self._sizes[principal]

    async def open(self) -> list[Kept]:
        """Check the server; return what it has of each run, the oldest first. Raises ``CannotServe``.

        If the store is alone, it waits for its turn and claims all logs. Else another store may be writing
        some of them, and whoever takes a log over claims it first.
        """
        await self._server.open()
        try:
            if self._owner is not None:
                if await self._server.carry_out(("EXISTS", cluster_key(self.prefix))):
                    raise CannotServe(
                        f"{self.name} is shared by workers: start another one (graphwire worker), a gateway "
                        "to them (graphwire serve --workers 0), or give this server a prefix of its own: "
                        "?prefix=NAME"
                    )
                await self._owner.acquire()
                found = await claim_all(self._server, self._writer, self._owner, self._recent)
                self._touching = asyncio.ensure_future(self._touch_all())
            else:
                found = await kept_logs(self._server)
        except StoreAway as error:
            raise CannotServe(str(error)) from error
        for one in found:
            self._note(self._known(one.kept.run, one.kept.epoch), one.numbers)
        return [one.kept for one in found]

    async def create(self, run: str, epoch: str, start: bytes = b"") -> None:
        """Begin an empty log, in place of one of another epoch. Raises ``StoreAway``."""
        if not self.is_ours:
            raise StoreAway(f"{self._server.name}: another server may have taken it")
        self._begun += 1
        number = self._begun if self._owner is None else self._owner.number * _NUMBERS + self._begun
        args = (epoch, start, self._lease_ms, self._server.channel(run), self._writer, number, *self.place)
        while await self._server.call(CREATE, run, *args) == FENCED:  # the call may have waited
            if self._owner is None or not await self._owner.renew():
                raise StoreAway(f"{self._server.name}: another server has taken it")
        self._note_call(ScriptCall(CREATE_AGAIN, run, args))
        self._forget(run)
        self._doomed.pop(run, None)
        self._known(run, epoch)

    async def claim(self, run: str, epoch: str, new_epoch: str) -> Seq:
        """Become the writer of a log, so that whoever wrote it is refused from now on; return its head.

        It gets another epoch unless the two are the same. They may be only where the server is known not to
        have lost its end, which otherwise only its writer knew. Raises ``Fenced`` if its epoch is not
        ``epoch``, ``NoLog``, ``StoreAway``.
        """
        call = claim_call(self._server, run, epoch, new_epoch, self._writer, self.place)
        (numbers,) = await self._server.call_all([call])
        if numbers is None:
            raise NoLog(run)
        if numbers == FENCED:
            raise Fenced
        self._note_call(call)
        self._note(self._known(run, new_epoch), numbers)
        head = int(numbers[0])
        self._growth.grew(run, new_epoch, head)
        return head

    @property
    def place(self) -> tuple[str | bytes, str | bytes]:
        """The key and the value by which this store has the prefix, if it ``is_alone``, for scripts."""
        return ("", "") if self._owner is None else (self._server.owner_key, self._owner.value)

    def _see_who_is_there(self) -> None:
        async def ask() -> None:
            with contextlib.suppress(StoreAway):
                await self._server.carry_out(("PING",))  # over a new connection, which looks at its life

        self._begin(ask())

    async def _restore(self) -> None:
        """Send the server again what it may have lost: it was started again, or another has taken over."""
        commands = self._recent.commands()
        if commands and self._owner is not None and not await self._owner.renew():
            return  # another store has taken its place, and has taken over what there is
        await self._server.restore(commands)
        log.warning(
            "the server of the store was started again, or replaced; it got the newest writes once more",
            store=self.name,
            writes=len(commands),
        )
        if self._touching is not None:  # it is alone, and knows all logs
            await self._find_losses()
        self._growth.check()

    async def _find_losses(self) -> None:
        """Make good what can be, before anything else is asked; else the next owner gives new epochs."""
        assert self._owner is not None
        server, life = self._server, self._server.life.id
        lost = await losses(server, self._logs, self._writer)
        calls = [
            ScriptCall(DELETE, run, (epoch, server.channel(run), "")) for run, epoch in lost.back.items()
        ]
        for run in lost.unclaimed:
            epoch = self._logs[run].epoch
            calls.append(claim_call(server, run, epoch, epoch, self._writer, self.place))
        commands = list(map(server.again, calls))
        if life and not lost.lacking:
            commands.append(self._owner.owned(server.life_command(life)))
        await server.send_again(commands)
        if lost.lacking:
            log.warning(
                "logs lack what they had; the next server gives all new epochs", logs=len(lost.lacking)
            )
        else:
            log.info("all logs are whole", store=self.name, logs=len(self._logs))

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        self._work.add(task := asyncio.ensure_future(work))
        task.add_done_callback(self._work.discard)

    def _note_call(self, call: ScriptCall) -> None:
        self._recent.note(self._server.again(call))

    # ── writing ──────────────────────────────────────────────────────────────────────────────────

    async def append(self, batches: Sequence[Batch]) -> list[Seq | Fenced | SeqGap | StoreAway]:
        """Append many batches at once; see ``Store``. Raises ``StoreAway``."""
        if self.taken.is_set():  # the next owner may not have claimed all logs yet
            return [Fenced() for _ in batches]
        calls = [self._call(batch) for batch in batches]
        found = await self._server.call_each(calls)
        known = [self._logs.get(batch.run) for batch in batches]
        answers = [self._answer(batch, answer) for batch, answer in zip(batches, found, strict=True)]
        if answers and all(isinstance(answer, StoreAway) for answer in answers):
            raise answers[0]  # type: ignore[misc]
        for call, answer in zip(calls, answers, strict=True):
            if isinstance(answer, int):
                self._note_call(call)
        is_fenced = any(isinstance(answer, Fenced) for answer in answers)
        if self._owner is not None and is_fenced and await self._owner.renew():
            # No other server has it: the store has lost the log, or that it was claimed. One that is not
            # known was deleted, and another may have its name.
            for number, (batch, before) in enumerate(zip(batches, known, strict=True)):
                is_lost = before is not None and before.epoch == batch.epoch
                if is_lost and isinstance(answers[number], Fenced):
                    answers[number] = Rewound(0)
                    self._doomed[batch.run] = batch.epoch
        for batch, answer in zip(batches, answers, strict=True):
            now = self._logs.get(batch.run)
            if isinstance(answer, int) and now is not None and self._is_over_limits(now):
                try:
                    await self._evict(batch.run, now, 2 * len(batch.records))
                except Exception as error:  # the records are taken all the same, and must not be sent again
                    log.warning(
                        "a log was not shortened; trying again with its next event", error=repr(error)
                    )
        return answers

    def _call(self, batch: Batch) -> ScriptCall:
        last = batch.first_seq + len(batch.records) - 1
        args: list[Any] = [batch.epoch, batch.first_seq, last, batch.size, self._lease_ms]
        args.append(self._server.channel(batch.run))
        for kept in (batch.standing, batch.start):
            args += ("", b"") if kept is None else ("1", kept)
        args.append(self._writer)
        at = 0
        while at < len(batch.records):
            records, _ = first_of(batch.records[at : at + _ENTRY_RECORDS], _ENTRY_BYTES)
            at += len(records)
            args += (f"{batch.first_seq + at - 1}-{len(records)}", packed(records))
        return ScriptCall(APPEND if batch.records else STAND, batch.run, args)

    def _answer(self, batch: Batch, answer: "list[int] | Exception") -> Seq | Fenced | SeqGap | StoreAway:
        if isinstance(answer, Exception):
            return StoreAway(f"{self.name}: {answer}")
        known = self._logs.get(batch.run)
        if known is not None and known.epoch != batch.epoch:
            known = None
        if answer[0] == FENCED:
            if known is not None:  # another writes it now
                self._forget(batch.run)
            return Fenced()
        if answer[0] == GAP:
            head = answer[1]
            return Rewound(head) if known is not None and head < known.head else SeqGap(head)
        head = answer[0]
        if known is None:
            known = self._known(batch.run, batch.epoch)
        self._note(known, answer)
        self._tails.extend(batch.run, batch.first_seq, batch.records, batch.size)
        self._growth.grew(batch.run, batch.epoch, head)
        return head

    def _known(self, run: str, epoch: str) -> Known:
        """Return what is known of a log from now on that this store writes."""
        self._forget(run)
        known = self._logs[run] = Known(run, epoch)
        return known

    def _note(self, known: Known, numbers: Sequence[int]) -> None:
        """Note the head, ``evicted``, the size of the records and that of the base.

        Answers may be read in another order than they were given, and in one log both only grow.
        """
        head, evicted, *_ = numbers
        if head < known.head or evicted < known.evicted:
            return
        before = known.total
        known.head, known.evicted, known.size, known.base_size = numbers
        self._count(known.principal, known.total - before)

    def _count(self, principal: str, size: int) -> None:
        self.size += size
        self._sizes[principal] += size
        if not self._sizes[principal]:
            del self._sizes[principal]

    def _forget(self, run: str) -> None:
        self._tails.forget(run)
        known = self._logs.pop(run, None)
        if known is not None:
            self._count(known.principal, -known.total)

    # ── reading ──────────────────────────────────────────────────────────────────────────────────

    async def read(self, run: str, after: Seq, limit: int) -> Page:
        """Return at most ``limit`` records behind ``after``, of about a megabyte or two; see ``Store``.

        A store that ``is_alone`` knows the newest records of its logs, and does not ask the server for them.
        Raises ``NoLog``, ``StoreAway``.
        """
        known = self._logs.get(run) if self._owner is not None and not self.taken.is_set() else None
        if known is not None and known.evicted <= after:
            if after >= known.head:
                return Page(known.epoch, known.evicted, known.head, [])
            newest = self._tails.read(run, after, limit) if limit > 0 else None
            if newest:
                return Page(known.epoch, known.evicted, known.head, newest)
        found = await self._found(run, after, limit)
        records: list[Record] = []
        for start, _, data in found.entries:
            begin = after + 1 + len(records) - start
            if begin < 0:  # somebody else deleted the stream, or a part of it
                raise NoLog(run)
            records += unpacked(data)[begin:]
        return Page(found.epoch, found.evicted, found.head, records[:limit])

    async def _found(
        self, run: str, after: Seq, limit: int, most_bytes: int = _PAGE_BYTES, has_base: bool = False
    ) -> Found:
        """Read entries behind ``after``, or behind what is evicted if that is below 0."""
        answer = await self._server.call(READ, run, after, limit, most_bytes, "1" if has_base else "")
        if answer is None:
            raise NoLog(run)
        found = Found.of(answer)
        if not found.entries and found.evicted <= after < found.head and limit > 0:
            raise NoLog(run)
        return found

    async def base(self, run: str) -> Fold:
        """Return what the evicted records fold to; see ``Store``. Raises ``NoLog``, ``StoreAway``."""
        ((epoch, base),) = await self._server.fields([run], "epoch", "base")
        if epoch is None:
            raise NoLog(run)
        return Fold() if base is None else await self._in_thread(Fold.load, base)

    def tail(self, run: str, wake: Callable[[Seq], None]) -> Callable[[], None]:
        """Call ``wake(head)`` whenever the log has grown, whoever writes it; return how to stop that.

        Whether there is such a log is not known here. If there is none, or it is deleted, or the server has
        lost its end, ``wake`` is called as well, with a smaller head: whoever reads then finds out.
        """
        known = self._logs.get(run) or Known(run, "")
        return self._growth.follow(run, wake, known.epoch, known.head)

    # ── what goes ────────────────────────────────────────────────────────────────────────────────

    def _is_over_limits(self, known: Known) -> bool:
        events, size = self._limits.events, self._limits.bytes
        return known.count > events + events // _SLACK or known.size > size + size // _SLACK

    async def _evict(self, run: str, known: Known, most: int) -> None:
        """Fold what is over the limits, ``most`` records about; what is young stays longer."""
        left = max(most, _SLICE)
        while left > 0 and self._logs.get(run) is known:
            stop = over(known.count, known.size, self._limits, min(left, _SLICE))
            count = await self._fold(run, known, stop)
            if not count:
                return
            left -= count

    async def _fold_slice(self, run: str, known: Known, keep: int) -> int:
        """Fold some of the records but for the newest ``keep``; return how many."""
        return await self._fold(run, known, first(known.count - keep, _SLICE, _SLICE_BYTES))

    async def _fold(self, run: str, known: Known, stop: Stop) -> int:
        """Fold the oldest records until ``stop``; return how many. Raises ``NoLog``, ``StoreAway``."""
        found = await self._found(run, -1, _SLICE, _SLICE_BYTES, has_base=True)
        base, count, size = await self._in_thread(folded, found, stop, self._limits.bytes)
        return count if count and await self._put(run, known, found, base, size) else 0

    async def _shrink(self, run: str, known: Known, limit: int) -> None:
        """Let the base hold at most ``limit`` bytes."""
        found = await self._found(run, -1, 0, has_base=True)
        await self._put(run, known, found, await self._in_thread(shrunk, found, limit), 0)

    async def _put(
        self, run: str, known: Known, found: Found, base: tuple[Seq, bytes, int], size: int
    ) -> bool:
        """Put a base in the place of what it was made of; return whether nothing had moved."""
        evicted, data, base_size = base
        args = (known.epoch, found.evicted, evicted, size, data, base_size)
        answer = await self._server.call(FOLD, run, *args)
        if answer is not None and self._logs.get(run) is known:
            self._note(known, answer)
        return answer is not None

    async def close(self, run: str, ttl_s: float) -> None:
        """Fold the log wholly into its base after ``ttl_s`` seconds; see ``Store``. Raises ``StoreAway``.

        It expires ``lease_s`` later, should nobody delete it; about as much later if that is far longer.
        """
        known = self._logs.get(run)
        ttl_ms = int(ttl_s * 1000)
        if known is None or self._owner is None or ttl_ms > self._lease_ms / 4:  # else it is touched in time
            try:
                if not await self._server.call(RENEW, run, ttl_ms + self._lease_ms):
                    raise NoLog(run)
            except StoreAway as error:
                if known is None:
                    raise
                log.warning(
                    "an ended log may expire early", run=run, error=str(error)
                )  # unless it is touched
        if known is not None and self._logs.get(run) is known:
            self._timers[run] = asyncio.get_running_loop().call_later(ttl_s, self._expire, run, known)

    def _expire(self, run: str, known: Known) -> None:
        self._timers.pop(run, None)
        self._begin(self._fold_ended(run, known))

    async def _fold_ended(self, run: str, known: Known) -> None:
        # The terminal event stays, for who comes late.
        try:
            while known.count > 1 and self._logs.get(run) is known:
                if not await self._fold_slice(run, known, 1):
                    return
        except Exception as error:
            log.warning("an ended log was not folded", error=repr(error))  # it goes with its run

    async def touch(self, runs: Iterable[str]) -> None:
        """Let logs that are still needed not expire for another ``lease_s``. Raises ``StoreAway``."""
        await self._server.call_all([ScriptCall(RENEW, run, (self._lease_ms,)) for run in runs])

    async def _touch_all(self) -> None:
        """Let no log expire while this store is there."""
        while True:
            await asyncio.sleep(self._lease_ms / 1000 / 4)
            with contextlib.suppress(StoreAway):  # three more attempts come in time
                runs = list(self._logs)
                for at in range(0, len(runs), _TOUCHED):
                    await self.touch(runs[at : at + _TOUCHED])

    async def trim(self, size: int) -> None:
        """Free ``size`` bytes of the logs that this store writes, if that is possible; see ``Store``."""
        logs = ((known.principal, known.total) for known in self._logs.values())
        most = shares(logs, self._sizes, self.size - size)
        for run, known in list(self._logs.items()):
            share = most.get(known.principal)
            if share is None:
                continue
            try:
                while known.count and known.total > share and self._logs.get(run) is known:
                    if not await self._fold_slice(run, known, 0):
                        break
                if known.total > share and self._logs.get(run) is known:
                    await self._shrink(run, known, max(share - known.size, FLOOR))
            except NoLog:
                if self._logs.get(run) is known:
                    self._forget(run)

    async def delete(self, run: str) -> None:
        """Forget the log; see ``Store``. One that is only known to others may raise ``StoreAway``."""
        timer = self._timers.pop(run, None)
        if timer is not None:
            timer.cancel()
        self._growth.forget(run)
        if self.taken.is_set():
            return
        known = self._logs.get(run)
        if known is not None:
            self._forget(run)
            self._doomed[run] = known.epoch
        elif run not in self._doomed:
            writer = "" if self._owner is None else self._writer  # it may be another's by now
            await self._server.call(DELETE, run, "", self._server.channel(run), writer)
            return
        try:
            doomed = dict(self._doomed)
            channel = self._server.channel
            calls = [ScriptCall(DELETE, run, (doomed[run], channel(run), self._writer)) for run in doomed]
            await self._server.call_all(calls)
            for call in calls:
                self._note_call(call)
        except StoreAway as error:
            log.warning("a log was not deleted; trying again with the next one", error=repr(error))
            return
        self._doomed = {run: epoch for run, epoch in self._doomed.items() if run not in doomed}

    # ── threads ──────────────────────────────────────────────────────────────────────────────────

    async def threads(self) -> dict[str, bytes]:
        """Return what is kept of threads; see ``Store``. Raises ``StoreAway``."""
        return await self._server.threads()

    async def keep_thread(self, thread: str, data: bytes | None) -> None:
        """Keep something of a thread; see ``Store``. Raises ``StoreAway``."""
        async with self._thread_writes:  # connections know no order
            command = self._server.thread_command(thread, data)
            await self.carry_out(command)
            self._recent.note(command if self._owner is None else self._owner.owned(command))

    async def carry_out(self, command: Command) -> None:
        """Carry out a command with one key, as the owner if it ``is_alone``. Raises ``StoreAway``."""
        await (self._owner or self._server).carry_out(command)

    async def _in_thread(self, function: Callable[..., Any], *args: object) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._folder, function, *args)

    async def aclose(self) -> None:
        """Close the connections."""
        for timer in self._timers.values():
            timer.cancel()
        for task in self._work:
            task.cancel()
        await asyncio.gather(*self._work, return_exceptions=True)
        if self._touching is not None:
            self._touching.cancel()
            await asyncio.gather(self._touching, return_exceptions=True)
        await self._growth.aclose()
        if self._owner is not None:
            await self._owner.release()
        await self._server.aclose()
        self._folder.shutdown(wait=False)
