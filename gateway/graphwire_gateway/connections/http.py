"""The HTTP face beside the socket: who may shake hands, and whether the server lives."""

from collections.abc import Callable
from http import HTTPStatus

from graphwire_protocol.version import SUBPROTOCOLS
from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol

from graphwire_gateway.connections.auth import Origins

PATH = "/ws"

OTHER_METHODS = (b"DELETE ", b"OPTIONS ", b"PATCH ", b"POST ", b"PUT ")
"""How a request begins that websockets closes without an answer."""


class Handshake:
    """Answers every HTTP request; a handshake that may go on is answered with None."""

    def __init__(self, origins: Origins, is_ready: Callable[[], bool]) -> None:
        self._origins = origins
        self._is_ready = is_ready

    def __call__(self, connection: ServerConnection, request: Request) -> Response | None:
        """Return the response, or None to shake hands."""
        path = request.path.partition("?")[0]
        if path == "/healthz":
            return connection.respond(HTTPStatus.OK, "ok\n")
        if path == "/readyz":
            if self._is_ready():
                return connection.respond(HTTPStatus.OK, "ready\n")
            return connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, "draining\n")
        if path != PATH:
            return connection.respond(
                HTTPStatus.NOT_FOUND, f"nothing here: clients connect a WebSocket to {PATH}\n"
            )
        if not all(self._origins.admits(origin) for origin in request.headers.get_all("Origin")):
            return connection.respond(
                HTTPStatus.FORBIDDEN,
                "pages of this origin may not connect; the operator can allow them (allowed_origins)\n",
            )
        offered = [
            token.strip()
            for value in request.headers.get_all("Sec-WebSocket-Protocol")
            for token in value.split(",")
        ]
        if "Upgrade" in request.headers and not set(offered) & set(SUBPROTOCOLS):
            return connection.respond(
                HTTPStatus.BAD_REQUEST,
                f"offer a subprotocol that this server speaks: {', '.join(SUBPROTOCOLS)}\n",
            )
        return None


def not_allowed(protocol: ServerProtocol) -> Response:
    """Return the response to ``OTHER_METHODS``, which clients of LangGraph's HTTP API use."""
    response = protocol.reject(
        HTTPStatus.METHOD_NOT_ALLOWED,
        f"graphwire speaks WebSocket at {PATH}, not LangGraph's HTTP API; "
        "connect by graphwire.connect(...) or another of its clients\n",
    )
    response.headers["Allow"] = "GET"
    return response
