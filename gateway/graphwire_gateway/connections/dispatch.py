"""What the commands of one connection do: each has its effect and its reply.

One place decides which command waits for which, and when each is answered. ``runs.command_replies`` carries
out those that are not about what is streamed to this connection.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from functools import partial
from typing import Any, TypeAlias, TypeVar
from weakref import WeakSet

from graphwire_protocol import commands
from graphwire_protocol.codec import encode
from graphwire_protocol.commands import Command, Spec
from graphwire_protocol.errors import Misuse, Refusal
from graphwire_protocol.replies import Notice, Ok, Pong, Started, Subscribed, Welcome
from graphwire_protocol.server import ServerSession
from graphwire_protocol.types import STREAM_MODES

from graphwire_gateway.connections import greeting
from graphwire_gateway.connections.connection import Connection, Parts
from graphwire_gateway.connections.delivery import Delivery
from graphwire_gateway.connections.greeting import Connected
from graphwire_gateway.connections.loop_time import sharer
from graphwire_gateway.connections.services import Services
from graphwire_gateway.connections.waiting import asked, too_late
from graphwire_gateway.execution.names import filter_notes, graph_notes, run_notes
from graphwire_gateway.log.store import Store
from graphwire_gateway.runs.command_replies import CommandReply
from graphwire_gateway.runs.run import Run
from graphwire_gateway.runs.thread_watch import ThreadInfoWatch
from graphwire_gateway.runs.watch import RunInfoWatch
from graphwire_gateway.scope import run_key

C = TypeVar("C", bound=Command)

Name: TypeAlias = tuple[str | int, ...]
"""A run, a subscription or a thread that a command names: ``("run", id)``, for example."""

_Queued: TypeAlias = tuple[Command, float, int]
"""A command that waits for its graph, when it is given up, and its bytes."""

_OF_THE_CONNECTION = (commands.Credit, commands.Ping, commands.Hello, commands.Run, commands.Unsubscribe)
"""What is not answered from the store; ``_start`` checks ``Run``, which has two ways there."""

_QUEUE_MS = 100  # after which there may be room for another one

_NOTE_CHARS = 4096  # of a notice: it may name nodes of a graph


class Dispatch:
    """Carries out the commands of one connection, in order."""

    def __init__(
        self, services: Services, session: ServerSession, delivery: Delivery, connection: Connected
    ) -> None:
        self._services = services
        self._connection = connection
        self._session = session
        self._delivery = delivery
        self._principal: str | None = None
        self._started: WeakSet[Run] | None = None  # an empty set is 700 bytes
        self._watches: dict[int, RunInfoWatch | ThreadInfoWatch] = {}
        self._queued: dict[str, deque[_Queued]] = {}  # by graph, in order
        self._queued_bytes = 0
        self._held: dict[Name, list[str]] = {}  # the graphs of the queued commands that name it
        self._tasks: set[asyncio.Future[None]] = set()

    async def handle(self, command: Command, data: str | bytes) -> None:
        """Carry out one command, which came as ``data``, and queue its reply.

        Raises a ``Refusal`` only if it ends the connection.

        A command that asks a graph or its saver runs beside the connection, and behind earlier ones for the
        same graph, so that a graph that hangs delays nothing else. A command that names a run, a thread or a
        subscription which one that waits there names, too, waits behind it, so those keep their order.
        """
        names, size = _names(command), len(data)
        graph = next((self._held[name][-1] for name in names if name in self._held), asked(command))
        if graph is None:
            await self._try(command, self._do_now)
            return
        if self._queued_bytes and self._queued_bytes + size > self._services.limits.max_frame_bytes:
            self._delivery.reply(self._session.refuse(self._too_many(), command))
            return
        for name in names:
            self._held.setdefault(name, []).append(graph)
        self._later(graph, command, size)
        for _ in range(2):  # wait_for, before Python 3.12, begins a task of its own
            await asyncio.sleep(0)  # let it reserve its thread or its run before the next frame is read

    def refuse(self, error: bytes, refusal: Refusal) -> None:
        """Reply ``error`` to a frame that is none, or comes at a wrong time."""
        self._delivery.reply(error)

    def _too_many(self) -> Refusal:
        most = self._services.limits.max_frame_bytes
        return Refusal(
            "rate_limited",
            f"requests of {self._queued_bytes:,} bytes wait for answers of graphs and their checkpointers, "
            f"and no more than {most:,} may (max_frame_bytes); send this one once some are answered",
            details={"limit": "max_frame_bytes"},
            after_ms=_QUEUE_MS,
        )

    def _later(self, graph: str, command: Command, size: int) -> None:
        queue = self._queued.setdefault(graph, deque())
        ends_at = asyncio.get_running_loop().time() + self._services.limits.state_timeout_s
        queue.append((command, ends_at, size))
        self._queued_bytes += size
        if len(queue) == 1:
            self._spawn(self._do_all(graph, queue))

    async def _do_all(self, graph: str, queue: deque[_Queued]) -> None:
        try:
            while queue:
                await self._delivery.room()
                command, ends_at, size = queue[0]
                await self._try(command, partial(self._do_until, ends_at))
                queue.popleft()
                self._queued_bytes -= size
                self._let_go(_names(command), graph)
        finally:
            self._queued_bytes -= sum(size for _, _, size in queue)
            del self._queued[graph]

    def _let_go(self, names: Iterable[Name], graph: str) -> None:
        for name in names:
            self._held[name].remove(graph)
            if not self._held[name]:
                del self._held[name]

    async def _do_until(self, ends_at: float, command: Command) -> None:
        if asked(command) is None:  # it only waited behind one that asks
            await self._do(command)
            return
        finish: Callable[[], Awaitable[None]] | None = None
        work = asyncio.ensure_future(
            self._start(command) if isinstance(command, commands.Run) else self._do(command)
        )
        try:
            finish = await asyncio.wait_for(work, ends_at - asyncio.get_running_loop().time())
        except (TimeoutError, asyncio.TimeoutError):
            raise too_late(command, self._services.limits.state_timeout_s) from None
        finally:
            if work.done() and not work.cancelled():
                work.exception()  # of one that was refused while it was cancelled, nobody asks it otherwise
        if finish is not None:  # a run that has begun is not late, however long the store takes
            await finish()

    async def _try(self, command: C, work: Callable[[C], Awaitable[None]]) -> None:
        try:
            await work(command)
        except Refusal as refusal:
            self._refuse(refusal, command)
            if refusal.close is not None:
                raise
        except Exception as error:
            error_id = self._services.failures.internal(error, command.type)
            message = f"a fault of the server (error_id {error_id})"
            self._refuse(Refusal("internal", message, details={"error_id": error_id}), command)

    def _refuse(self, refusal: Refusal, command: Command) -> None:
        try:
            self._delivery.reply(self._session.refuse(refusal, command))
        except Misuse:  # what failed came behind the reply, and no other may follow
            self._services.failures.internal(refusal, f"{command.type}, behind its reply")

    async def _do_now(self, command: Command) -> None:
        """Carry out a command; where it starts a run, what comes next does not wait for the store."""
        if not isinstance(command, commands.Run):
            await self._do(command)
            return
        finish = await self._start(command)
        work = asyncio.ensure_future(self._try(command, lambda _: finish()))
        await asyncio.sleep(0)
        if not work.done():
            self._finish_later(command, work)

    def _finish_later(self, command: commands.Run, work: "asyncio.Future[None]") -> None:
        # What names the run, its thread or its subscriptions waits behind it.
        name = f"\n{command.id}"  # no graph has this name
        names = [*_names(command), ("request", command.id)]
        queue: deque[_Queued] = deque([(command, 0, 0)])
        for each in names:
            self._held.setdefault(each, []).append(name)
        self._queued[name] = queue

        async def finish() -> None:
            try:
                await work
            finally:
                work.cancel()
                queue.popleft()
                self._let_go(names, name)
                await self._do_all(name, queue)

        self._spawn(finish())

    async def _do(self, command: Command) -> None:
        if not isinstance(command, _OF_THE_CONNECTION):
            run = command.run if isinstance(command, commands.Cancel) else None
            self._services.runs.check_ours(None if run is None else run_key(self.principal, run))
        match command:
            case commands.Credit():
                self._delivery.grant(command.sub, command.events)
            case commands.Ping():
                self._delivery.reply(self._session.pong(Pong(t=command.t)))
            case commands.Hello():
                await self._hello(command)
            case commands.Run():
                await (await self._start(command))()
            case commands.Subscribe():
                await self._subscribe(command)
            case commands.Watch(what="threads"):
                await self._watch_threads(command)
                self._note(graph_notes("watch.graphs", command.graphs or (), self._services.replies.served))
            case commands.Watch():
                self._watch(command)
                self._note(graph_notes("watch.graphs", command.graphs or (), self._services.replies.served))
            case commands.Unsubscribe():
                self._unwatch(self._watches.pop(command.sub, None))
                self._delivery.detach(command.sub)
                self._session.release(command.sub)
                self._reply(Ok(id=command.id))
            case _:
                self._answer(await self._services.replies.to(command, self.principal))

    def _note(self, notes: Iterable[str]) -> None:
        for note in notes:
            self._delivery.reply(encode(Notice(code="ignored", message=note[:_NOTE_CHARS])))

    def _reply(self, frame: Ok | Welcome | Started | Subscribed) -> None:
        self._delivery.reply(self._session.reply(frame))

    def _answer(self, answer: CommandReply) -> None:
        """Reply once the store holds what the reply says; later commands do not wait for that.

        If another server has the store there is no reply, and the client asks that one.
        """
        if answer.settled is None:
            self._reply(answer.reply())
        elif answer.settled.done():
            self._reply_stored(answer)
        else:
            self._spawn(self._reply_settled(answer.settled, answer))
        self._note(answer.notes)

    async def _reply_settled(self, settled: "asyncio.Future[None]", answer: CommandReply) -> None:
        await settled
        self._reply_stored(answer)

    def _reply_stored(self, answer: CommandReply) -> None:
        if not self._services.runs.is_taken:
            self._reply(answer.reply())

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    @property
    def whose(self) -> str:
        """With whose other work that of this connection takes turns."""
        return sharer(self._principal, self._connection.peer)

    @property
    def principal(self) -> str:
        """Whose connection it is; it has said hello."""
        assert self._principal is not None
        return self._principal

    async def _hello(self, command: commands.Hello) -> None:
        welcome = await greeting.welcome(command, self._services, self._connection)
        self._principal = welcome.principal
        self._reply(welcome)

    async def _find(self, id: str) -> Run:
        return await self._services.runs.find(self.principal, id)

    # ── runs ─────────────────────────────────────────────────────────────────────────────────────

    async def _start(self, command: commands.Run) -> Callable[[], Awaitable[None]]:
        """Start a run, or find it; return what replies once the store holds that it was started."""
        services = self._services
        services.runs.check_ours()
        async with services.runs.starting(command, self.principal) as (run, is_new):
            for index, spec in enumerate(command.subscribe):
                _check(spec, run, f"run.subscribe[{index}].filter.modes")
            attached = [await self._delivery.attach(command.id, run.log, spec) for spec in command.subscribe]
        if command.on_disconnect == "cancel":
            run.adopt(self, services.limits.disconnect_grace_s)
            if self._started is None:
                self._started = WeakSet()
            self._started.add(run)

        async def finish() -> None:
            await run.settled()
            if services.runs.is_taken:  # the store may not have it; the client asks the other server
                return
            self._reply(
                Started(
                    id=command.id,
                    run=run.id,
                    thread=run.thread,
                    epoch=run.log.epoch,
                    created=is_new,
                    status=run.known_status,
                )
            )
            for reader, subscribed in attached:
                self._reply(subscribed)
                self._delivery.begin(reader)
            if is_new:
                self._note(run_notes(command, services.catalog.get(run.graph)))

        return finish

    async def _subscribe(self, command: commands.Subscribe) -> None:
        run = await self._find(command.run)
        _check(command, run, "subscribe.filter.modes")
        reader, subscribed = await self._delivery.attach(command.id, run.log, command)
        self._reply(subscribed)
        self._delivery.begin(reader)
        entry = self._services.catalog.find(run.graph)
        if entry is not None:
            self._note(filter_notes(command.filter, entry, "subscribe.filter"))

    def _watch(self, command: commands.Watch) -> None:
        watch = self._delivery.watch(command, self.principal)
        self._watches[command.sub] = watch
        self._reply(Subscribed(id=command.id, sub=command.sub))
        self._services.runs.watch(watch)

    async def _watch_threads(self, command: commands.Watch) -> None:
        known_threads = self._services.runs.known_threads
        with known_threads.noting_gone() as gone:
            saved = await self._services.listing.saved_only(command, self.principal)
            watch = self._delivery.watch_threads(command, known_threads.owner(self.principal))
            self._watches[command.sub] = watch
            self._reply(Subscribed(id=command.id, sub=command.sub))
            known_threads.open(watch, saved, gone)

    def _unwatch(self, watch: RunInfoWatch | ThreadInfoWatch | None) -> None:
        if isinstance(watch, ThreadInfoWatch):
            self._services.runs.known_threads.close(watch)
        elif watch is not None:
            self._services.runs.unwatch(watch)

    async def close(self) -> None:
        """Let go of everything that the connection held."""
        for watch in self._watches.values():
            self._unwatch(watch)
        self._watches.clear()
        for run in list(self._started or ()):
            run.abandon(self)
        if self._principal is not None:
            self._services.connections.remove(self._principal, self._connection)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        del self._connection  # which has this: without the cycle, all of it goes at once


def _check(spec: Spec, run: Run, where: str) -> None:
    modes = frozenset(mode for mode in spec.filter.modes if mode in STREAM_MODES)
    run.check_records(modes, spec.filter.below_root, where)


def _names(command: Command) -> list[Name]:
    """Return what the command names."""
    names: list[Name] = [(kind, getattr(command, kind, None) or "") for kind in ("run", "sub")]
    if isinstance(command, commands.Run):
        names += [("sub", spec.sub) for spec in command.subscribe]
    if isinstance(command, commands.Run | commands.ThreadRequest | commands.ThreadUpdate | commands.Delete):
        names.append(("thread", command.graph or "", command.thread or ""))
    return [name for name in names if name[-1] != ""]


def served(services: Services, store: Store) -> Parts:
    """Return what makes the parts of a connection whose commands are carried out here."""

    def parts(connection: Connection, session: ServerSession) -> tuple[Delivery, Dispatch]:
        delivery = Delivery(
            store,
            connection.send,
            session.release,
            services.limits,
            services.sharing,
            connection.turn,
            services.loop_time.done,
        )
        return delivery, Dispatch(services, session, delivery, connection)

    return parts
