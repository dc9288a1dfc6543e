"""``Reconnector``: keeps a client connected, over one WebSocket after another.

Why an application notices nothing when a connection is lost
============================================================

A connection is one WebSocket; it may break at any byte. What the application holds, a ``Run`` or a request
that it awaits, must not. So the state is divided by how long it lives:

* As long as one connection: the transport, the task that writes to it, and a token. All of it is made in
  ``_connect_once()`` and gone when that returns.
* As long as the client: the ``Exchange``, with the requests that have no reply yet, the cursor of each
  subscription (``epoch`` and ``seq`` of the last event), and a queue of events for each reader.

Two tasks share a connection. ``_read()`` gives each message to the exchange, which puts events into queues
and completes requests. ``_write()`` sleeps until the exchange has something to send. Neither waits for the
application: a slow reader fills its queue only up to its window, because the server sends no more events
than it has credit for, and credit goes back as events are taken.

When a connection ends, ``_error_after()`` decides from the close code whether the client is closed for good.
If not, the client waits (``Backoff``), connects, and sends one flight: ``hello``, a ``subscribe`` from each
cursor, and every open request again. The server answers all of it in order. Nothing is lost, because the log
holds what follows a cursor; nothing is repeated, because the session drops what lies at or before it. A
request may reach the server twice, and none but a state update does harm then: the client chooses the ids of
runs, so starting one twice starts it once. A state update is never sent twice; it fails with ``unavailable``.

What has been queued stays queued. A reader that awaits an event sleeps through the gap between two
connections, and ``close()`` or an error for good wakes it.
"""

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Literal, TypeAlias

from graphwire_protocol import codes
from graphwire_protocol.cursor import OutOfStep

from graphwire.backoff import Backoff
from graphwire.errors import CannotConnect, ConnectionClosed, GraphwireError, Unauthenticated
from graphwire.exchange import Exchange
from graphwire.transport import Lost, NotOpened, Open, Transport

log = logging.getLogger("graphwire")

Token: TypeAlias = str | Callable[[], str | Awaitable[str]] | None
"""A token, or a callable that returns a fresh one for each connection."""

ConnectionState: TypeAlias = Literal["connecting", "connected", "waiting", "closed"]
"""``waiting`` for the next attempt; ``closed`` for good, or not opened yet."""

_OVERLOADED = frozenset({codes.TRY_LATER, codes.TOO_MANY})
_OVERLOADED_WAIT_S = 1.0  # at least; a server that sheds load needs more than the shortest backoff


class Reconnector:
    """Opens a transport, serves it until it is lost, and opens the next one, until ``close()``."""

    def __init__(
        self,
        exchange: Exchange,
        token: Token,
        backoff: Backoff,
        open_timeout: float,
        on_state: Callable[[ConnectionState], object] | None,
        open: Open,
        wait_s: float = 0.0,
    ) -> None:
        self.state: ConnectionState = "closed"
        self._exchange = exchange
        self._url = exchange.url
        self._token = token
        self._backoff = backoff
        self._open_timeout = open_timeout
        self._on_state = on_state
        self._open_transport = open
        self._wait_s = wait_s  # for a server that is not up yet
        self._task: asyncio.Task[None] | None = None
        self._opened: asyncio.Future[None] | None = None
        self._transport: Transport | None = None
        self._is_closing = False

    # ── opening and closing ──────────────────────────────────────────────────────────────────────

    async def open(self) -> None:
        """Connect. Raises ``CannotConnect`` or ``Unauthenticated``."""
        if self._task is not None:
            raise RuntimeError("this client was opened already; make a new one with graphwire.connect()")
        self._exchange.begin()
        self._opened = self._exchange.loop.create_future()
        self._task = asyncio.create_task(self._serve(), name="graphwire-connection")
        try:
            await self._opened
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Close for good. Everything that still waits gets ``ConnectionClosed``."""
        self._is_closing = True
        self._end(lambda: ConnectionClosed(codes.NORMAL, "this client was closed"))
        if self._transport is not None:
            await self._transport.close()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._enter("closed")

    def _end(self, make_error: Callable[[], GraphwireError]) -> None:
        make_error = self._exchange.end(make_error)
        if self._opened is not None and not self._opened.done():
            self._opened.set_exception(make_error())

    def _enter(self, state: ConnectionState) -> None:
        if state == self.state:
            return
        self.state = state
        if self._on_state is None:
            return
        try:
            self._on_state(state)
        except (Exception, asyncio.CancelledError):  # it may have asked a cancelled future for its result
            log.exception("the callback on_state=%s raised at %r", _name_of(self._on_state), state)

    @property
    def _was_opened(self) -> bool:
        """Whether the server has said ``welcome`` at least once."""
        return self._opened is not None and self._opened.done()

    # ── one connection after another ─────────────────────────────────────────────────────────────

    async def _serve(self) -> None:
        try:
            await self._keep_connected()
        except asyncio.CancelledError:
            if not self._is_closing:
                raise
        except Exception as bug:
            log.exception("a bug in this client ended the connection")
            reason = f"a bug in this client: {type(bug).__name__}: {bug}"
            self._end(lambda: ConnectionClosed(codes.LOST, reason))
        finally:
            self._end(lambda: ConnectionClosed(codes.LOST, "the connection's task was cancelled"))
            self._enter("closed")

    async def _keep_connected(self) -> None:
        clock = self._exchange.loop.time
        give_up_at = clock() + self._wait_s
        attempt = 0
        has_retried_token = False
        while not self._is_closing:
            since = clock()
            was_opened = self._was_opened
            self._enter("connecting")
            end = await self._connect_once()
            if self._is_closing:
                return
            if self.state == "connected":
                has_retried_token = False
                if clock() - since >= self._backoff.steady_s:
                    attempt = 0
            is_token_refused = isinstance(end, Lost) and end.code == codes.UNAUTHENTICATED
            if is_token_refused and callable(self._token) and not has_retried_token:
                has_retried_token = True
                continue
            was_opened = was_opened or self._was_opened
            left_s = give_up_at - clock()
            make_error = self._error_after(end, was_opened, is_awaited=not was_opened and left_s > 0)
            if make_error is not None:
                self._end(make_error)
                return
            delay = self._backoff.delay(attempt, self._shortest_wait_after(end))
            if not was_opened:
                delay = min(delay, max(left_s, 0.0))
            self._enter("waiting")
            log.info("connection to %s lost (%s); next attempt in %.1f s", self._url, end, delay)
            await self._backoff.sleep(delay)
            attempt += 1

    def _shortest_wait_after(self, end: Lost | NotOpened) -> float:
        """Return the least seconds before the next attempt: what ``goaway`` asked for, or for an overload."""
        is_overloaded = isinstance(end, Lost) and end.code in _OVERLOADED
        asked_for, self._exchange.resume_after_s = self._exchange.resume_after_s, 0.0
        return max(asked_for, _OVERLOADED_WAIT_S if is_overloaded else 0.0)

    def _error_after(
        self, end: Lost | NotOpened, was_opened: bool, is_awaited: bool = False
    ) -> Callable[[], GraphwireError] | None:
        """Return what makes the error that closes the client for good; None if it is to connect again.

        ``is_awaited`` says that a server which cannot be reached yet may still come up in time.
        """
        refusal, self._exchange.refusal = self._exchange.refusal, None
        if isinstance(end, NotOpened):
            if (was_opened or is_awaited) and not end.is_final:
                return None
            if was_opened:
                reason = f"cannot connect to {self._url} again: {end.reason}"
                return lambda: ConnectionClosed(codes.LOST, reason)
            return lambda: CannotConnect(self._url, end.reason)
        said = (refusal.message if refusal is not None else "") or end.reason
        if end.code == codes.UNAUTHENTICATED:
            return lambda: Unauthenticated(said or "the server asks for a token; pass connect(token=...)")
        meaning = codes.CLOSES[end.code].meaning if end.code in codes.CLOSES else "closed"
        sentence = f"{meaning} (close code {end.code})" + (f": {said}" if said else "")
        if not was_opened and not (is_awaited and codes.reconnects(end.code)):
            return lambda: CannotConnect(self._url, f"the server closed the connection: {sentence}")
        if codes.reconnects(end.code):
            return None
        return lambda: ConnectionClosed(end.code, f"the connection to {self._url} is over: {sentence}")

    # ── one connection ───────────────────────────────────────────────────────────────────────────

    async def _connect_once(self) -> Lost | NotOpened:
        """Serve one connection from its opening to its end; return how it ended."""
        try:
            token = await self._fresh_token()
            transport = await self._open_transport(self._url, self._open_timeout)
        except NotOpened as not_opened:
            return not_opened
        self._transport = transport
        self._exchange.connected(token)
        writer = asyncio.create_task(self._write(transport), name="graphwire-writer")
        end = Lost()
        try:
            await self._read(transport)
        except Lost as lost:
            end = lost
        except (ValueError, OutOfStep) as error:
            end = Lost(codes.MISUSE, f"the server sent what this protocol does not allow: {error}")
        finally:
            self._transport = None
            writer.cancel()
            (bug_in_writer,) = await asyncio.gather(writer, return_exceptions=True)
            await transport.close()
            self._exchange.disconnected(end.code)
        if isinstance(bug_in_writer, Exception):
            raise bug_in_writer
        return end

    async def _fresh_token(self) -> str | None:
        if not callable(self._token):
            return self._token
        name = _name_of(self._token)
        # In a task of its own, so that a cancellation inside the callback is not one of this connection.
        asking = asyncio.ensure_future(_result_of(self._token))
        try:
            await asyncio.wait({asking})
            token = asking.result()
        except (Exception, asyncio.CancelledError) as error:
            if not asking.done():
                asking.cancel()
                raise
            log.exception("the callback token=%s raised", name)
            reason = f"the token callable {name} raised {type(error).__name__}: {error}"
            raise NotOpened(reason) from error
        if token is not None and not isinstance(token, str):
            reason = f"the token callable {name} returned {type(token).__name__}, not a string"
            log.error("%s", reason)
            raise NotOpened(reason)
        return token

    async def _write(self, transport: Transport) -> None:
        try:
            while True:
                await self._exchange.has_outgoing.wait()
                for message in self._exchange.outgoing():
                    await transport.send(message)
        except Lost:
            pass
        finally:
            await transport.close()  # so that the reader notices

    async def _read(self, transport: Transport) -> None:
        # A server has to say welcome in time. From then on the transport's keepalive notices a silent one.
        try:
            while self._exchange.is_opening:
                self._receive(await asyncio.wait_for(transport.recv(), self._open_timeout))
        except asyncio.TimeoutError:
            raise Lost(codes.TIMEOUT, f"no welcome within {self._open_timeout:g} s") from None
        while True:
            self._receive(await transport.recv())

    def _receive(self, message: bytes) -> None:
        is_welcome = self._exchange.receive(message)
        if is_welcome:
            self._enter("connected")
            if self._opened is not None and not self._opened.done():
                self._opened.set_result(None)


async def _result_of(callback: Callable[[], Any]) -> Any:
    result = callback()
    return await result if inspect.isawaitable(result) else result


def _name_of(callback: Callable[..., object]) -> str:
    """Return the name by which the application knows ``callback``."""
    name: str = getattr(callback, "__qualname__", "") or type(callback).__qualname__
    return name
