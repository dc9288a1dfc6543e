"""HTTP: which handshakes may continue, the health checks ``/healthz`` and ``/readyz``, and the console.

``console_files`` has the console's files. A response is sent, and its connection closed, within
``hello_timeout_s``, however slowly the peer reads it: that is what websockets gives a handshake.
"""

from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from typing import Any

from graphwire_protocol import codes
from graphwire_protocol.url import TOKEN_IN_URL, holds_token
from graphwire_protocol.version import SUBPROTOCOLS
from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol

from graphwire_gateway.connections.auth import Origins
from graphwire_gateway.connections.console_files import NOT_BUILT, ConsoleFiles
from graphwire_gateway.connections.descriptors import is_short, soft_limit
from graphwire_gateway.connections.loop_time import LoopTime, sharer
from graphwire_gateway.telemetry import RateLimitedLogger, logger

log = logger("connection")
refusals = RateLimitedLogger(logger("connection"))

_REFUSED = "it is not in allowed_origins"

FORBIDDEN_ORIGIN = (
    "pages of this origin may not connect; the operator can allow them (--allow-origin, allowed_origins)"
)
"""The reason that a page gets when it may not connect. It fits into a close frame."""

TOKEN_IN_PAGE_URL = (
    "the URL holds a token, which histories and logs would keep; open the page without it: the console asks "
    "for the token"
)
"""What is said of such a URL of the console."""

CROWDED = "this server has no descriptors left for another connection; try again later"

PATH = "/ws"
"""Where clients connect."""

OTHER_METHODS = (b"DELETE ", b"OPTIONS ", b"PATCH ", b"POST ", b"PUT ")
"""The beginnings of requests that the websockets library would close without a response."""


class Handshake:
    """Responds to every HTTP request. ``hindrance`` says why no client should come now; empty: one may.

    ``open_to_proxied`` says what is open because clients are taken for this machine's own: the first request
    that came through a proxy logs it. ``console`` has the files of the console; None serves none.
    """

    def __init__(
        self,
        origins: Origins,
        hindrance: Callable[[], str],
        open_to_proxied: Sequence[str] = (),
        console: ConsoleFiles | None = None,
    ) -> None:
        self._origins = origins
        self._hindrance = hindrance
        self._open_to_proxied = open_to_proxied
        self._console = console

    def __call__(self, connection: ServerConnection, request: Request) -> Response | None:
        """Return the response, or None for a handshake that may continue."""
        if self._open_to_proxied:
            self._look_for_proxy(request)
        path = request.path.partition("?")[0]
        if path == "/healthz":
            return connection.respond(HTTPStatus.OK, "ok\n")
        if path == "/readyz":
            hindrance = self._hindrance()
            status = HTTPStatus.SERVICE_UNAVAILABLE if hindrance else HTTPStatus.OK
            return connection.respond(status, f"{hindrance or 'ready'}\n")
        if path != PATH:
            return self._page(connection, request, path)
        if self.forbids(request):
            origins = ", ".join(request.headers.get_all("Origin"))
            refusals.warning(
                "refused an origin", peer=connection.remote_address, origin=origins[:200], reason=_REFUSED
            )
            if "Upgrade" not in request.headers:
                return connection.respond(HTTPStatus.FORBIDDEN, f"{FORBIDDEN_ORIGIN}\n")
            return None  # a page can read a close code, and not the status of a handshake
        if is_short(connection.transport):
            log_crowded(connection.remote_address)
            return connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, f"{CROWDED}\n")
        if holds_token(request.path):
            refusals.warning("refused a token in a URL", peer=connection.remote_address)
            is_page = "Origin" in request.headers and "Upgrade" in request.headers
            return None if is_page else connection.respond(HTTPStatus.BAD_REQUEST, f"{TOKEN_IN_URL}\n")
        offered = [
            token.strip()
            for value in request.headers.get_all("Sec-WebSocket-Protocol")
            for token in value.split(",")
        ]
        if "Upgrade" in request.headers and not set(offered) & set(SUBPROTOCOLS):
            return connection.respond(
                HTTPStatus.BAD_REQUEST,
                f"offer a subprotocol that this server supports: {', '.join(SUBPROTOCOLS)}\n",
            )
        return None

    def in_turns(
        self, loop_time: LoopTime
    ) -> Callable[[ServerConnection, Request], Awaitable[Response | None]]:
        """Return a function that responds once the peer's address has its turn: hundreds may come at once."""

        async def respond(connection: ServerConnection, request: Request) -> Response | None:
            await loop_time.wait(sharer(None, connection.remote_address))
            return self(connection, request)

        return respond

    def _page(self, connection: ServerConnection, request: Request, path: str) -> Response:
        """Return the response to a request for the console, or for nothing that there is."""
        console, where = self._console, f"clients connect by WebSocket to {PATH}"
        if console is None or "Upgrade" in request.headers:
            return connection.respond(HTTPStatus.NOT_FOUND, f"there is nothing here; {where}\n")
        if path == "/" and not console:
            return connection.respond(HTTPStatus.NOT_FOUND, f"{NOT_BUILT}; {where}\n")
        if not console.has(path):
            return connection.respond(
                HTTPStatus.NOT_FOUND, f"there is nothing here; the console is at /, and {where}\n"
            )
        if is_short(connection.transport):
            log_crowded(connection.remote_address)
            return connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, f"{CROWDED}\n")
        if holds_token(request.path):
            refusals.warning("refused a token in a URL", peer=connection.remote_address)
            return connection.respond(HTTPStatus.BAD_REQUEST, f"{TOKEN_IN_PAGE_URL}\n")
        return console.respond(path, request)

    def forbids(self, request: Request) -> bool:
        """Tell whether a handshake comes from a page that may not connect; its socket is closed at once."""
        hosts = request.headers.get_all("Host")
        host = hosts[0] if len(hosts) == 1 else None
        return not all(self._origins.admits(origin, host) for origin in request.headers.get_all("Origin"))

    def refusal(self, request: Request) -> tuple[int, str] | None:
        """Return the code and the reason with which a page's socket is closed at once, if it is."""
        if self.forbids(request):
            return codes.FORBIDDEN, FORBIDDEN_ORIGIN
        return (codes.UNAUTHENTICATED, TOKEN_IN_URL) if holds_token(request.path) else None

    def _look_for_proxy(self, request: Request) -> None:
        names = sorted({name.lower() for name, _ in request.headers.raw_items()})
        signs = [name for name in names if name in _PROXY_HEADERS or name.startswith("x-forwarded-")]
        if signs:
            log.warning(
                "a request came through a proxy to a server that takes every client for this machine's own: "
                + "; ".join(self._open_to_proxied),
                headers=", ".join(signs[:5]),
            )
            self._open_to_proxied = ()


_PROXY_HEADERS = frozenset({"forwarded", "via", "x-real-ip"})


def log_crowded(peer: Any) -> None:
    """Log that a connection was refused for want of descriptors."""
    refusals.warning(
        "refused a connection: few descriptors are left; raise the limit (ulimit -n, LimitNOFILE)",
        peer=peer,
        limit=soft_limit(),
    )


def not_allowed(protocol: ServerProtocol) -> Response:
    """Return the response to a request of ``OTHER_METHODS``, as clients of LangGraph's HTTP API send."""
    response = protocol.reject(
        HTTPStatus.METHOD_NOT_ALLOWED,
        f"graphwire speaks WebSocket at {PATH}, not LangGraph's HTTP API; "
        "connect with graphwire.connect(...) or another graphwire client\n",
    )
    response.headers["Allow"] = "GET"
    return response
