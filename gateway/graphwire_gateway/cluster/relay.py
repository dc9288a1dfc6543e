"""A client's connection to a gateway: each command goes to the shard that it is about, or to all.

The gateway keeps the books of the protocol (``ServerSession``): rates, ids of requests, numbers of
subscriptions. Everything else is for homes: they check, answer and stream. A frame goes to a home as it came,
and what a home sends goes to the client as it came. Only replies and ends of subscriptions are read, for the
books. What homes send is looked through for their types: text of a graph may hold them, too, and is then read
in vain.

A connection to a home that ends takes the client's with it, if the client has something there: it comes back
with its cursors, and knows by itself what it has to ask again. If it has nothing there, the next command
connects anew.

Long because one place knows which home each command, reply and subscription belongs to.
"""

import asyncio
import contextlib
import os
import secrets
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import orjson
from graphwire_protocol import codes, commands
from graphwire_protocol.codec import encode
from graphwire_protocol.commands import Command
from graphwire_protocol.errors import Misuse, Refusal
from graphwire_protocol.replies import Ok, Pong
from graphwire_protocol.server import ServerSession
from graphwire_protocol.types import MAX_INT

from graphwire_gateway.cluster.directory import Directory
from graphwire_gateway.cluster.gathering import Answers, Frame, GatheredList, GatheredWatch, left_out
from graphwire_gateway.cluster.link import PATIENCE_S, Link
from graphwire_gateway.cluster.open_requests import OpenRequest, OpenRequests, subs_of
from graphwire_gateway.cluster.outbox import Outbox
from graphwire_gateway.cluster.pings import Pings
from graphwire_gateway.cluster.routes import AFTER_MS, Routes
from graphwire_gateway.cluster.second_looks import SecondLooks
from graphwire_gateway.cluster.starts import with_run, without_input
from graphwire_gateway.connections import greeting
from graphwire_gateway.connections.connection import Connection, Parts
from graphwire_gateway.connections.delivery import batches
from graphwire_gateway.connections.loop_time import sharer
from graphwire_gateway.connections.services import ConnectionServices

_READ = tuple(
    b'"type":"%s"' % name
    for name in (b"ok", b"error", b"started", b"subscribed", b"closed", b"pong", b"goaway", b"notice")
)
"""What a message holds that has to be read, for the books."""

_ROWS = (b'"type":"synced"', b'"type":"run_', b'"type":"thread_')
"""What else, while the lists of a watch are gathered."""

_NOWHERE: tuple[frozenset[int], int] = frozenset(), -1
"""Of a subscription that is not there."""


class CommandRelay:
    """Passes on the commands of one connection, in order."""

    def __init__(
        self,
        services: ConnectionServices,
        directory: Directory,
        session: ServerSession,
        outbox: Outbox,
        connection: Connection,
    ) -> None:
        self._services = services
        self._directory = directory
        self._routes = Routes(directory)
        self._session = session
        self._outbox = outbox
        self._connection: Connection | None = connection
        self._principal: str | None = None
        self._links: dict[int, Link] = {}
        self._requests = OpenRequests()
        self._subs: dict[int, tuple[frozenset[int], int]] = {}  # shards and request of each subscription
        self._watches: dict[int, commands.Watch] = {}  # those of several shards
        self._gathering: dict[int, GatheredWatch] = {}  # those of them whose lists are not complete
        self._pings = Pings(self._pong)
        self._looks = SecondLooks(services.failures)
        self._gone: set[asyncio.Task[None]] = set()  # of links that have ended
        self._unawaited: dict[tuple[int, int], int | None] = {}
        """Shards and requests whose answers nobody waits for; the subscription that each ends."""
        self._runs_here: set[int] = set()  # shards with runs that end when the client leaves
        self._places: object = None  # of rows, as it was looked at last
        self._ending: asyncio.Future[None] | None = None
        self._is_closed = False

    @property
    def whose(self) -> str:
        """With whose other work that of this connection takes turns."""
        assert self._connection is not None
        return sharer(self._principal, self._connection.peer)

    async def handle(self, command: Command, data: str | bytes) -> None:
        """Pass on one command, which came as ``data``. Raises the ``Refusal`` that ends the connection."""
        self._check_size(data)
        await self._looks.done({getattr(command, "run", None), *subs_of(command)})
        try:
            await self._handle(command, data)
        except Refusal as refusal:
            if isinstance(command, commands.Credit | commands.Ping):
                raise
            self._outbox.reply(self._session.refuse(refusal, command))
            if refusal.close is not None:
                raise
        except Exception as error:
            with contextlib.suppress(Misuse):
                self._outbox.reply(self._session.refuse(self._fault(error, command.type), command))

    def _fault(self, error: Exception, where: str) -> Refusal:
        error_id = self._services.failures.internal(error, where)
        message = f"a fault of the server (error_id {error_id})"
        return Refusal("internal", message, details={"error_id": error_id})

    async def _handle(self, command: Command, data: str | bytes) -> None:
        match command:
            case commands.Credit():
                self._credit(command, data)
            case commands.Ping():
                self._ping(command)
            case commands.Hello():
                await self._hello(command)
            case commands.Run():
                await self._run(command, data)
            case commands.Subscribe():
                shard = await self._shard_of_run(command.run)
                await self._number_is_free(command.sub, shard)
                self._ask(command, shard, data).data = data
                self._subs[command.sub] = frozenset((shard,)), command.id
            case commands.Unsubscribe():
                self._unsubscribe(command, data)
            case commands.Watch(thread=str(thread), graphs=(str(graph),)) if self._routes.is_served(graph):
                shard = self._routes.shard_of_thread(self._owner, graph, thread)
                await self._number_is_free(command.sub, shard)
                self._ask(command, shard, data)
                self._subs[command.sub] = frozenset((shard,)), command.id
            case commands.Watch():
                await self._watch(command, data)
            case commands.List(what="graphs") if len(self._directory.groups.names) == 1:
                self._ask(command, self._any_shard(self._directory.groups.shards), data)
            case commands.List(thread=str(thread), graph=str(graph)) if self._routes.is_served(graph):
                self._ask(command, self._routes.shard_of_thread(self._owner, graph, thread), data)
            case commands.List():
                self._list(command, len(data))
            case commands.Cancel() | commands.Respond() | commands.Result() | commands.Delete(run=str()):
                self._ask(command, await self._shard_of_run(command.run or ""), data).data = data
            case _:
                self._ask(
                    command,
                    self._routes.shard_of_thread(self._owner, command.graph or "", command.thread or ""),
                    data,
                )

    async def _hello(self, command: commands.Hello) -> None:
        if self._directory.offer is None:
            message = "this server has no worker yet; connect again later"
            raise Refusal("unavailable", message, after_ms=AFTER_MS, close=codes.TRY_LATER)
        assert self._connection is not None
        welcome = await greeting.welcome(command, self._services, self._connection)
        self._principal = welcome.principal
        self._outbox.reply(self._session.reply(welcome))

    def refuse(self, error: bytes, refusal: Refusal) -> None:
        """Reply ``error`` to a frame that is none, or comes at a wrong time.

        Requests about one subscription are answered in order.
        """
        if not self._requests.put_behind(refusal.sub, error, self._services.limits.max_frame_bytes):
            self._outbox.reply(error)

    def _credit(self, command: commands.Credit, data: str | bytes) -> None:
        shards, request = self._subs.get(command.sub, _NOWHERE)
        asked = self._requests.get(request)
        if asked is not None and asked.data is not None and subs_of(asked.command) == (command.sub,):
            asked.credit += command.events
        self._send(shards, data)

    def _ping(self, command: commands.Ping) -> None:
        """Answer when all homes have handled what came before, or soon."""
        shards = set(self._links)
        if shards:
            number = self._pings.begin(command, shards)
            self._send(shards, orjson.dumps({"type": "ping", "t": number}))
        else:
            self._pong(command)

    def _pong(self, command: commands.Ping) -> None:
        self._outbox.reply(self._session.pong(Pong(t=command.t)))

    @property
    def _owner(self) -> str:
        assert self._principal is not None
        return self._principal

    async def _shard_of_run(self, run: str) -> int:
        """Return the shard that has a run, or any that knows that there is none.

        Raises ``Refusal(unavailable)``.
        """
        found = await self._routes.shard_of_run(self._owner, run)
        return self._any_shard(self._directory.groups.shards) if found is None else found

    def _any_shard(self, shards: Iterable[int]) -> int:
        """Return one of these, whose home there is a way to, if there is one."""
        known = {*self._links, *self._directory.homes}
        return min(shards, key=lambda shard: (shard not in known, shard))

    async def _number_is_free(self, sub: int, *shards: int) -> None:
        """Wait until no frame of an earlier subscription with that number can come any more."""
        while (asked := self._requests.leaving_elsewhere(sub, shards)) is not None:
            if self._ending is not None:
                raise Refusal("unavailable", "a worker of this server has gone", after_ms=AFTER_MS)
            asked.answered = asked.answered or asyncio.Event()
            await asked.answered.wait()

    # ── to homes ─────────────────────────────────────────────────────────────────────────────────

    async def _run(self, command: commands.Run, data: str | bytes) -> None:
        id = os.urandom(16).hex() if command.run is None else command.run
        if command.thread is not None:
            shard = self._routes.shard_of_thread(self._owner, command.graph, command.thread)
        else:
            shard = self._routes.shard_of_start(self._owner, command.graph, id)
        if command.run is None:
            await self._start(command, id, shard, with_run(data, id))
            return
        found, is_noted = await self._routes.place_of_start(self._owner, id, shard)
        try:
            asked = await self._start(command, id, found, data)
        except BaseException:
            if is_noted:
                self._directory.runs.let_go(self._owner, id, shard)
            raise
        asked.noted = shard if is_noted else None

    async def _start(self, command: commands.Run, id: str, shard: int, data: str | bytes) -> OpenRequest:
        """Pass on a start to the shard that has the run, or gets it."""
        self._directory.runs.remember(self._owner, id, shard)
        for spec in command.subscribe:
            await self._number_is_free(spec.sub, shard)
        asked = self._ask(without_input(command, id), shard, data, kept=0)
        self._subs.update({spec.sub: (frozenset((shard,)), command.id) for spec in command.subscribe})
        return asked

    def _ask(self, command: Any, shard: int, data: str | bytes, *, kept: int | None = None) -> OpenRequest:
        """Send a request to a home. ``kept`` bytes of it are kept until it is answered; by default all."""
        size = len(data) if kept is None else kept
        self._check_waiting(len(data), size)
        asked = self._requests.add(OpenRequest(command, frozenset((shard,)), size=size))
        self._send((shard,), data)
        return asked

    def _check_size(self, data: str | bytes) -> None:
        """Raise the ``Refusal`` that ends the connection if homes would end theirs for this frame.

        The client's socket goes by what is configured here, which may be more than what workers take.
        """
        most = self._services.limits.max_frame_bytes
        if len(data if isinstance(data, bytes) or data.isascii() else data.encode()) > most:
            message = f"a frame of more than {most:,} bytes (max_frame_bytes)"
            raise Refusal("too_large", message, close=codes.TOO_BIG)

    def _check_waiting(self, unsent: int, kept: int) -> None:
        """Bound what waits for homes: what is not sent yet, and what is kept until it is answered.

        Raises ``Refusal(rate_limited)``. What says nothing of its own, such as credit, is bounded by the
        session's rates.
        """
        most = self._services.limits.max_frame_bytes
        unsent_before = sum(link.waiting_bytes for link in self._links.values())
        for waiting, size in ((unsent_before, unsent), (self._requests.kept_bytes, kept)):
            if waiting and waiting + size > most:
                raise Refusal(
                    "rate_limited",
                    f"requests of {waiting:,} bytes wait for a worker of this server, and no more than "
                    f"{most:,} may (max_frame_bytes); send this one once some are answered",
                    details={"limit": "max_frame_bytes"},
                    after_ms=100,
                )

    def _send(self, shards: Iterable[int], data: str | bytes) -> None:
        for shard in () if self._is_closed else shards:
            link = self._links.get(shard)
            if link is None:
                link = self._links[shard] = Link(
                    shard, self._owner, self._directory, self._received, self._ended, self._failed
                )
            link.send(data)

    def _list(self, command: commands.List, size: int) -> None:
        groups, away = self._routes.groups_of_rows(None if command.graph is None else (command.graph,))
        shards = self._routes.shards_of(groups)
        if command.what == "graphs":
            shards = shards[:: self._directory.groups.count]  # always the same, as the cursor says
        self._check_waiting(size * len(shards), size)
        listed = GatheredList(command, shards, self._services.limits.max_event_bytes)
        missing, before = frozenset(listed.missing), left_out(away)
        asked = self._requests.add(OpenRequest(command, missing, listed, size, before=before))
        for shard in sorted(listed.missing):
            self._send((shard,), encode(listed.asked_of(shard)))
        if not listed.missing:  # of the groups behind the cursor none is left
            for each in self._all_of(asked):
                self._outbox.reply(orjson.dumps(each))

    async def _watch(self, command: commands.Watch, data: str | bytes) -> None:
        groups, away = self._routes.groups_of_rows(command.graphs)
        shards = frozenset(self._routes.shards_of(groups))
        await self._number_is_free(command.sub, *shards)
        self._check_waiting(len(data) * len(shards), len(data))
        watched = GatheredWatch(command, shards, self._services.limits.max_watch_runs)
        self._requests.add(OpenRequest(command, shards, watched, len(data), before=left_out(away)))
        self._watches[command.sub] = command
        self._gathering[command.sub] = watched
        self._subs[command.sub] = shards, command.id
        self._send(sorted(shards), data)

    def _unsubscribe(self, command: commands.Unsubscribe, data: str | bytes) -> None:
        shards, _ = self._subs.pop(command.sub, _NOWHERE)
        self._forget_watch(command.sub)
        self._session.release(command.sub)  # the client may use the number behind this frame
        if not shards:
            self._outbox.reply(self._session.reply(Ok(id=command.id)))
            return
        answers = Answers(command, shards) if len(shards) > 1 else None
        self._requests.add(OpenRequest(command, shards, answers))
        self._send(shards, data)

    # ── from homes ───────────────────────────────────────────────────────────────────────────────

    async def _received(self, link: Link, message: bytes) -> None:
        if not self._must_read(message):
            await self._outbox.pass_on(message)
            return
        assert self._connection is not None
        await self._connection.turn()  # a list may take long
        try:
            passing = [] if self._is_closed else self._passing(link, message)
        finally:
            self._services.loop_time.done()
        # At once: what other homes send meanwhile must not pass what the books say is on its way.
        for each in passing:
            self._outbox.pass_now(each)
        if passing:
            await self._outbox.room()

    def _must_read(self, message: bytes) -> bool:
        if any(name in message for name in _READ):
            return True
        may_not_pass = self._gathering or self._unawaited or self._requests.has_leaving
        return bool(may_not_pass) and any(name in message for name in _ROWS)

    def _passing(self, link: Link, message: bytes) -> list[bytes]:
        """Note a message of a home in the books; return what the client gets."""
        found = orjson.loads(message)
        frames = found if isinstance(found, list) else [found]
        passing: list[Frame] = []
        for frame in frames:
            passing += self._read(link, frame)
        if len(passing) == len(frames) and all(a is b for a, b in zip(passing, frames, strict=True)):
            return [message]
        return batches([orjson.dumps(frame) for frame in passing])

    def _read(self, link: Link, frame: Frame) -> list[Frame]:
        """Note a frame of a home in the books; return what goes to the client in its place."""
        match frame["type"]:
            case "goaway":
                return []  # the gateway stays
            case "pong":
                done = self._pings.ponged(link.shard, frame["t"])
                return [] if done is None else [orjson.loads(self._session.pong(Pong(t=done.t)))]
            case "notice":
                return [] if link.is_repeating else [frame]
            case "ok" | "started" | "subscribed" | "error" if "id" in frame:
                return self._reply(link, frame)
            case "error":
                return [frame]
        sub = frame.get("sub", -1)
        if any(at[0] == link.shard and ended == sub for at, ended in self._unawaited.items()):
            return []
        leaving = self._requests.leaving(sub, link.shard)
        if leaving is not None:  # the number may be another subscription's by now
            return [frame] if leaving.answers is None else []
        if frame["type"] == "closed":
            self._subs.pop(sub, None)
            self._session.release(sub)
        watched = self._gathering.get(sub)
        if watched is None:
            return [frame]
        passing = watched.take(link.shard, frame)
        if watched.is_synced:
            del self._gathering[sub]
        return passing

    def _reply(self, link: Link, frame: Frame) -> list[Frame]:
        id, is_error = frame["id"], frame["type"] == "error"
        if (link.shard, id) in self._unawaited:
            del self._unawaited[link.shard, id]
            return []
        asked = self._requests.get(id)
        if asked is None:
            raise Misuse(f"the home of shard {link.shard} answers request {id}, which is not open")
        link.is_repeating = asked.answers is not None and link.shard != min(asked.shards)
        if asked.answers is not None:
            asked.answers.answer(link.shard, frame)
            return [] if asked.answers.missing else self._all_of(asked)
        if is_error and frame["code"] == "not_found" and asked.data is not None and not self._was_left(asked):
            about = asked.command.run, *subs_of(asked.command)
            self._looks.begin(partial(self._look_again, asked, asked.data, frame), about)
            asked.data = None
            return []
        if is_error:
            return asked.followed(self._refused(asked, frame))
        if frame["type"] == "started" and asked.command.on_disconnect == "cancel":
            self._runs_here.add(link.shard)
        if not self._session.replied(id, frame["type"]):
            return [frame]
        self._answered(asked)
        return asked.followed(frame)

    def _was_left(self, asked: OpenRequest) -> bool:
        """Tell whether the subscription that a request is for was left meanwhile."""
        command = asked.command
        return isinstance(command, commands.Subscribe) and not self._has(command, command.sub)

    async def _look_again(self, asked: OpenRequest, data: str | bytes, frame: Frame) -> None:
        """Ask the shard that has the run now, if it is another one: it may have begun anew there."""
        command = asked.command
        self._directory.runs.forget(self._owner, command.run)
        try:
            shard = await self._routes.shard_of_run(self._owner, command.run, may_remember=False)
        except Exception as error:
            if not isinstance(error, Refusal):
                error = self._fault(error, command.type)
            shard, frame = None, {**orjson.loads(self._session.refuse(error)), "id": command.id}
        if self._requests.get(command.id) is not asked:
            return  # it was refused meanwhile, for want of a home
        if shard is None or shard in asked.shards:
            for each in asked.followed(self._refused(asked, frame)):
                self._outbox.reply(orjson.dumps(each))
            return
        asked.shards = frozenset((shard,))
        self._send(asked.shards, data)
        if isinstance(command, commands.Subscribe):
            self._subs[command.sub] = asked.shards, command.id
        if asked.credit:
            events = min(asked.credit, MAX_INT)
            self._send(asked.shards, encode(commands.Credit(sub=command.sub, events=events)))

    def _answered(self, asked: OpenRequest) -> None:
        self._requests.remove(asked)
        if asked.noted is not None:
            self._directory.runs.let_go(self._owner, asked.command.run or "", asked.noted)

    def _refused(self, asked: OpenRequest, frame: Frame) -> Frame:
        """Note that a request is refused; return the client's ``error``."""
        command = asked.command
        self._answered(asked)
        self._session.refused(command)
        self._forget_subs(command)
        run = getattr(command, "run", None)
        if run is not None:
            self._directory.runs.forget(self._owner, run)
        if frame["code"] == "draining":  # the home goes away, and not this gateway
            message = "a worker of this server is going away; ask again"
            return {**frame, "code": "unavailable", "message": message}
        return frame

    def _forget_subs(self, command: Any) -> None:
        """Forget the subscriptions that a refused request named."""
        if isinstance(command, commands.Run | commands.Subscribe | commands.Watch):
            for sub in subs_of(command):
                if self._has(command, sub):
                    del self._subs[sub]
                    self._forget_watch(sub)

    def _forget_watch(self, sub: int) -> None:
        self._watches.pop(sub, None)
        self._gathering.pop(sub, None)

    def _has(self, command: Any, sub: int) -> bool:
        """Tell whether the number is still that request's: a later one may have taken it."""
        _, request = self._subs.get(sub, _NOWHERE)
        return request == int(command.id)

    def _all_of(self, asked: OpenRequest) -> list[Frame]:
        """Return what a client gets for a request that all homes have answered."""
        answer = self._gathered(asked)
        return [*(asked.before if answer["type"] != "error" else ()), *asked.followed(answer)]

    def _leave_out_silent(self) -> None:
        """Answer what all are asked without the groups that have lost their last worker meanwhile."""
        group_at, silent = self._directory.groups.group_at, self._directory.groups_silent
        for asked in self._requests if silent else ():
            gone = {shard for shard in asked.missing if group_at(shard) in silent}
            if asked.answers is None or not gone or gone >= asked.shards:
                continue
            asked.answers.leave_out(gone)
            asked.shards -= gone
            self._await_no_more(asked, gone)
            if not asked.answers.missing:
                rest = asked.answers.rest() if isinstance(asked.answers, GatheredWatch) else []
                if rest and self._has(asked.command, asked.command.sub):
                    del self._gathering[asked.command.sub]
                for each in (*self._all_of(asked), *rest):
                    self._outbox.reply(orjson.dumps(each))

    def _await_no_more(self, asked: OpenRequest, gone: set[int]) -> None:
        """What these shards answer to a request, once they are there again, comes too late."""
        command = asked.command
        is_leaving = isinstance(command, commands.Unsubscribe)
        self._unawaited.update({(shard, command.id): command.sub if is_leaving else None for shard in gone})
        if not is_leaving:
            groups = {self._directory.groups.group_at(shard) for shard in gone}
            asked.before += left_out(sorted(groups))  # beside those before
        if isinstance(command, commands.Watch) and self._has(command, command.sub):
            self._subs[command.sub] = asked.shards, command.id
            self._undo(command.sub, gone)  # else its number would be in use there

    def _gathered(self, asked: OpenRequest) -> Frame:
        answers = asked.answers
        assert answers is not None
        result = answers.result()
        if result["type"] != "error":
            self._session.replied(asked.command.id, result["type"])
            self._answered(asked)
            return result
        if isinstance(asked.command, commands.Watch) and self._has(asked.command, asked.command.sub):
            self._undo(asked.command.sub, answers.found)
        return self._refused(asked, result)

    def _undo(self, sub: int, shards: Iterable[int]) -> None:
        """Let the shards that watch end it: others have refused."""
        for shard in shards:
            id = 0
            while not id or id in self._requests or (shard, id) in self._unawaited:
                id = secrets.randbits(52)
            self._unawaited[shard, id] = sub
            self._send((shard,), encode(commands.Unsubscribe(id=id, sub=sub)))

    # ── the end ──────────────────────────────────────────────────────────────────────────────────

    def _ended(self, link: Link, reason: str) -> None:
        """There is no way to a home any more, or none was found."""
        self._unawaited = {at: sub for at, sub in self._unawaited.items() if at[0] != link.shard}
        if self._links.get(link.shard) is link:
            del self._links[link.shard]
            self._gone.add(closed := asyncio.ensure_future(link.closed()))
            closed.add_done_callback(self._gone.discard)
        for command in self._pings.gone(link.shard):
            self._pong(command)
        if not link.url:  # nothing has reached it
            self._refuse_all(link.shard, reason)
            return
        shard = link.shard
        asked_there = [asked for asked in self._requests if shard in asked.shards]
        for asked in asked_there:
            asked.has_reached = True
        is_needed = (
            shard in self._runs_here
            or link.is_passing
            or any(shard in shards for shards, _ in self._subs.values())
            or asked_there
        )
        if is_needed:
            self._leave()

    def _leave(self) -> None:
        """Send the client away: it comes back with its cursors."""
        if self._connection is not None and self._ending is None:
            self._ending = asyncio.ensure_future(self._connection.leave())
            for asked in self._requests:  # the connection's reading may wait for one of them
                self._requests.wake(asked)

    def _failed(self, error: Exception) -> None:
        self._services.failures.internal(error, "what a home sent")

    def _refuse_all(self, shard: int, reason: str) -> None:
        for asked in [asked for asked in self._requests if shard in asked.shards]:
            refusal = Refusal("unavailable", reason, after_ms=AFTER_MS)
            error = orjson.loads(self._session.refuse(refusal))
            frame: Frame = {**error, "id": asked.command.id}
            if asked.answers is not None:
                if shard not in asked.answers.missing:
                    continue
                asked.answers.answer(shard, frame)
                if asked.answers.missing:
                    continue
                frames = self._all_of(asked)
            else:
                frames = asked.followed(self._refused(asked, frame))
            for each in frames:
                self._outbox.reply(orjson.dumps(each))

    def drop_stale(self) -> None:
        """Leave homes that are no longer those of their shards: a frozen worker says nothing by itself."""
        if self._is_closed:
            return
        now = asyncio.get_running_loop().time()
        for shard, link in list(self._links.items()):
            home = self._directory.homes.get(shard)
            link.alone_since = None if home is not None else link.alone_since or now
            is_alone = link.alone_since is not None and now > link.alone_since + PATIENCE_S
            if link.url and (is_alone or home not in (None, link.url)):
                link.close()
                self._ended(link, "another worker has this part of the server now")
        self._leave_out_silent()
        places = self._routes.places
        if places != self._places:  # there may be a thousand watches, and this is asked twice a second
            self._places = places
            self._look_at_watches()

    def _look_at_watches(self) -> None:
        """Send the client away if a group is new, or there again: it asks anew."""
        for sub, watch in self._watches.items():
            groups, _ = self._routes.groups_of_rows(watch.graphs)
            if sub in self._subs and not self._subs[sub][0].issuperset(self._routes.shards_of(groups)):
                self._leave()

    async def close(self) -> None:
        """Let go of everything that the connection held."""
        self._is_closed = True
        self._looks.cancel()
        links = list(self._links.values())
        reached = {link.shard for link in links if link.url}
        self._links.clear()
        for link in links:
            link.close()
        await asyncio.gather(*(link.closed() for link in links))
        await asyncio.gather(self._looks.ended(), *self._gone, return_exceptions=True)
        if self._principal is not None and self._connection is not None:
            self._services.connections.remove(self._principal, self._connection)
        for asked in self._requests:
            if asked.noted is not None:
                is_sent = asked.has_reached or not reached.isdisjoint(asked.shards)
                let_go = self._directory.runs.let_go_later if is_sent else self._directory.runs.let_go
                let_go(self._owner, asked.command.run or "", asked.noted)
        self._requests.clear()
        self._watches.clear()
        self._gathering.clear()
        self._pings.close()
        if self._ending is not None:
            await asyncio.gather(self._ending, return_exceptions=True)
        self._connection = None  # which has this


def relayed(
    services: ConnectionServices, directory: Directory, opened: "Callable[[CommandRelay], None]"
) -> Parts:
    """Return what makes the parts of a connection whose commands are passed on. ``opened`` gets each."""

    def parts(connection: Connection, session: ServerSession) -> tuple[Outbox, CommandRelay]:
        outbox = Outbox(connection.send, connection.turn, services.loop_time.done)
        relay = CommandRelay(services, directory, session, outbox, connection)
        opened(relay)
        return outbox, relay

    return parts
