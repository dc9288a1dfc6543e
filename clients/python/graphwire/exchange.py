"""Requests and replies, subscriptions and their queues: what a client exchanges with its server.

It outlives every WebSocket. The protocol's ``ClientSession`` decides what to send and what a message means;
the exchange completes the futures of requests with their replies, and puts events into the queues of their
subscriptions. The ``Reconnector`` has the sockets: it calls ``connected``, ``outgoing``, ``receive`` and
``disconnected``.
"""

import asyncio
import contextlib
import logging
import random
import threading
from collections.abc import Callable, Collection, Iterable
from typing import TypeAlias, TypeVar

from graphwire_protocol import Refusal
from graphwire_protocol.client import ClientSession
from graphwire_protocol.codec import Unknown
from graphwire_protocol.commands import Product, Request, Unsubscribe
from graphwire_protocol.errors import Misuse
from graphwire_protocol.frames import Closed
from graphwire_protocol.happenings import Announced, Answered, Deferred, Delivered, Happening
from graphwire_protocol.replies import Error, Goaway, Notice, Reply, Subscribed, Welcome

from graphwire.blocking import remember_process, require_elsewhere, was_forked
from graphwire.errors import GraphwireError, Refused
from graphwire.event_queue import EventQueue
from graphwire.run_tracker import RunTracker
from graphwire.watch_queue import WatchQueue

log = logging.getLogger("graphwire")

MakeRequest: TypeAlias = Callable[[int], Request]
"""Returns the request that has this ``id``."""

MakeSubscription: TypeAlias = Callable[[int, int], Request]
"""Returns the request that has this ``id`` and opens the subscription ``sub``."""

_PATIENCE_S = 5.0
"""How long a request that is ``rate_limited`` is sent again, in all."""
_FIRST_JITTER_S = 0.02

Q = TypeVar("Q", bound=EventQueue | WatchQueue)
W = TypeVar("W", bound=WatchQueue)


class Exchange:
    """Sends requests, hands out replies, and fills the queues of subscriptions.

    Everything happens on one event loop, named by ``begin()``; only ``leave()`` may be called elsewhere.
    """

    def __init__(self, url: str, product: Product) -> None:
        self.url = url
        self.has_outgoing = asyncio.Event()
        self.resume_after_s = 0.0
        """How long the server asked to stay away before the next connection (``goaway``)."""
        self.refusal: Error | None = None
        """The error by which the server refused this connection's ``hello``."""
        self.connections = 0
        """How many connections the server has welcomed."""
        self._session = ClientSession(product)
        self._waiting: dict[int, asyncio.Future[Answered]] = {}
        self._queues: dict[int, EventQueue | WatchQueue] = {}
        self._timers: dict[int, asyncio.TimerHandle] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0
        self._error: Callable[[], GraphwireError] | None = None

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop that this client lives on. Raises ``RuntimeError`` before it is opened."""
        if self._loop is None:
            raise RuntimeError("not connected: use `async with graphwire.connect(...) as client`")
        return self._loop

    @property
    def welcome(self) -> Welcome | None:
        """The latest ``welcome`` of the server."""
        return self._session.welcome

    @property
    def is_opening(self) -> bool:
        """Whether this connection's ``welcome`` has not come yet."""
        return self._session.state == "opening"

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection now."""
        return self._session.state != "closed"

    def begin(self) -> None:
        """Live on the running loop from here on."""
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        remember_process(self._loop)

    def end(self, make_error: Callable[[], GraphwireError]) -> Callable[[], GraphwireError]:
        """Fail everything that waits, and every later request, with the error that ``make_error`` makes.

        The first call decides which error it is; every call returns what makes it.
        """
        if self._error is None:
            self._error = make_error
        make_error = self._error
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(make_error())
        for queue in self._queues.values():
            queue.fail(make_error)
        self._queues.clear()
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        return make_error

    # ── requests ─────────────────────────────────────────────────────────────────────────────────

    async def ask(self, make: MakeRequest) -> Reply:
        """Send the request that ``make(id)`` returns and wait for its reply, across connections.

        Raises ``Refused``, or why the client is closed. If the wait is cancelled, the server may or may not
        have carried out the request.
        """
        return (await self._ask(make)).reply

    async def subscribe(
        self, make: MakeSubscription, window: int, tracker: RunTracker
    ) -> tuple[Reply, EventQueue]:
        """Send a request that opens a subscription; return its reply and its queue of ``window`` events."""
        return await self._open_queue(make, window, lambda sub: EventQueue(sub, tracker))

    async def watch(self, make: MakeSubscription, statuses: Collection[str] | None) -> WatchQueue:
        """Send a request that opens a watch for runs in one of ``statuses``; return its queue."""
        return await self.watch_into(make, lambda sub: WatchQueue(sub, statuses, self._may_be_cut))

    async def watch_into(self, make: MakeSubscription, new: Callable[[int], W]) -> W:
        """Send a request that opens a watch; return its queue, which ``new(sub)`` makes."""
        return (await self._open_queue(make, None, new))[1]

    def _may_be_cut(self, listed: int) -> bool:
        """Tell whether a watch's list of so many runs may have left some out without saying so."""
        welcome = self.welcome
        most = None if welcome is None else welcome.limits.get("max_watch_runs")
        return welcome is not None and welcome.minor < 1 and most is not None and listed >= most

    async def _open_queue(
        self, make: MakeSubscription, window: int | None, new: Callable[[int], Q]
    ) -> tuple[Reply, Q]:
        sub = self._session.next_sub()
        queue = self._queues[sub] = new(sub)
        try:
            answered = await self._ask(lambda id: make(id, sub), window)
        except BaseException:
            self.leave(queue)  # the reply may have come in the same tick
            raise
        return answered.reply, queue

    async def _ask(self, make: MakeRequest, window: int | None = None) -> Answered:
        """Send a request and wait for its reply; send it again if it came too soon, within a bound."""
        patience_s, jitter_s = _PATIENCE_S, _FIRST_JITTER_S
        while True:
            answered = await self._ask_once(make, window)
            if not isinstance(answered.reply, Error):
                return answered
            refused = _refused(answered.reply)
            # Many that were refused together would come again together, hence the jitter.
            delay_s = (refused.after_s or 0.0) + random.random() * jitter_s
            if refused.code != "rate_limited" or delay_s > patience_s:
                raise refused
            patience_s, jitter_s = patience_s - delay_s, jitter_s * 2
            await asyncio.sleep(delay_s)

    async def _ask_once(self, make: MakeRequest, window: int | None) -> Answered:
        self._require_open()
        try:
            id = self._session.request(make, window)
        except Refusal as refusal:
            raise Refused(refusal.code, refusal.message, refusal.retry, None, refusal.details) from None
        self.has_outgoing.set()
        future: asyncio.Future[Answered] = self.loop.create_future()
        self._waiting[id] = future
        try:
            answered = await future
        except asyncio.CancelledError:
            self._session.forget(id)
            self.has_outgoing.set()
            raise
        finally:
            del self._waiting[id]
        return answered

    def _require_open(self) -> None:
        if self._error is not None:
            raise self._error()
        if was_forked(self.loop):
            require_elsewhere(self.loop)
        if asyncio.get_running_loop() is not self.loop:
            raise RuntimeError(
                "this client lives on another event loop; one that was entered by `with` has its own, and is "
                "for the blocking methods of client.graph(name)"
            )

    # ── queues ───────────────────────────────────────────────────────────────────────────────────

    def took(self, queue: EventQueue, mode: str) -> None:
        """Account for an event that its reader took from ``queue``: the server may send another."""
        self._session.consumed(queue.sub, mode)
        self.has_outgoing.set()

    def cursor(self, queue: EventQueue) -> tuple[str, int] | None:
        """Return the ``(epoch, seq)`` up to which the log has nothing more for ``queue``.

        It may lie beyond the last event, since the filter skips events. ``None`` while events are queued or
        before the subscription is attached.
        """
        subscription = self._session.subscriptions.get(queue.sub)
        if len(queue) or subscription is None or subscription.epoch is None or subscription.seq is None:
            return None
        return subscription.epoch, subscription.seq

    def leave(self, queue: EventQueue | WatchQueue) -> None:
        """Unsubscribe ``queue``; nothing more is put into it.

        Does not wait, and may be called by a destructor, in any thread, even after the loop's end.
        """
        if queue.sub not in self._queues or self.loop.is_closed() or was_forked(self.loop):
            return
        if threading.get_ident() != self._thread:
            self.loop.call_soon_threadsafe(self.leave, queue)
            return
        del self._queues[queue.sub]
        if self._session.is_attached(queue.sub):
            with contextlib.suppress(Refusal, Misuse):
                self._session.request(lambda id: Unsubscribe(id=id, sub=queue.sub))
            self.has_outgoing.set()

    # ── one connection after the other ───────────────────────────────────────────────────────────

    def connected(self, token: str | None) -> None:
        """Prepare the first flight of a new socket: ``hello``, all subscriptions, all open requests."""
        self._session.connect(token)
        self.has_outgoing.set()

    def outgoing(self) -> list[bytes]:
        """Take the messages that are to be sent; ``has_outgoing`` says when to ask again."""
        self.has_outgoing.clear()
        return self._session.outgoing()

    def receive(self, message: bytes) -> bool:
        """Take in one message; return whether it brought the server's ``welcome``.

        Raises ``ValueError`` or ``OutOfStep`` for what the protocol does not allow.
        """
        return self._handle(self._session.receive(message))

    def disconnected(self, code: int) -> None:
        """Prepare for the next socket: this one was closed with ``code``."""
        for queue in self._queues.values():
            if isinstance(queue, WatchQueue):
                queue.begin_list()
        self._handle(self._session.disconnected(code))

    def _handle(self, happenings: Iterable[Happening]) -> bool:
        is_welcome = False
        for happening in happenings:
            match happening:
                case Delivered():
                    self._deliver(happening)
                case Answered():
                    self._answer(happening)
                case Deferred(id, after_s):
                    self._timers[id] = self.loop.call_later(after_s, self._resend, id)
                case Announced(Welcome()):
                    is_welcome = True
                    self.connections += 1
                case Announced(frame):
                    self._announce(frame)
        self.has_outgoing.set()
        return is_welcome

    def _deliver(self, delivered: Delivered) -> None:
        queue = self._queues.get(delivered.sub)
        if queue is None:
            return
        frame = delivered.frame
        if isinstance(frame, Error):
            queue.fail(lambda: _refused(frame))
            del self._queues[delivered.sub]
            return
        if isinstance(frame, Closed):
            del self._queues[delivered.sub]
        queue.put(delivered)

    def _answer(self, answered: Answered) -> None:
        reply = answered.reply
        for frame in (*answered.subscribed, *((reply,) if isinstance(reply, Subscribed) else ())):
            queue = self._queues.get(frame.sub)
            if queue is not None:
                queue.start = frame
        future = self._waiting.get(answered.id)
        if future is not None and not future.done():
            future.set_result(answered)

    def _resend(self, id: int) -> None:
        del self._timers[id]
        self._session.resend(id)
        self.has_outgoing.set()

    def _announce(self, frame: object) -> None:
        match frame:
            case Goaway(reason=reason, after_ms=after_ms):
                self.resume_after_s = after_ms / 1000
                log.info("%s goes away (%s); this client connects again", self.url, reason)
            case Notice(code=code, message=message):
                log.warning("%s says: %s (%s)", self.url, message, code)
            case Error(code=code, message=message):
                if self.is_opening:
                    self.refusal = frame  # and becomes an exception, which says it
                else:
                    log.warning("%s says: %s (%s)", self.url, message, code)
            case Unknown(type=type):
                log.info("%s sent a frame of type %r, which this version does not know", self.url, type)


def _refused(error: Error) -> Refused:
    after_s = None if error.after_ms is None else error.after_ms / 1000
    return Refused(error.code, error.message, error.retry, after_s, error.details)
