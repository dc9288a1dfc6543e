"""The reply to ``hello``: who the client is, and what this server offers."""

from typing import Protocol

from graphwire_protocol import commands
from graphwire_protocol.errors import Refusal
from graphwire_protocol.replies import Welcome
from graphwire_protocol.version import MINOR

from graphwire_gateway.connections.open_connections import Pinged
from graphwire_gateway.connections.services import ConnectionServices
from graphwire_gateway.connections.wrong_tokens import RefusedConnection

FEATURES = ("patch", "state", "threads", "watch")
"""The optional parts of the protocol that are served."""


class Connected(Pinged, RefusedConnection, Protocol):
    """What the commands need of their connection."""


async def welcome(command: commands.Hello, services: ConnectionServices, connection: Connected) -> Welcome:
    """Find out who the client is, and count the connection as its; return the reply.

    Raises the ``Refusal`` that closes the connection.
    """
    try:
        principal = await services.tokens.principal(command.token)
    except Refusal as refusal:
        await services.wrong_tokens.slow_down(connection, refusal.message)
        raise
    services.connections.add(principal, connection)
    return Welcome(
        id=command.id,
        server=services.server,
        minor=MINOR,
        features=FEATURES,
        limits=services.limits.model_dump(),
        principal=principal,
        durability=services.durability,
    )
