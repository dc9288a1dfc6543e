"""Who follows logs in Redis hears of their growth here, by pub/sub, whoever writes them.

Each log that is followed has a channel of its own, so that a process hears only of those that its readers
follow, and a log that nobody follows costs nothing. All channels share one connection. Messages may be lost
while that is down: whenever a channel is subscribed to, also again, the log's head is looked at.
"""

import asyncio
from collections.abc import Callable

from graphwire_protocol.types import Seq
from redis.asyncio.client import PubSub

from graphwire_gateway.log.redis_server import RedisServer
from graphwire_gateway.log.store import StoreAway
from graphwire_gateway.telemetry import logger

log = logger("store")

Wake = Callable[[Seq], None]

_RETRY_S = (0.05, 0.2, 1.0)  # waits between connections; the last one repeats
_CHANNELS = 500  # that are subscribed to, or whose logs are asked for, in one message


class _Followed:
    """A log that is followed, and what its followers know of it."""

    __slots__ = ("epoch", "head", "wakes")

    def __init__(self, epoch: str, head: Seq) -> None:
        self.epoch = epoch
        self.head = head
        self.wakes: list[Wake] = []

    def move(self, epoch: str, head: Seq) -> None:
        self.epoch, self.head = epoch, head
        for wake in list(self.wakes):
            wake(head)


class Growth:
    """The logs that are followed on one server.

    ``ping_s``: a connection that says nothing for two and a half times as long is given up. Where only
    ``hears_itself``, since nobody else writes the logs, nothing is subscribed to: ``grew`` and ``gone`` say
    it all, but for what the server may have lost (``check``).
    """

    def __init__(self, server: RedisServer, ping_s: float = 5.0, *, hears_itself: bool = False) -> None:
        self._server = server
        self._hears_itself = hears_itself
        self._ping_s = ping_s
        self._followed: dict[str, _Followed] = {}
        self._subscribed: set[str] = set()
        self._unseen: set[str] = set()  # whose head is to be looked at
        self._changed = asyncio.Event()
        self._is_ping_due = False
        self._task: asyncio.Task[None] | None = None
        self._attempts = 0

    def follow(self, run: str, wake: Wake, epoch: str, head: Seq) -> Callable[[], None]:
        """Call ``wake`` when the log moves on from where it is known to be; return how to stop that.

        ``epoch`` is empty if nothing is known of it.
        """
        followed = self._followed.get(run)
        if followed is None:
            followed = self._followed[run] = _Followed(epoch, head)
            self._changed.set()
        followed.wakes.append(wake)
        if self._task is None and not self._hears_itself:
            self._task = asyncio.ensure_future(self._main())

        def stop() -> None:
            if wake in followed.wakes:
                followed.wakes.remove(wake)
            if not followed.wakes and self._followed.get(run) is followed:
                del self._followed[run]
                self._changed.set()

        return stop

    def grew(self, run: str, epoch: str, head: Seq) -> None:
        """A log has grown to ``head`` at least."""
        followed = self._followed.get(run)
        if followed is not None and (head > followed.head or epoch != followed.epoch):
            followed.move(epoch, head)

    def gone(self, run: str) -> None:
        """A log was deleted: followers look, and find out."""
        followed = self._followed.get(run)
        if followed is not None:
            followed.move("", 0)

    def forget(self, run: str) -> None:
        """Wake nobody any more that follows a log, which is gone for good."""
        if self._followed.pop(run, None) is not None:
            self._changed.set()

    def check(self) -> None:
        """Find out, soon, what the server has lost of logs: it was started again, or replaced."""
        self._unseen.update(self._followed)
        if self._hears_itself and (self._task is None or self._task.done()):
            self._task = asyncio.ensure_future(self._check())

    async def _check(self) -> None:
        while self._unseen & self._followed.keys():
            try:
                await self._look()
            except StoreAway:
                await asyncio.sleep(_RETRY_S[-1])

    # ── the connection ───────────────────────────────────────────────────────────────────────────

    async def _main(self) -> None:
        while True:
            try:
                await self._listen()
            except Exception as error:
                wait_s = _RETRY_S[min(self._attempts, len(_RETRY_S) - 1)]
                self._attempts += 1
                log.warning(
                    "growth of logs is not heard; connecting again",
                    store=self._server.name,
                    error=repr(error),
                )
                await asyncio.sleep(wait_s)

    async def _listen(self) -> None:
        """Hear of growth until the connection breaks, or nothing is followed."""
        while not self._followed:
            self._changed.clear()
            await self._changed.wait()
        self._subscribed.clear()
        loop = asyncio.get_running_loop()
        async with self._server.subscriber() as pubsub:
            hearing: asyncio.Task[None] | None = None
            try:
                while self._followed:
                    self._changed.clear()
                    await self._subscribe(pubsub)
                    if hearing is None:
                        hearing = asyncio.ensure_future(self._hear(pubsub))
                        hearing.add_done_callback(lambda _: self._changed.set())
                    elif hearing.done():
                        hearing.result()
                    await self._look()
                    timer = loop.call_later(self._ping_s, self._ping_soon)
                    await self._changed.wait()
                    timer.cancel()
                    if self._is_ping_due:
                        self._is_ping_due = False
                        await pubsub.ping()
            finally:
                if hearing is not None:
                    await _end(hearing)

    def _ping_soon(self) -> None:
        self._is_ping_due = True  # by the time of a timer: a loop may be early by a fraction of a tick
        self._changed.set()

    async def _subscribe(self, pubsub: PubSub) -> None:
        """Subscribe to what is followed, and no more to the rest."""
        channel = self._server.channel
        new = [run for run in self._followed if run not in self._subscribed]
        for at in range(0, len(new), _CHANNELS):
            runs = new[at : at + _CHANNELS]
            await pubsub.subscribe(*map(channel, runs))
            self._subscribed.update(runs)
        old = [run for run in self._subscribed if run not in self._followed]
        for at in range(0, len(old), _CHANNELS):
            runs = old[at : at + _CHANNELS]
            await pubsub.unsubscribe(*map(channel, runs))
            self._subscribed.difference_update(runs)

    async def _hear(self, pubsub: PubSub) -> None:
        while True:
            message = await pubsub.get_message(timeout=2.5 * self._ping_s)
            if message is None:
                raise ConnectionError("the server says nothing")
            if message["type"] == "message":
                run = self._server.run_of(message["channel"].decode())
                head, _, epoch = message["data"].decode().partition(" ")
                if head:
                    self.grew(run, epoch, int(head))
                else:
                    self.gone(run)
            elif message["type"] == "subscribe":
                self._unseen.add(self._server.run_of(message["channel"].decode()))
                self._changed.set()

    async def _look(self) -> None:
        """Find out where logs are, messages about which may have been missed."""
        runs = [run for run in self._unseen if run in self._followed]
        before = [(followed.epoch, followed.head) for followed in map(self._followed.__getitem__, runs)]
        self._unseen.clear()
        if not runs:
            return
        try:
            found = []
            for at in range(0, len(runs), _CHANNELS):
                found += await self._server.fields(runs[at : at + _CHANNELS], "epoch", "head")
        except BaseException:
            self._unseen.update(runs)
            raise
        for run, known, (epoch, head) in zip(runs, before, found, strict=True):
            followed = self._followed.get(run)
            if followed is None:
                continue
            if epoch is None or head is None:
                self.gone(run)
            elif (epoch.decode(), int(head)) < known and epoch.decode() == known[0]:
                # Not an answer that a message has overtaken: before the question, the head was known already.
                log.error("the store has lost the end of a log", run=run, head=int(head), known=known[1])
                followed.move(epoch.decode(), int(head))
            else:
                self.grew(run, epoch.decode(), int(head))
        self._attempts = 0

    async def aclose(self) -> None:
        """Follow nothing any more."""
        self._followed.clear()
        task, self._task = self._task, None
        if task is not None:
            await _end(task)


async def _end(task: asyncio.Task[None]) -> None:
    """Cancel a task until it has ended: redis-py swallows a cancellation now and then."""
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=0.1)
    if not task.cancelled():
        task.exception()  # it has been reported, or nobody needs it any more
