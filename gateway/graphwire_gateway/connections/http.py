"""HTTP: which handshakes may continue, and the health checks ``/healthz`` and ``/readyz``."""

from collections.abc import Callable
from http import HTTPStatus

from graphwire_protocol.version import SUBPROTOCOLS
from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol

from graphwire_gateway.connections.auth import Origins
from graphwire_gateway.telemetry import RateLimitedLogger, logger

refusals = RateLimitedLogger(logger("connection"))

_REFUSED = "it is not in allowed_origins"

FORBIDDEN_ORIGIN = "pages of this origin may not connect; the operator can allow them (allowed_origins)"
"""The reason that a page gets when it may not connect."""

PATH = "/ws"
"""Where clients connect."""

OTHER_METHODS = (b"DELETE ", b"OPTIONS ", b"PATCH ", b"POST ", b"PUT ")
"""The beginnings of requests that the websockets library would close without a response."""


class Handshake:
    """Responds to every HTTP request. ``is_ready`` returns False while the server drains."""

    def __init__(self, origins: Origins, is_ready: Callable[[], bool]) -> None:
        self._origins = origins
        self._is_ready = is_ready

    def __call__(self, connection: ServerConnection, request: Request) -> Response | None:
        """Return the response, or None for a handshake that may continue."""
        path = request.path.partition("?")[0]
        if path == "/healthz":
            return connection.respond(HTTPStatus.OK, "ok\n")
        if path == "/readyz":
            if self._is_ready():
                return connection.respond(HTTPStatus.OK, "ready\n")
            return connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, "draining\n")
        if path != PATH:
            return connection.respond(
                HTTPStatus.NOT_FOUND, f"there is nothing here; clients connect by WebSocket to {PATH}\n"
            )
        if self.forbids(request):
            origins = ", ".join(request.headers.get_all("Origin"))
            refusals.warning(
                "refused an origin", peer=connection.remote_address, origin=origins[:200], reason=_REFUSED
            )
            if "Upgrade" not in request.headers:
                return connection.respond(HTTPStatus.FORBIDDEN, f"{FORBIDDEN_ORIGIN}\n")
            return None  # a page can read a close code, and not the status of a handshake
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

    def forbids(self, request: Request) -> bool:
        """Tell whether a handshake comes from a page that may not connect; its socket is closed at once."""
        return not all(self._origins.admits(origin) for origin in request.headers.get_all("Origin"))


def not_allowed(protocol: ServerProtocol) -> Response:
    """Return the response to a request of ``OTHER_METHODS``, as clients of LangGraph's HTTP API send."""
    response = protocol.reject(
        HTTPStatus.METHOD_NOT_ALLOWED,
        f"graphwire speaks WebSocket at {PATH}, not LangGraph's HTTP API; "
        "connect with graphwire.connect(...) or another graphwire client\n",
    )
    response.headers["Allow"] = "GET"
    return response
