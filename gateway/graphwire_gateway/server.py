"""A server of graphs: how its parts are put together, started, drained and closed."""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version

from graphwire_protocol.commands import Product
from graphwire_protocol.projection import Encoders

from graphwire_gateway.connections.auth import Origins, Tokens
from graphwire_gateway.connections.console_files import NOT_BUILT, ConsoleFiles
from graphwire_gateway.connections.dispatch import served
from graphwire_gateway.connections.http import Handshake
from graphwire_gateway.connections.listener import Listener, Listening
from graphwire_gateway.connections.services import Services
from graphwire_gateway.execution.execution import Executor
from graphwire_gateway.failures import Failures
from graphwire_gateway.graphs.catalog import Catalog
from graphwire_gateway.limits import Limits
from graphwire_gateway.log.commit import Committer
from graphwire_gateway.log.store import Store
from graphwire_gateway.runs.command_replies import CommandReplies
from graphwire_gateway.runs.elsewhere import Elsewhere
from graphwire_gateway.runs.listing import Listing
from graphwire_gateway.runs.recovery import Recovery
from graphwire_gateway.runs.runs import Runs
from graphwire_gateway.runs.states import States
from graphwire_gateway.telemetry import logger

log = logger("server")

_IMPORTED_LATER = (
    "jsonschema",
    "jsonschema_specifications",
    "langchain_core.messages.block_translators.langchain_v0",
    "langchain_core.tracers.context",
    "langchain_core.tracers.run_collector",
    "langchain_core.tracers.stdout",
)
"""What the first run or the first answer would import: a server that has few descriptors left cannot."""


@dataclass(frozen=True, slots=True)
class Part:
    """What is different for a server that has a part of the runs and threads, and others have the rest."""

    owns: Callable[[str], bool] = lambda _: True
    """Tells whether a thread belongs to the part, by the saver's id; or a run without one, by its key."""
    has_address: Callable[[str], None] = lambda _: None
    """Called with the url, before the store is opened."""
    hands_over: bool = False
    """Whether another server goes on with what it leaves, so that runs are taken to the end."""
    elsewhere: Elsewhere | None = None
    """Knows what the others have of a principal's runs."""
    graphs_elsewhere: Callable[[], Iterable[str]] = tuple
    """Returns the names of graphs that others serve."""
    opens_graphs: bool = True
    """Whether the graphs are opened and closed with the server; else they are, already, and stay open."""


class Server(Listening):
    """A server that listens. ``Gateway.serve`` makes it, or a ``Worker`` for a part of what there is."""

    def __init__(
        self,
        *,
        store: Store,
        limits: Limits,
        tokens: Tokens,
        failures: Failures,
        catalog: Catalog,
        origins: Origins,
        shared_threads: bool = False,
        encoders: Encoders | None = None,
        open_to_proxied: Sequence[str] = (),
        console: ConsoleFiles | None = None,
        part: Part | None = None,
    ) -> None:
        self._store = store
        self._part = part or Part()
        self._limits = limits
        self._committer = Committer(store)
        self.catalog = catalog
        executor = Executor(
            catalog,
            failures,
            limits.max_event_bytes,
            encoders,
            limits.max_frame_bytes,
            limits.state_timeout_s,
            outlives=store.outlives,
            fence=lambda: store.fence,
        )
        self._runs = Runs(
            catalog,
            executor,
            store,
            self._committer,
            limits,
            shared_threads,
            self._part.owns,
            hands_over=self._part.hands_over,
            elsewhere=self._part.elsewhere,
        )
        states = States(catalog, self._runs, failures, limits, encoders)
        listing = Listing(catalog, self._runs, failures, limits.max_event_bytes, encoders)
        self._services = Services(
            server=Product(name="graphwire", version=version("graphwire")),
            limits=limits,
            durability=store.durability,
            tokens=tokens,
            catalog=catalog,
            runs=self._runs,
            replies=CommandReplies(catalog, self._runs, states, listing, limits, self._part.graphs_elsewhere),
            listing=listing,
            failures=failures,
        )
        self._console = console
        handshake = Handshake(origins, lambda: self._runs.hindrance, open_to_proxied, console)
        self._listener = Listener(
            self._services, handshake, served(self._services, store), lambda: self._runs.draining
        )
        self._committing: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None
        self._draining: asyncio.Future[None] | None = None
        self._leave_savers: Callable[[], None] = lambda: None

    @property
    def taken(self) -> asyncio.Event:
        """Set once another server has taken the store, in Redis: this one sends its clients away."""
        return self._store.taken

    async def open(self, host: str, port: int) -> None:
        """Load the graphs and listen. Raises ``CannotServe``."""
        if self._console is not None and not self._console:
            log.warning(NOT_BUILT)
        for name in _IMPORTED_LATER:
            import_module(name)
        loop, saver_let_go = asyncio.get_running_loop(), self._runs.known_threads.saver_let_go

        def let_go(thread: str) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(saver_let_go, thread)

        self._leave_savers = self.catalog.savers.join(self._runs.uses, let_go)
        await self._listener.bind(host, port)  # first: without an address, runs wait on
        self._part.has_address(self.url)
        kept = await self._store.open()
        self._services.durability = self._store.durability
        if self._part.opens_graphs:
            await self.catalog.open()
        await Recovery(self._runs, self.catalog, self._store, self._limits).take_up(kept)
        self._committing = asyncio.create_task(self._committer.main(self._runs.holdings.make_room))
        self._watching = asyncio.create_task(self._leave_store(self._store.taken))
        await self._listener.start()
        (log.info if self._part.opens_graphs else log.debug)("listening", url=self.url)

    async def _leave_store(self, taken: asyncio.Event) -> None:
        await taken.wait()
        log.error("another server has taken the store; this one sends its clients away")
        await self.drain(0)

    def rests(self) -> bool:
        """Start no more runs, if none is executing now; return whether that is so. Close it then."""
        return self._runs.rests()

    @property
    def executing(self) -> int | None:
        """How many runs are neither over nor waiting; None if one of them would end with this server."""
        return self._runs.executing if self._runs.can_be_handed_over else None

    async def drain(self, timeout_s: float | None = None) -> None:
        """Announce the end to clients, refuse new runs, and wait up to ``timeout_s`` seconds for the others.

        Then cancel the runs that are left, deliver every terminal event, and close every connection. None
        waits for ``limits.drain_s`` seconds. A second call joins the first; with 0 it ends the waiting.
        """
        if self._draining is None:
            seconds = self._limits.drain_s if timeout_s is None else timeout_s
            self._draining = asyncio.ensure_future(self._drain(seconds))
        elif timeout_s == 0:
            self._runs.hurry()
        await asyncio.shield(self._draining)

    async def _drain(self, seconds: float) -> None:
        self._listener.announce_end(seconds)
        await self._runs.drain(seconds)
        await self._listener.leave()

    async def close(self) -> None:
        """Drain without waiting, then release everything."""
        await self.drain(0)
        if self._watching is not None:
            self._watching.cancel()
        await self._listener.aclose()
        if self._part.opens_graphs:
            await self.catalog.close(self._limits.cancel_grace_s + 1)
        self._leave_savers()
        if self._committing is not None:
            self._committing.cancel()
            await asyncio.gather(self._committing, return_exceptions=True)
        await self._store.aclose()
