"""A TCP proxy that cuts, stalls and throttles connections at any byte, and counts what it did."""

import asyncio
import contextlib
import socket as sockets
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

Direction = Literal["up", "down"]

_TICK_S = 0.01
_READ = 1 << 16
_LINGER_S = 0.2


@dataclass(frozen=True)
class Act:
    """What happens after so many bytes of a direction: ``down`` is from the server, ``up`` to it.

    ``cut`` ends the connection, ``stall`` stops the directions ``holds`` for ``seconds``, ``throttle`` passes
    no more than ``rate`` bytes every 10 ms for ``seconds``.
    """

    direction: Direction
    after: int
    kind: Literal["cut", "stall", "throttle"]
    holds: tuple[Direction, ...] = ()
    seconds: float = 0.0
    rate: int = 0


Plan = Callable[[int], Sequence[Act]]
"""What happens to a connection, by its number, which counts from 1."""


def cut(direction: Direction, after: int) -> Act:
    """End a connection after so many bytes."""
    return Act(direction, after, "cut")


class Framing:
    """Follows the bytes of one direction: which part of the WebSocket protocol did they stop in?"""

    def __init__(self) -> None:
        self.where: Literal["handshake", "frame", "between"] = "handshake"
        self._held = b""
        self._left = 0

    def feed(self, data: bytes) -> None:
        """Take the next bytes in."""
        self._held += data
        if self.where == "handshake":
            end = self._held.find(b"\r\n\r\n")
            if end < 0:
                return
            self._held = self._held[end + 4 :]
            self.where = "between"
        while True:
            if self._left:
                taken = min(self._left, len(self._held))
                self._left -= taken
                self._held = self._held[taken:]
                if self._left:
                    return
            if not self._held:
                self.where = "between"
                return
            self.where = "frame"
            size = self._size()
            if size is None:
                return
            self._left = size

    def _size(self) -> int | None:
        head = self._held
        if len(head) < 2:
            return None
        short, masked = head[1] & 127, 4 if head[1] & 128 else 0
        extra = {126: 2, 127: 8}.get(short, 0)
        if len(head) < 2 + extra:
            return None
        length = int.from_bytes(head[2 : 2 + extra], "big") if extra else short
        return 2 + extra + masked + length


class Proxy:
    """Stands before a server at port ``target``, and does to each connection what ``plan`` says.

    ``faults`` counts what it did, each act once; ``cuts`` counts each cut in every part of the stream that it
    went through: ``handshake``, ``frame``, ``replay``. Once ``is_calm``, the proxy passes everything on.
    ``buffer`` is the receive buffer of its sockets to the server. With ``pace`` it passes no more than that
    many bytes from the server every 20 ms, and holds little.
    """

    def __init__(
        self,
        target: int,
        plan: Plan = lambda number: (),
        faults: Counter[str] | None = None,
        *,
        buffer: int | None = None,
        pace: int | None = None,
    ) -> None:
        self.target = target
        self.buffer = 4096 if pace is not None else buffer
        self.pace = pace
        self._plan = plan
        self._tasks: set[asyncio.Task[None]] = set()
        self._links: set[_Link] = set()
        self._listener: sockets.socket | None = None
        self.is_calm = False
        self.faults: Counter[str] = Counter() if faults is None else faults
        self.cuts: Counter[str] = Counter()
        self.connections = 0
        self.port = 0
        self.on_connection: Callable[[int], None] = lambda number: None

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/ws"

    async def __aenter__(self) -> "Proxy":
        self._listen()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._leave()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _listen(self) -> None:
        # A socket of its own rather than a server: it may be closed at any moment.
        listener = self._listener = sockets.socket()
        listener.setsockopt(sockets.SOL_SOCKET, sockets.SO_REUSEADDR, 1)
        listener.setblocking(False)
        listener.bind(("127.0.0.1", self.port))
        listener.listen(512)
        self.port = listener.getsockname()[1]
        asyncio.get_running_loop().add_reader(listener.fileno(), self._accept, listener)

    def _leave(self) -> None:
        if self._listener is not None:
            asyncio.get_running_loop().remove_reader(self._listener.fileno())
            self._listener.close()
            self._listener = None

    async def restart(self, seconds: float) -> None:
        """Go away with every connection, and listen again after so many seconds."""
        if self._listener is None:
            return
        self.faults["restart"] += 1
        self._leave()
        for link in list(self._links):
            link.cut()
        await asyncio.sleep(seconds)
        self._listen()

    def _accept(self, listener: sockets.socket) -> None:
        try:
            raw = listener.accept()[0]
        except OSError:
            return
        raw.setblocking(False)
        self.connections += 1
        self.on_connection(self.connections)
        link = _Link(self, raw, [] if self.is_calm else self._plan(self.connections))
        self._links.add(link)
        task = asyncio.ensure_future(link.run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: self._links.discard(link))


class _Link:
    def __init__(self, proxy: Proxy, raw: sockets.socket, acts: Sequence[Act]) -> None:
        self._proxy = proxy
        self._raw = [raw, sockets.socket()]  # from the client, to the server
        self._acts = {
            way: sorted((act for act in acts if act.direction == way), key=lambda act: act.after)
            for way in ("up", "down")
        }
        self._framing = {"up": Framing(), "down": Framing()}
        self._free = {"up": asyncio.Event(), "down": asyncio.Event()}
        for event in self._free.values():
            event.set()
        self._rate: int | None = None
        self._replays = 0
        self._tail = b""
        self._sides: tuple[asyncio.StreamWriter, ...] = ()
        self._timers: list[asyncio.TimerHandle] = []

    def cut(self) -> None:
        """End the connection now."""
        for side in self._sides:
            side.transport.abort()

    async def run(self) -> None:
        """Carry bytes until the end."""
        try:
            await self._run()
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            for raw in self._raw:
                raw.close()

    async def _run(self) -> None:
        there = self._raw[1]
        if self._proxy.buffer is not None:
            there.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, self._proxy.buffer)
        there.setblocking(False)
        await asyncio.get_running_loop().sock_connect(there, ("127.0.0.1", self._proxy.target))
        reader, writer = await asyncio.open_connection(sock=self._raw.pop(0))
        self._sides = (writer,)
        limit = _READ if self._proxy.pace is None else 2048
        try:
            source, back = await asyncio.open_connection(sock=self._raw.pop(0), limit=limit)
        except BaseException:
            self.cut()
            raise
        self._sides = (writer, back)
        pumps = [
            asyncio.ensure_future(self._pump("up", reader, back)),
            asyncio.ensure_future(self._pump("down", source, writer)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for timer in self._timers:
                timer.cancel()
            for pump in pumps:
                pump.cancel()
            try:
                await asyncio.gather(*pumps, return_exceptions=True)
                await self._end()
            finally:
                self.cut()

    async def _end(self) -> None:
        """Let what was passed on arrive, if that takes a moment only."""
        for side in self._sides:
            side.close()
        closing = asyncio.gather(*(side.wait_closed() for side in self._sides), return_exceptions=True)
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(closing, _LINGER_S)

    async def _pump(self, way: Direction, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        acts, passed, free = self._acts[way], 0, self._free[way]
        pace = self._proxy.pace if way == "down" else None
        with contextlib.suppress(OSError):
            while data := await source.read(pace or self._rate or _READ):
                while acts and acts[0].after <= passed + len(data) and not self._proxy.is_calm:
                    here = max(acts[0].after - passed, 0)
                    await self._pass(way, data[:here], sink)
                    passed += here
                    data = data[here:]
                    if self._do(acts.pop(0)):
                        return
                    await free.wait()
                passed += len(data)
                await self._pass(way, data, sink)
                if not free.is_set():
                    await free.wait()
                if pace is not None or self._rate is not None:
                    await asyncio.sleep(2 * _TICK_S if pace is not None else _TICK_S)

    async def _pass(self, way: Direction, data: bytes, sink: asyncio.StreamWriter) -> None:
        if not data:
            return
        self._framing[way].feed(data)
        if way == "down" and any(self._acts.values()):
            self._watch(data)
        sink.write(data)
        await sink.drain()

    def _do(self, act: Act) -> bool:
        """Do it; True if that was the connection's end."""
        faults, loop = self._proxy.faults, asyncio.get_running_loop()
        if act.kind == "cut":
            self._count()
            self.cut()
            return True
        if act.kind == "stall":
            faults["stall of " + " and ".join(act.holds)] += 1
            for way in act.holds:
                self._free[way].clear()
                self._timers.append(loop.call_later(act.seconds, self._free[way].set))
        else:
            faults["throttle"] += 1
            self._rate = act.rate
            self._timers.append(loop.call_later(act.seconds, self._unthrottle))
        return False

    def _unthrottle(self) -> None:
        self._rate = None

    def _watch(self, data: bytes) -> None:
        seen = self._tail + data
        for text, step in ((b'"recovery":"replayed"', 1), (b'"type":"synced"', -1)):
            self._replays += step * (seen.count(text) - self._tail.count(text))
        self._tail = seen[-20:]

    def _count(self) -> None:
        parts = {framing.where for framing in self._framing.values()} - {"between"}
        if self._replays > 0:
            parts.add("replay")
        self._proxy.cuts.update(parts)
        narrowest = next((part for part in ("handshake", "replay", "frame") if part in parts), "between")
        self._proxy.faults[f"cut in {narrowest}"] += 1
