"""What the commands of one connection mean: each becomes its effect and its reply."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TypeAlias, TypeVar, cast
from weakref import WeakSet

import orjson
from graphwire_protocol import codes, commands
from graphwire_protocol.codec import encode
from graphwire_protocol.commands import Command, Product, Spec
from graphwire_protocol.errors import Refusal
from graphwire_protocol.replies import Ok, Pong, Started, Subscribed, Welcome
from graphwire_protocol.server import ServerSession
from graphwire_protocol.types import STREAM_MODES, Durability
from graphwire_protocol.version import MINOR

from graphwire_gateway.connections.auth import Tokens
from graphwire_gateway.connections.delivery import Delivery
from graphwire_gateway.failures import Failures
from graphwire_gateway.graphs.catalog import Catalog
from graphwire_gateway.limits import Limits
from graphwire_gateway.runs.listing import Listing
from graphwire_gateway.runs.run import Run
from graphwire_gateway.runs.runs import Runs
from graphwire_gateway.runs.states import States
from graphwire_gateway.runs.watch import Watch

C = TypeVar("C", bound=Command)

Asked: TypeAlias = (
    commands.State | commands.StateHistory | commands.StateUpdate | commands.Delete | commands.List
)
"""The commands that ask a graph's saver."""

FEATURES = ("patch", "state", "watch")
"""The optional parts of the protocol that are served."""


class Presence:
    """How many connections each principal has."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._counts: dict[str, int] = {}

    def enter(self, principal: str) -> None:
        """Count one more. Raises ``Refusal`` that closes the connection."""
        count = self._counts.get(principal, 0)
        if count >= self._limit:
            raise Refusal(
                "limit_exceeded",
                f"{count} connections are open (max_connections)",
                after_ms=1000,
                close=codes.TOO_MANY,
            )
        self._counts[principal] = count + 1

    def leave(self, principal: str) -> None:
        """Count one less."""
        self._counts[principal] -= 1
        if not self._counts[principal]:
            del self._counts[principal]


class House:
    """What all connections of a server share."""

    def __init__(
        self,
        *,
        server: Product,
        limits: Limits,
        durability: Durability,
        tokens: Tokens,
        catalog: Catalog,
        runs: Runs,
        states: States,
        listing: Listing,
        failures: Failures,
    ) -> None:
        self.server = server
        self.limits = limits
        self.durability = durability
        self.tokens = tokens
        self.catalog = catalog
        self.runs = runs
        self.states = states
        self.listing = listing
        self.failures = failures
        self.presence = Presence(limits.max_connections)


class Dispatch:
    """Carries out the commands of one connection, in order."""

    def __init__(self, house: House, session: ServerSession, delivery: Delivery) -> None:
        self._house = house
        self._session = session
        self._delivery = delivery
        self._principal: str | None = None
        self._started: WeakSet[Run] = WeakSet()
        self._watches: dict[int, Watch] = {}
        self._asked: dict[str, deque[Asked]] = {}  # by graph, in order
        self._tasks: set[asyncio.Future[None]] = set()

    async def handle(self, command: Command) -> None:
        """Carry out one command and queue its reply. Raises ``Refusal`` only where the connection ends.

        What asks a graph's saver is carried out beside the connection, one request of a graph after another:
        a saver that hangs holds up nothing else.
        """
        lists_threads = isinstance(command, commands.List) and command.what == "threads"
        if lists_threads or isinstance(command, commands.ThreadRequest | commands.Delete):
            self._later(cast("Asked", command))
            await asyncio.sleep(0)  # it takes its thread or its run before the next frame is looked at
        else:
            await self._try(command, self._do)

    def _later(self, command: "Asked") -> None:
        graph = command.graph or ""
        queue = self._asked.setdefault(graph, deque())
        queue.append(command)
        if len(queue) == 1:
            task = asyncio.ensure_future(self._ask_all(graph, queue))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _ask_all(self, graph: str, queue: "deque[Asked]") -> None:
        while queue:
            await self._delivery.room()
            await self._try(queue[0], self._ask)
            queue.popleft()
        del self._asked[graph]

    async def _ask(self, command: "Asked") -> None:
        states = self._house.states
        match command:
            case commands.State():
                self._reply(await states.get(command, self.principal))
            case commands.StateHistory():
                self._reply(await states.history(command, self.principal))
            case commands.StateUpdate():
                self._reply(await states.update(command, self.principal))
            case commands.Delete():
                self._reply(await states.delete(command, self.principal))
            case commands.List():
                self._reply(await self._house.listing.threads(command, self.principal))

    async def _try(self, command: C, work: Callable[[C], Awaitable[None]]) -> None:
        try:
            await work(command)
        except Refusal as refusal:
            self._delivery.reply(self._session.refuse(refusal, command))
            if refusal.close is not None:
                raise
        except Exception as error:
            error_id = self._house.failures.internal(error, command.type)
            message = f"a fault of the server (error_id {error_id})"
            fault = Refusal("internal", message, details={"error_id": error_id})
            self._delivery.reply(self._session.refuse(fault, command))

    async def _do(self, command: Command) -> None:
        match command:
            case commands.Credit():
                self._delivery.grant(command.sub, command.events)
            case commands.Ping():
                self._delivery.reply(encode(Pong(t=command.t)))
            case commands.Hello():
                await self._hello(command)
            case commands.Run():
                await self._run(command)
            case commands.Subscribe():
                await self._subscribe(command)
            case commands.Watch():
                self._watch(command)
            case commands.Unsubscribe():
                self._house.runs.unwatch(self._watches.pop(command.sub, None))
                self._delivery.detach(command.sub)
                self._session.release(command.sub)
                self._reply(Ok(id=command.id))
            case commands.Cancel():
                run = await self._find(command.run)
                run.cancel(command.reason)
                self._reply(Ok(id=command.id, status=run.status))
            case commands.Respond():
                run = await self._find(command.run)
                self._house.runs.respond(run, command)
                self._reply(Ok(id=command.id, status=run.status))
            case commands.Result():
                self._result(command.id, await self._find(command.run))
            case commands.List():
                await self._list(command)

    def _reply(self, frame: Ok | Welcome | Started | Subscribed) -> None:
        self._delivery.reply(self._session.reply(frame))

    @property
    def principal(self) -> str:
        """Who the connection is; it has said hello."""
        assert self._principal is not None
        return self._principal

    async def _hello(self, command: commands.Hello) -> None:
        house = self._house
        principal = await house.tokens.principal(command.token)
        house.presence.enter(principal)
        self._principal = principal
        self._reply(
            Welcome(
                id=command.id,
                server=house.server,
                minor=MINOR,
                features=FEATURES,
                limits=house.limits.model_dump(),
                principal=principal,
                durability=house.durability,
            )
        )

    async def _find(self, id: str) -> Run:
        return await self._house.runs.find(self.principal, id)

    # ── runs ─────────────────────────────────────────────────────────────────────────────────────

    async def _run(self, command: commands.Run) -> None:
        specs = command.subscribe

        def check(run: Run) -> None:
            for index, spec in enumerate(specs):
                _check(spec, run, f"run.subscribe[{index}].filter.modes")

        async def prepare(run: Run) -> list[tuple[Subscribed, Callable[[], None]]]:
            return [await self._delivery.attach(command.id, run, spec) for spec in specs]

        run, created, attached = await self._house.runs.start(command, self.principal, check, prepare)
        if command.on_disconnect == "cancel":
            run.adopt(self, self._house.limits.disconnect_grace_s)
            self._started.add(run)
        self._reply(
            Started(
                id=command.id,
                run=run.id,
                thread=run.thread,
                epoch=run.epoch,
                created=created,
                status=run.status,
            )
        )
        for subscribed, begin in attached:
            self._reply(subscribed)
            begin()

    async def _subscribe(self, command: commands.Subscribe) -> None:
        run = await self._find(command.run)
        _check(command, run, "subscribe.filter.modes")
        subscribed, begin = await self._delivery.attach(command.id, run, command)
        self._reply(subscribed)
        begin()

    def _watch(self, command: commands.Watch) -> None:
        watch = self._delivery.watch(command, self.principal)
        self._watches[command.sub] = watch
        self._reply(Subscribed(id=command.id, sub=command.sub))
        self._house.runs.watch(watch, command)

    def _result(self, id: int, run: Run) -> None:
        if run.status == "completed" and run.output is not None:
            self._reply(Ok(id=id, status=run.status, output=orjson.Fragment(run.output)))
        else:
            self._reply(Ok(id=id, status=run.status))

    # ── lists ────────────────────────────────────────────────────────────────────────────────────

    async def _list(self, command: commands.List) -> None:
        if command.what == "graphs":
            rows = [row for row in await self._house.catalog.rows() if command.graph in (None, row.name)]
            self._reply(Ok(id=command.id, graphs=tuple(rows)))
            return
        runs, cursor = self._house.runs.page(self.principal, command)
        self._reply(Ok(id=command.id, runs=tuple(runs), cursor=cursor))

    async def close(self) -> None:
        """The connection is gone."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for run in list(self._started):
            run.abandon(self)
        if self._principal is not None:
            self._house.presence.leave(self._principal)


def _check(spec: Spec, run: Run, where: str) -> None:
    modes = frozenset(mode for mode in spec.filter.modes if mode in STREAM_MODES)
    run.check_records(modes, spec.filter.below_root, where)
