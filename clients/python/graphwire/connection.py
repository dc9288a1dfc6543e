"""The client's one connection, which outlives its sockets: connecting, again and again, and what is owed.

One task reads and connects, one writes while there is a socket; both end with ``close``. What is to be said
on a new socket is the protocol session's business, what to wait between sockets the backoff's, and what
requests mean the client's.
"""

import asyncio
import contextlib
import inspect
import logging
import threading
from collections.abc import Awaitable, Callable
from typing import Literal, TypeAlias, TypeVar

from graphwire_protocol import Refusal, codes
from graphwire_protocol.client import ClientSession
from graphwire_protocol.codec import Unknown
from graphwire_protocol.commands import Product, Request, Unsubscribe
from graphwire_protocol.cursor import OutOfStep
from graphwire_protocol.errors import Misuse
from graphwire_protocol.frames import Closed
from graphwire_protocol.happenings import Announced, Answered, Deferred, Delivered, Happening
from graphwire_protocol.replies import Error, Goaway, Notice, Reply, Subscribed, Welcome

from graphwire.backoff import Backoff
from graphwire.errors import CannotConnect, ConnectionClosed, GraphwireError, Refused, Unauthenticated
from graphwire.feed import Feed, Known
from graphwire.transport import Lost, NotOpened, Open, Transport
from graphwire.watch import WatchFeed

log = logging.getLogger("graphwire")

Token: TypeAlias = str | Callable[[], str | Awaitable[str]] | None
"""A token, or what returns a fresh one for each connection."""

State: TypeAlias = Literal["connecting", "connected", "waiting", "closed"]
"""``waiting`` for the next attempt; ``closed`` for good, or not opened yet."""

_CROWDED = frozenset({codes.TRY_LATER, codes.TOO_MANY})
_CROWDED_WAIT_S = 1.0

MakeRequest: TypeAlias = Callable[[int], Request]


F = TypeVar("F", Feed, WatchFeed)


class Connection:
    """Sends requests and hands out what subscriptions deliver, over one socket after the other."""

    def __init__(
        self,
        url: str,
        token: Token,
        product: Product,
        backoff: Backoff,
        open_timeout: float,
        on_state: Callable[[State], object] | None,
        open: Open,
    ) -> None:
        self.url = url
        self.state: State = "closed"
        self._token = token
        self._backoff = backoff
        self._open_timeout = open_timeout
        self._on_state = on_state
        self._open = open
        self._session = ClientSession(product)
        self._waiting: dict[int, asyncio.Future[Answered]] = {}
        self._feeds: dict[int, Feed | WatchFeed] = {}
        self._timers: dict[int, asyncio.TimerHandle] = {}
        self._task: asyncio.Task[None] | None = None
        self._opened: asyncio.Future[None] | None = None
        self._dirty = asyncio.Event()
        self._transport: Transport | None = None
        self._is_closing = False
        self._fault: Callable[[], GraphwireError] | None = None
        self._resume_after_s = 0.0
        self._refusal: Error | None = None

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop that this connection lives on. Raises ``RuntimeError`` before it is opened."""
        if self._task is None:
            raise RuntimeError("not connected: use `async with graphwire.connect(...) as client`")
        return self._loop

    @property
    def welcome(self) -> Welcome | None:
        """What the server said when it was last met."""
        return self._session.welcome

    # ── opening and closing ──────────────────────────────────────────────────────────────────────

    async def open(self) -> None:
        """Connect. Raises ``CannotConnect`` or ``Unauthenticated``."""
        if self._task is not None:
            raise RuntimeError("this client was opened already; make a new one with graphwire.connect()")
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._opened = self._loop.create_future()
        self._task = self._loop.create_task(self._live(), name="graphwire-connection")
        try:
            await self._opened
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Close for good. Whoever still waits for something gets ``ConnectionClosed``."""
        self._is_closing = True
        self._end(lambda: ConnectionClosed(codes.NORMAL, "this client was closed"))
        if self._transport is not None:
            await self._transport.close()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._tell("closed")

    def _end(self, fault: Callable[[], GraphwireError]) -> None:
        """Nothing comes any more: tell everyone who waits."""
        if self._fault is None:
            self._fault = fault
        fault = self._fault
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(fault())
        for feed in self._feeds.values():
            feed.fail(fault)
        self._feeds.clear()
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        if self._opened is not None and not self._opened.done():
            self._opened.set_exception(fault())

    def _tell(self, state: State) -> None:
        if state == self.state:
            return
        self.state = state
        if self._on_state is not None:
            self._on_state(state)

    # ── asking ───────────────────────────────────────────────────────────────────────────────────

    async def ask(self, make: MakeRequest) -> Reply:
        """Send the request that ``make(id)`` returns and wait for its answer, across connections.

        Raises ``Refused``, or why the connection is over. A request whose waiting is cancelled may or may
        not have been carried out.
        """
        return (await self._ask(make)).reply

    async def subscribe(
        self, make: Callable[[int, int], Request], window: int, known: Known
    ) -> tuple[Reply, Feed]:
        """Send a request that opens a subscription, ``make(id, sub)``; return its reply and its feed."""
        return await self._open_feed(make, window, lambda sub: Feed(sub, known))

    async def watch(self, make: Callable[[int, int], Request]) -> WatchFeed:
        """Send a request that opens a watch, ``make(id, sub)``; return its feed."""
        return (await self._open_feed(make, None, WatchFeed))[1]

    async def _open_feed(
        self, make: Callable[[int, int], Request], window: int | None, new: Callable[[int], F]
    ) -> tuple[Reply, F]:
        sub = self._session.next_sub()
        feed = self._feeds[sub] = new(sub)
        try:
            answered = await self._ask(lambda id: make(id, sub), window)
        except BaseException:
            self._feeds.pop(sub, None)
            raise
        return answered.reply, feed

    async def _ask(self, make: MakeRequest, window: int | None = None) -> Answered:
        self._require_open()
        try:
            id = self._session.request(make, window)
        except Refusal as refusal:
            raise Refused(refusal.code, refusal.message, refusal.retry, None, refusal.details) from None
        self._dirty.set()
        future: asyncio.Future[Answered] = self._loop.create_future()
        self._waiting[id] = future
        try:
            answered = await future
        except asyncio.CancelledError:
            self._session.forget(id)
            self._dirty.set()
            raise
        finally:
            del self._waiting[id]
        if isinstance(answered.reply, Error):
            raise _refused(answered.reply)
        return answered

    def _require_open(self) -> None:
        if self._fault is not None:
            raise self._fault()
        if asyncio.get_running_loop() is not self.loop:
            raise RuntimeError(
                "this client lives on another event loop; one that was entered by `with` has its own, and is "
                "for the blocking methods of client.graph(name)"
            )

    # ── feeds ────────────────────────────────────────────────────────────────────────────────────

    def took(self, feed: Feed, mode: str) -> None:
        """The reader took an event of ``feed``: its place in the window is free."""
        self._session.consumed(feed.sub, mode)
        self._dirty.set()

    def cursor(self, feed: Feed) -> tuple[str, int] | None:
        """Return how far the log is known where nothing is queued: behind what did not match, too."""
        subscription = self._session.subscriptions.get(feed.sub)
        if len(feed) or subscription is None or subscription.epoch is None or subscription.seq is None:
            return None
        return subscription.epoch, subscription.seq

    def leave(self, feed: Feed | WatchFeed) -> None:
        """Detach ``feed``: nothing of it is heard from here on.

        Needs no waiting and may be called by a destructor, in any thread, even after the loop's end.
        """
        if feed.sub not in self._feeds or self._loop.is_closed():
            return
        if threading.get_ident() != self._thread:
            self._loop.call_soon_threadsafe(self.leave, feed)
            return
        del self._feeds[feed.sub]
        if self._session.is_attached(feed.sub):
            with contextlib.suppress(Refusal, Misuse):
                self._session.request(lambda id: Unsubscribe(id=id, sub=feed.sub))
            self._dirty.set()

    # ── one socket after the other ───────────────────────────────────────────────────────────────

    async def _live(self) -> None:
        try:
            await self._keep_connected()
        except asyncio.CancelledError:
            if not self._is_closing:
                raise
        except Exception as bug:
            log.exception("the connection ended by a fault of this client")
            reason = f"a fault of this client: {type(bug).__name__}: {bug}"
            self._end(lambda: ConnectionClosed(codes.LOST, reason))
        finally:
            self._end(lambda: ConnectionClosed(codes.LOST, "the connection's task was cancelled"))
            self._tell("closed")

    async def _keep_connected(self) -> None:
        attempt = 0
        retried_token = False
        while not self._is_closing:
            since = self._loop.time()
            was_opened = self._is_open
            self._tell("connecting")
            end = await self._connect_once()
            if self._is_closing:
                return
            if self.state == "connected":
                retried_token = False
                if self._loop.time() - since >= self._backoff.steady_s:
                    attempt = 0
            is_identity = isinstance(end, Lost) and end.code == codes.UNAUTHENTICATED
            if is_identity and callable(self._token) and not retried_token:
                retried_token = True
                continue
            fault = self._verdict(end, was_opened or self._is_open)
            if fault is not None:
                self._end(fault)
                return
            crowded = isinstance(end, Lost) and end.code in _CROWDED
            at_least = max(self._resume_after_s, _CROWDED_WAIT_S if crowded else 0.0)
            self._resume_after_s = 0.0
            self._tell("waiting")
            delay = self._backoff.delay(attempt, at_least)
            log.info("connection to %s lost (%s); next attempt in %.1f s", self.url, end, delay)
            await self._backoff.sleep(delay)
            attempt += 1

    @property
    def _is_open(self) -> bool:
        return self._opened is not None and self._opened.done()

    def _verdict(self, end: Lost | NotOpened, was_open: bool) -> Callable[[], GraphwireError] | None:
        """Return the error by which the connection is over for good; None if it is to be made again."""
        refusal, self._refusal = self._refusal, None
        told = refusal.message if refusal is not None else ""
        if isinstance(end, NotOpened):
            if was_open and not end.is_final:
                return None
            if was_open:
                return lambda: ConnectionClosed(
                    codes.LOST, f"cannot connect to {self.url} again: {end.reason}"
                )
            return lambda: CannotConnect(self.url, end.reason)
        if end.code == codes.UNAUTHENTICATED:
            reason = told or end.reason or "the server asks for a token; pass connect(token=...)"
            return lambda: Unauthenticated(reason)
        told = told or end.reason
        meaning = codes.CLOSES[end.code].meaning if end.code in codes.CLOSES else "closed"
        sentence = f"{meaning} (close code {end.code})" + (f": {told}" if told else "")
        if not was_open:
            return lambda: CannotConnect(self.url, f"the server closed the connection: {sentence}")
        if codes.reconnects(end.code):
            return None
        return lambda: ConnectionClosed(end.code, f"the connection to {self.url} is over: {sentence}")

    async def _connect_once(self) -> Lost | NotOpened:
        """Live one socket from its opening to its end; return how it ended."""
        try:
            token = await self._fresh_token()
            transport = await self._open(self.url, self._open_timeout)
        except NotOpened as unopened:
            return unopened
        self._transport = transport
        self._session.connect(token)
        self._dirty.set()
        writer = self._loop.create_task(self._write(transport), name="graphwire-writer")
        end = Lost()
        try:
            await self._read(transport)
        except Lost as lost:
            end = lost
        except (ValueError, OutOfStep) as fault:
            end = Lost(codes.MISUSE, f"the server sent what this protocol does not allow: {fault}")
        finally:
            self._transport = None
            writer.cancel()
            (fault_of_writer,) = await asyncio.gather(writer, return_exceptions=True)
            await transport.close()
            self._happened(self._session.disconnected(end.code))
        if isinstance(fault_of_writer, Exception):
            raise fault_of_writer
        return end

    async def _fresh_token(self) -> str | None:
        if not callable(self._token):
            return self._token
        try:
            token = self._token()
            return await token if inspect.isawaitable(token) else token
        except Exception as error:
            reason = f"the token callable raised {type(error).__name__}: {error}"
            raise NotOpened(reason) from error

    async def _write(self, transport: Transport) -> None:
        try:
            while True:
                await self._dirty.wait()
                self._dirty.clear()
                for message in self._session.outgoing():
                    await transport.send(message)
        except Lost:
            pass
        finally:
            await transport.close()  # so that the reader learns of it

    async def _read(self, transport: Transport) -> None:
        # Only a server that says welcome in time is one; from then on its silence is the socket's business.
        try:
            while self._session.state == "opening":
                message = await asyncio.wait_for(transport.recv(), self._open_timeout)
                self._happened(self._session.receive(message))
        except asyncio.TimeoutError:
            raise Lost(codes.TIMEOUT, f"no welcome within {self._open_timeout:g} s") from None
        while True:
            self._happened(self._session.receive(await transport.recv()))

    # ── what happened ────────────────────────────────────────────────────────────────────────────

    def _happened(self, happenings: list[Happening] | list[Answered]) -> None:
        for happening in happenings:
            match happening:
                case Delivered():
                    self._deliver(happening)
                case Answered():
                    self._answer(happening)
                case Deferred(id, after_s):
                    self._timers[id] = self._loop.call_later(after_s, self._resend, id)
                case Announced(frame):
                    self._hear(frame)
        self._dirty.set()

    def _deliver(self, delivered: Delivered) -> None:
        feed = self._feeds.get(delivered.sub)
        if feed is None:
            return
        frame = delivered.frame
        if isinstance(frame, Error):
            feed.fail(lambda: _refused(frame))
            del self._feeds[delivered.sub]
            return
        if isinstance(frame, Closed):
            del self._feeds[delivered.sub]
        feed.put(delivered)

    def _answer(self, answered: Answered) -> None:
        reply = answered.reply
        for frame in (*answered.subscribed, *((reply,) if isinstance(reply, Subscribed) else ())):
            feed = self._feeds.get(frame.sub)
            if feed is not None:
                feed.start = frame
        future = self._waiting.get(answered.id)
        if future is not None and not future.done():
            future.set_result(answered)

    def _resend(self, id: int) -> None:
        del self._timers[id]
        self._session.resend(id)
        self._dirty.set()

    def _hear(self, frame: object) -> None:
        match frame:
            case Welcome():
                self._tell("connected")
                if self._opened is not None and not self._opened.done():
                    self._opened.set_result(None)
            case Goaway(reason=reason, after_ms=after_ms):
                self._resume_after_s = after_ms / 1000
                log.info("%s goes away (%s); this client connects again", self.url, reason)
            case Notice(code=code, message=message):
                log.warning("%s: %s (%s)", self.url, message, code)
            case Error(code=code, message=message):
                if self._session.state == "opening":
                    self._refusal = frame
                log.warning("%s: %s (%s)", self.url, message, code)
            case Unknown(type=type):
                log.info("%s sent a frame of type %r, which this version does not know", self.url, type)


def _refused(error: Error) -> Refused:
    after_s = None if error.after_ms is None else error.after_ms / 1000
    return Refused(error.code, error.message, error.retry, after_s, error.details)
