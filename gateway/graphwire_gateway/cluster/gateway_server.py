"""A gateway without graphs: what it listens with, and what it knows of the cluster."""

import asyncio
import contextlib
from collections.abc import Sequence
from importlib.metadata import version
from weakref import WeakSet

from graphwire_protocol.commands import Product

from graphwire_gateway.cluster.directory import Directory
from graphwire_gateway.cluster.groups import words
from graphwire_gateway.cluster.relay import CommandRelay, relayed
from graphwire_gateway.connections.auth import Origins, Tokens
from graphwire_gateway.connections.console_files import NOT_BUILT, ConsoleFiles
from graphwire_gateway.connections.http import Handshake
from graphwire_gateway.connections.listener import Listener, Listening
from graphwire_gateway.connections.services import ConnectionServices
from graphwire_gateway.failures import Failures
from graphwire_gateway.limits import Limits
from graphwire_gateway.log.store import StoreAway
from graphwire_gateway.telemetry import logger

log = logger("gateway")

LOOK_S = 0.5
"""Seconds between two looks at who has which shard."""


_OWN_LIMITS = (
    "max_frame_bytes",
    "requests_per_s",
    "request_burst",
    "hello_timeout_s",
    "message_timeout_s",
    "send_timeout_s",
    "heartbeat_s",
    "max_connections",
)
"""What a gateway sees to by itself, as it is configured; all other limits are those of the workers."""


class GatewayServer(Listening):
    """A gateway that listens, and passes everything on to workers. ``Gateway.relay`` makes it."""

    def __init__(
        self,
        *,
        directory: Directory,
        limits: Limits,
        tokens: Tokens,
        failures: Failures,
        origins: Origins,
        open_to_proxied: Sequence[str] = (),
        console: ConsoleFiles | None = None,
    ) -> None:
        self._directory = directory
        self._relays: WeakSet[CommandRelay] = WeakSet()
        self._own_limits = limits
        self._services = ConnectionServices(
            server=Product(name="graphwire", version=version("graphwire")),
            limits=limits,
            durability="none",
            tokens=tokens,
            failures=failures,
        )
        self._console = console
        self._is_draining = False
        self._is_closing = False
        handshake = Handshake(origins, lambda: self.hindrance, open_to_proxied, console)
        parts = relayed(self._services, directory, self._relays.add)
        self._listener = Listener(self._services, handshake, parts, lambda: self._is_draining)
        self._looking: asyncio.Task[None] | None = None
        self._has_looked = asyncio.Event()
        self._draining: asyncio.Future[None] | None = None

    @property
    def hindrance(self) -> str:
        """Why no client should come to this gateway now; empty if one may."""
        directory = self._directory
        if self._is_draining:
            return "draining"
        if directory.store_is_away:
            return "the store is away"
        groups = directory.groups
        if not directory.is_known or len(groups.lacking(directory.homes)) == len(groups.names):
            return "workers are missing"
        return ""

    async def open(self, host: str, port: int) -> None:
        """Listen. Raises ``CannotServe``."""
        if self._console is not None and not self._console:
            log.warning(NOT_BUILT)
        await self._listener.bind(host, port)
        await self._directory.open()
        await self._look()
        self._looking = asyncio.create_task(self._keep_looking())
        await self._listener.start()
        log.info("listening", url=self.url)

    async def ready(self, group: str | None = None) -> None:
        """Wait until every shard of a group has a worker; of any group, or of that one."""

        def is_whole() -> bool:
            groups = self._directory.groups
            lacking = groups.lacking(self._directory.homes)
            return group is None or (group in groups.names and group not in lacking)

        while not self._is_draining and (self.hindrance or not is_whole()):
            await self._has_looked.wait()

    async def _look(self) -> None:
        with contextlib.suppress(StoreAway):
            await self._directory.look()
        offer = self._directory.offer
        if offer is not None:
            own = {name: getattr(self._own_limits, name) for name in _OWN_LIMITS}
            own["max_frame_bytes"] = min(own["max_frame_bytes"], offer.limits.max_frame_bytes)
            self._services.limits = offer.limits.model_copy(update=own)
            self._services.durability = offer.durability
        for relay in list(self._relays):
            try:
                relay.drop_stale()
            except Exception as error:  # a mistake of ours about one client; others have to know all the same
                self._services.failures.internal(error, "looking for workers")
        self._has_looked.set()
        self._has_looked = asyncio.Event()

    async def _keep_looking(self) -> None:
        hindrance: str | None = None
        lacking: list[str] = []
        while not self._is_closing:  # redis-py swallows a cancellation now and then, below Python 3.12
            try:
                await self._look()
            except Exception as error:  # a mistake of ours must not leave it blind
                self._services.failures.internal(error, "looking for workers")
            if self.hindrance != hindrance:
                hindrance = self.hindrance
                log.info("ready" if not hindrance else "not ready", reason=hindrance or None)
            groups = self._directory.groups
            if groups.lacking(self._directory.homes) != lacking:
                lacking = groups.lacking(self._directory.homes)
                if len(groups.names) > 1:
                    who = ", ".join(map(words, lacking)) or None
                    log.info("a group lacks workers" if lacking else "all groups have workers", groups=who)
            await asyncio.sleep(LOOK_S)

    async def drain(self, timeout_s: float | None = None) -> None:
        """Send the clients away: runs go on without this gateway. ``timeout_s`` is not waited for."""
        if self._draining is None:
            self._draining = asyncio.ensure_future(self._drain())
        await asyncio.shield(self._draining)

    def announce_end(self, deadline_s: float) -> None:
        """Let clients know that this gateway goes away within so many seconds, and probes that it does."""
        if not self._is_draining:
            self._is_draining = True
            self._has_looked.set()
            self._listener.announce_end(deadline_s)

    async def _drain(self) -> None:
        self.announce_end(0)
        await self._listener.leave()

    async def close(self) -> None:
        """Send the clients away, and release everything."""
        await self.drain()
        await self._listener.aclose()
        self._is_closing = True
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)
        await self._directory.aclose()
