"""What all connections of a server share."""

from graphwire_protocol.commands import Product
from graphwire_protocol.types import Durability

from graphwire_gateway.connections.auth import Tokens
from graphwire_gateway.connections.loop_time import LoopTime
from graphwire_gateway.connections.open_connections import OpenConnections
from graphwire_gateway.connections.sharing import Sharing
from graphwire_gateway.connections.wrong_tokens import WrongTokens
from graphwire_gateway.failures import Failures
from graphwire_gateway.graphs.catalog import Catalog
from graphwire_gateway.limits import Limits
from graphwire_gateway.runs.command_replies import CommandReplies
from graphwire_gateway.runs.listing import Listing
from graphwire_gateway.runs.runs import Runs
from graphwire_gateway.telemetry import RateLimitedLogger, logger


class ConnectionServices:
    """What a connection needs until it is known who its client is, and to take turns with others."""

    def __init__(
        self, *, server: Product, limits: Limits, durability: Durability, tokens: Tokens, failures: Failures
    ) -> None:
        self.server = server
        self.limits = limits
        self.durability = durability
        self.tokens = tokens
        self.failures = failures
        self.loop_time = LoopTime()
        self.connections = OpenConnections(limits.max_connections)
        self.refusals = RateLimitedLogger(logger("connection"))
        self.wrong_tokens = WrongTokens(RateLimitedLogger(logger("connection")))


class Services(ConnectionServices):
    """What the connections of a server that runs graphs share."""

    def __init__(
        self,
        *,
        server: Product,
        limits: Limits,
        durability: Durability,
        tokens: Tokens,
        catalog: Catalog,
        runs: Runs,
        replies: CommandReplies,
        listing: Listing,
        failures: Failures,
    ) -> None:
        super().__init__(
            server=server, limits=limits, durability=durability, tokens=tokens, failures=failures
        )
        self.catalog = catalog
        self.runs = runs
        self.replies = replies
        self.listing = listing
        self.sharing = Sharing()
