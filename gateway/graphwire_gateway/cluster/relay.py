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
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from typing import Any

import orjson
from graphwire_protocol import codes, commands
from graphwire_protocol.codec import encode
from graphwire_protocol.commands import Command
from graphwire_protocol.errors import Misuse, Refusal
from graphwire_protocol.replies import Ok, Pong
from graphwire_protocol.server import ServerSession

from graphwire_gateway.cluster.directory import Directory
from graphwire_gateway.cluster.gathering import Answers, Frame, GatheredList, GatheredWatch
from graphwire_gateway.cluster.groups import words
from graphwire_gateway.cluster.link import PATIENCE_S, Link
from graphwire_gateway.cluster.outbox import Outbox
from graphwire_gateway.cluster.pings import Pings
from graphwire_gateway.cluster.routes import AFTER_MS, Routes
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


@dataclass(slots=True)
class _Asked:
    """A request that is not answered completely: to which home it went, or to which homes."""

    command: Any
    shards: frozenset[int]
    answers: Answers | None = None
    answered: asyncio.Event | None = None
    """Set when it is answered, if somebody waits for that."""
    data: str | bytes | None = None
    """The frame, if it went to where its run was last known to be, and may have to go elsewhere."""
    noted: int | None = None
    """Of a start: in which shard it is noted to be, until it is answered."""
    before: tuple[Frame, ...] = ()
    """What the client gets before the answer: a notice of what that leaves out."""
    behind: tuple[Frame, ...] = ()
    """What it gets behind it: refusals of later requests about the same subscription."""


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
        self._asked: dict[int, _Asked] = {}  # by request
        self._subs: dict[int, tuple[frozenset[int], int]] = {}  # shards and request of each subscription
        self._watches: dict[int, GatheredWatch] = {}  # those of several shards
        self._pings = Pings(self._pong)
        self._looking: set[asyncio.Task[None]] = set()
        self._late: dict[tuple[int, int], int | None] = {}  # shards and requests that are not waited for; sub
        self._undoing: dict[int, tuple[int, int]] = {}  # shard and sub of unsubscribes of the gateway's own
        self._left: Counter[int] = Counter()  # subscriptions whose unsubscribe is not answered
        self._runs_here: set[int] = set()  # shards with runs that end when the client leaves
        self._ending: asyncio.Future[None] | None = None

    @property
    def whose(self) -> str:
        """With whose other work that of this connection takes turns."""
        assert self._connection is not None
        return sharer(self._principal, self._connection.peer)

    async def handle(self, command: Command, data: str | bytes) -> None:
        """Pass on one command, which came as ``data``. Raises the ``Refusal`` that ends the connection."""
        try:
            await self._handle(command, data)
        except Refusal as refusal:
            if isinstance(command, commands.Credit | commands.Ping):
                raise
            self._forget_subs(command)
            self._outbox.reply(self._session.refuse(refusal, command))
            if refusal.close is not None:
                raise
        except Exception as error:
            self._forget_subs(command)
            with contextlib.suppress(Misuse):
                self._outbox.reply(self._session.refuse(self._fault(error, command.type), command))

    def _fault(self, error: Exception, where: str) -> Refusal:
        error_id = self._services.failures.internal(error, where)
        message = f"a fault of the server (error_id {error_id})"
        return Refusal("internal", message, details={"error_id": error_id})

    async def _handle(self, command: Command, data: str | bytes) -> None:
        match command:
            case commands.Credit():
                self._send(self._subs.get(command.sub, _NOWHERE)[0], data)
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
        for asked in self._asked.values():
            if refusal.sub is not None and refusal.sub in _subs_of(asked.command):
                asked.behind += (orjson.loads(error),)
                return
        self._outbox.reply(error)

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
        while (asked := self._unanswered_leave(sub, shards)) is not None:
            if self._ending is not None:
                raise Refusal("unavailable", "a worker of this server has gone", after_ms=AFTER_MS)
            asked.answered = asked.answered or asyncio.Event()
            await asked.answered.wait()

    def _unanswered_leave(self, sub: int, shards: Iterable[int]) -> _Asked | None:
        """Return an unsubscribe of that number whose ``ok`` is still to come from other shards than these."""
        for asked in self._asked.values() if self._left[sub] else ():
            is_leaving = isinstance(asked.command, commands.Unsubscribe) and asked.command.sub == sub
            if is_leaving and not asked.shards <= set(shards):
                return asked
        return None

    # ── to homes ─────────────────────────────────────────────────────────────────────────────────

    async def _run(self, command: commands.Run, data: str | bytes) -> None:
        id = os.urandom(16).hex() if command.run is None else command.run
        if command.thread is not None:
            shard = self._routes.shard_of_thread(self._owner, command.graph, command.thread)
        else:
            shard = self._routes.shard_of_start(self._owner, command.graph, id)
        if command.run is None:
            data = _with_run(data, id)
            await self._start(command, id, shard, data)
            return
        found, is_noted = await self._routes.place_of_start(self._owner, id, shard)
        try:
            await self._start(command, id, found, data)
        except BaseException:
            if is_noted:
                self._directory.runs.let_go(self._owner, id, shard)
            raise
        self._asked[command.id].noted = shard if is_noted else None

    async def _start(self, command: commands.Run, id: str, shard: int, data: str | bytes) -> None:
        """Pass on a start to the shard that has the run, or gets it."""
        self._directory.runs.remember(self._owner, id, shard)
        for spec in command.subscribe:
            await self._number_is_free(spec.sub, shard)
        self._ask(command.model_copy(update={"run": id, "input": None}), shard, data)
        self._subs.update({spec.sub: (frozenset((shard,)), command.id) for spec in command.subscribe})
        if command.on_disconnect == "cancel":
            self._runs_here.add(shard)

    def _ask(self, command: Any, shard: int, data: str | bytes) -> _Asked:
        self._check_waiting(len(data))
        asked = self._asked[command.id] = _Asked(command, frozenset((shard,)))
        self._send((shard,), data)
        return asked

    def _check_waiting(self, size: int) -> None:
        """Bound what waits for homes. Raises ``Refusal(rate_limited)``.

        What says nothing of its own, such as credit, is bounded by the session's rates.
        """
        waiting = sum(link.waiting_bytes for link in self._links.values())
        most = self._services.limits.max_frame_bytes
        if waiting and waiting + size > most:
            raise Refusal(
                "rate_limited",
                f"requests of {waiting:,} bytes wait for a worker of this server, and no more than "
                f"{most:,} may (max_frame_bytes); send this one once some are answered",
                details={"limit": "max_frame_bytes"},
                after_ms=100,
            )

    def _send(self, shards: Iterable[int], data: str | bytes) -> None:
        for shard in shards:
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
        self._check_waiting(size * len(shards))
        listed = GatheredList(command, shards, self._services.limits.max_event_bytes)
        self._asked[command.id] = _Asked(command, frozenset(listed.missing), listed, before=_left_out(away))
        for shard in sorted(listed.missing):
            self._send((shard,), encode(listed.asked_of(shard)))
        if not listed.missing:  # of the groups behind the cursor none is left
            for each in self._all_of(self._asked[command.id]):
                self._outbox.reply(orjson.dumps(each))

    async def _watch(self, command: commands.Watch, data: str | bytes) -> None:
        groups, away = self._routes.groups_of_rows(command.graphs)
        shards = frozenset(self._routes.shards_of(groups))
        await self._number_is_free(command.sub, *shards)
        self._check_waiting(len(data) * len(shards))
        watched = GatheredWatch(command, shards, self._services.limits.max_watch_runs)
        self._asked[command.id] = _Asked(command, shards, watched, before=_left_out(away))
        self._watches[command.sub] = watched
        self._subs[command.sub] = shards, command.id
        self._send(sorted(shards), data)

    def _unsubscribe(self, command: commands.Unsubscribe, data: str | bytes) -> None:
        shards, _ = self._subs.pop(command.sub, _NOWHERE)
        self._watches.pop(command.sub, None)
        self._session.release(command.sub)  # the client may use the number behind this frame
        if not shards:
            self._outbox.reply(self._session.reply(Ok(id=command.id)))
            return
        answers = Answers(command, shards) if len(shards) > 1 else None
        self._asked[command.id] = _Asked(command, shards, answers)
        self._left[command.sub] += 1
        self._send(shards, data)

    # ── from homes ───────────────────────────────────────────────────────────────────────────────

    async def _received(self, link: Link, message: bytes) -> None:
        must_read = any(name in message for name in _READ)
        is_gathering = self._undoing or any(not watched.is_synced for watched in self._watches.values())
        if not must_read and is_gathering:
            must_read = any(name in message for name in _ROWS)
        if not must_read:
            await self._outbox.pass_on(message)
            return
        found = orjson.loads(message)
        frames = found if isinstance(found, list) else [found]
        passing: list[Frame] = []
        for frame in frames:
            passing += self._read(link, frame)
        if len(passing) == len(frames) and all(a is b for a, b in zip(passing, frames, strict=True)):
            await self._outbox.pass_on(message)
        elif passing:
            # At once: what other homes send meanwhile must not pass a list that this home has completed.
            for batch in batches([orjson.dumps(frame) for frame in passing]):
                self._outbox.pass_now(batch)
            await self._outbox.room()

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
            case "closed" if not self._is_leaving(frame["sub"]):
                self._subs.pop(frame["sub"], None)
                self._session.release(frame["sub"])
        if self._was_left(link, frame.get("sub", -1)):
            return []
        watched = self._watches.get(frame.get("sub", -1))
        if watched is not None and not watched.is_synced:
            return watched.take(link.shard, frame)
        return [frame]

    def _was_left(self, link: Link, sub: int) -> bool:
        """Tell whether what a home sends is of a watch that was left, and whose number another may have."""
        if (link.shard, sub) in self._undoing.values():
            return True
        return self._is_leaving(sub) and any(
            isinstance(asked.command, commands.Unsubscribe)
            and asked.command.sub == sub
            and asked.answers is not None
            and link.shard in asked.answers.missing
            for asked in self._asked.values()
        )

    def _is_leaving(self, sub: int) -> bool:
        """Tell whether the number may be another subscription's by now: the one that had it was left."""
        return self._left[sub] > 0

    def _reply(self, link: Link, frame: Frame) -> list[Frame]:
        id, is_error = frame["id"], frame["type"] == "error"
        if id in self._undoing:
            del self._undoing[id]
            return []
        if (link.shard, id) in self._late:  # its group is there again
            sub = self._late.pop((link.shard, id))
            if sub is not None and not is_error:
                self._undo(sub, (link.shard,))
            return []
        asked = self._asked.get(id)
        if asked is None:
            raise Misuse(f"the home of shard {link.shard} answers request {id}, which is not open")
        link.is_repeating = asked.answers is not None and link.shard != min(asked.shards)
        if asked.answers is not None:
            asked.answers.answer(link.shard, frame)
            return [] if asked.answers.missing else self._all_of(asked)
        if is_error and asked.data is not None and frame["code"] == "not_found":
            self._later(self._look_again(asked, asked.data, frame))
            asked.data = None
            return []
        if is_error:
            frame = self._refused(asked, frame)
        elif self._session.replied(id, frame["type"]):
            self._answered(asked)
        else:
            return [frame]
        return [frame, *asked.behind]

    async def _look_again(self, asked: _Asked, data: str | bytes, frame: Frame) -> None:
        """Ask the shard that has the run now, if it is another one: it may have begun anew there."""
        command = asked.command
        self._directory.runs.forget(self._owner, command.run)
        try:
            shard = await self._routes.shard_of_run(self._owner, command.run, may_remember=False)
        except Exception as error:
            if not isinstance(error, Refusal):
                error = self._fault(error, command.type)
            frame = {**orjson.loads(self._session.refuse(error)), "id": command.id}
        else:
            was_left = isinstance(command, commands.Subscribe) and not self._has(command, command.sub)
            if shard is not None and shard not in asked.shards and not was_left:
                asked.shards = frozenset((shard,))
                if isinstance(command, commands.Subscribe):
                    self._subs[command.sub] = asked.shards, command.id
                self._send((shard,), data)
                return
        for each in (self._refused(asked, frame), *asked.behind):
            self._outbox.reply(orjson.dumps(each))

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        self._looking.add(task := asyncio.ensure_future(self._reported(work)))
        task.add_done_callback(self._looking.discard)

    async def _reported(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception as error:
            self._services.failures.internal(error, "work of a gateway")

    def _answered(self, asked: _Asked) -> None:
        del self._asked[asked.command.id]
        if asked.noted is not None:
            self._directory.runs.let_go(self._owner, asked.command.run or "", asked.noted)
        if isinstance(asked.command, commands.Unsubscribe):
            self._left[asked.command.sub] -= 1
            if not self._left[asked.command.sub]:
                del self._left[asked.command.sub]
        if asked.answered is not None:
            asked.answered.set()

    def _refused(self, asked: _Asked, frame: Frame) -> Frame:
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
            for sub in _subs_of(command):
                if self._has(command, sub):
                    del self._subs[sub]
                    self._watches.pop(sub, None)

    def _has(self, command: Any, sub: int) -> bool:
        """Tell whether the number is still that request's: a later one may have taken it."""
        _, request = self._subs.get(sub, _NOWHERE)
        return request == int(command.id)

    def _all_of(self, asked: _Asked) -> list[Frame]:
        """Return what a client gets for a request that all homes have answered."""
        answer = self._gathered(asked)
        return [*(asked.before if answer["type"] != "error" else ()), answer, *asked.behind]

    def _leave_out_silent(self) -> None:
        """Answer lists and watches without the groups that have lost their last worker meanwhile."""
        for asked in list(self._asked.values()):
            answers = asked.answers
            if not isinstance(answers, GatheredList | GatheredWatch):
                continue
            group_at, silent = self._directory.groups.group_at, self._directory.groups_silent
            gone = {shard for shard in answers.missing if group_at(shard) in silent}
            if gone and gone < asked.shards:
                answers.leave_out(gone)
                asked.before += _left_out(sorted(set(map(group_at, gone))))  # beside those before
                asked.shards -= gone
                sub = getattr(asked.command, "sub", None)
                if sub is not None and self._has(asked.command, sub):
                    self._subs[sub] = asked.shards, asked.command.id
                self._late.update({(shard, asked.command.id): sub for shard in gone})
                if not answers.missing:
                    rest = answers.rest() if isinstance(answers, GatheredWatch) else []
                    for each in (*self._all_of(asked), *rest):
                        self._outbox.reply(orjson.dumps(each))

    def _gathered(self, asked: _Asked) -> Frame:
        answers = asked.answers
        assert answers is not None
        result = answers.result()
        if result["type"] != "error":
            self._session.replied(asked.command.id, result["type"])
            self._answered(asked)
            return result
        if isinstance(asked.command, commands.Watch):
            self._undo(asked.command.sub, answers.found)
        return self._refused(asked, result)

    def _undo(self, sub: int, shards: Iterable[int]) -> None:
        """Let the shards that watch end it: others have refused."""
        for shard in shards:
            id = 0
            while not id or id in self._asked or id in self._undoing:
                id = secrets.randbits(52)
            self._undoing[id] = shard, sub
            self._send((shard,), encode(commands.Unsubscribe(id=id, sub=sub)))

    # ── the end ──────────────────────────────────────────────────────────────────────────────────

    def _ended(self, link: Link, reason: str) -> None:
        """There is no way to a home any more, or none was found."""
        self._undoing = {id: at for id, at in self._undoing.items() if at[0] != link.shard}
        self._late = {at: sub for at, sub in self._late.items() if at[0] != link.shard}
        if self._links.get(link.shard) is link:
            del self._links[link.shard]
            self._later(link.closed())
        for command in self._pings.gone(link.shard):
            self._pong(command)
        if not link.url:  # nothing has reached it
            self._refuse_all(link.shard, reason)
            return
        shard = link.shard
        is_needed = (
            shard in self._runs_here
            or link.is_passing
            or any(shard in shards for shards, _ in self._subs.values())
            or any(shard in asked.shards for asked in self._asked.values())
        )
        if is_needed:
            self._leave()

    def _leave(self) -> None:
        """Send the client away: it comes back with its cursors."""
        if self._connection is not None and self._ending is None:
            self._ending = asyncio.ensure_future(self._connection.leave())
            for asked in self._asked.values():  # the connection's reading may wait for one of them
                if asked.answered is not None:
                    asked.answered.set()

    def _failed(self, error: Exception) -> None:
        self._services.failures.internal(error, "what a home sent")

    def _refuse_all(self, shard: int, reason: str) -> None:
        for asked in [asked for asked in self._asked.values() if shard in asked.shards]:
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
                frames = [self._refused(asked, frame), *asked.behind]
            for each in frames:
                self._outbox.reply(orjson.dumps(each))

    def drop_stale(self) -> None:
        """Leave homes that are no longer those of their shards: a frozen worker says nothing by itself."""
        now = asyncio.get_running_loop().time()
        for shard, link in list(self._links.items()):
            home = self._directory.homes.get(shard)
            link.alone_since = None if home is not None else link.alone_since or now
            is_alone = link.alone_since is not None and now > link.alone_since + PATIENCE_S
            if link.url and (is_alone or home not in (None, link.url)):
                link.close()
                self._ended(link, "another worker has this part of the server now")
        self._leave_out_silent()
        for sub, watched in self._watches.items():
            groups, _ = self._routes.groups_of_rows(watched.command.graphs)
            if sub in self._subs and not self._subs[sub][0].issuperset(self._routes.shards_of(groups)):
                self._leave()  # a group is new, or there again; the client asks anew

    async def close(self) -> None:
        """Let go of everything that the connection held."""
        links = list(self._links.values())
        reached = {link.shard for link in links if link.url}
        self._links.clear()
        for link in links:
            link.close()
        await asyncio.gather(*(link.closed() for link in links))
        if self._principal is not None and self._connection is not None:
            self._services.connections.remove(self._principal, self._connection)
        for asked in self._asked.values():
            if asked.answered is not None:
                asked.answered.set()
            if asked.noted is not None:
                is_sent = any(shard in reached for shard in asked.shards)
                let_go = self._directory.runs.let_go_later if is_sent else self._directory.runs.let_go
                let_go(self._owner, asked.command.run or "", asked.noted)
        self._pings.close()
        for task in self._looking:
            task.cancel()
        await asyncio.gather(*self._looking, return_exceptions=True)
        if self._ending is not None:
            await asyncio.gather(self._ending, return_exceptions=True)
        self._connection = None  # which has this


def _left_out(groups: list[str]) -> tuple[Frame, ...]:
    """Return the notice that rows of these groups are missing."""
    if not groups:
        return ()
    message = f"left out is what {' and '.join(map(words, groups))} has: no worker of it is there now"
    return ({"type": "notice", "code": "partial", "message": message},)


def _subs_of(command: Any) -> tuple[int, ...]:
    """Return the subscriptions that a request names."""
    if isinstance(command, commands.Run):
        return tuple(spec.sub for spec in command.subscribe)
    sub = getattr(command, "sub", None)
    return () if sub is None else (sub,)


def _with_run(data: str | bytes, id: str) -> str:
    """Return the frame of a start, which names no run, with the id of one."""
    text = data if isinstance(data, str) else data.decode()
    return f'{{"run":"{id}",{text.lstrip()[1:]}'


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
