"""A TCP proxy that cuts connections at any byte, in either direction, and says what it cut through."""

import asyncio
import socket as sockets
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Cut:
    """Where a connection ends: behind so many bytes ``down`` (from the server) or ``up`` (to it)."""

    direction: Literal["up", "down"]
    after: int


class Framing:
    """Follows the bytes of one direction: inside of what are they?"""

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
    """Stands before a server. ``plan()`` is asked for each connection's ``Cut``, None for none.

    ``cuts`` counts what was cut through: ``handshake``, ``frame``, ``replay``. With ``pace`` it passes so
    many bytes from the server every 20 ms, and holds little.
    """

    def __init__(self, host: str, port: int, plan: Callable[[], Cut | None], pace: int | None = None) -> None:
        self._target = (host, port)
        self._plan = plan
        self._pace = pace
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.cuts: Counter[str] = Counter()
        self.connections = 0
        self.url = ""

    async def __aenter__(self) -> "Proxy":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"ws://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/ws"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        try:
            await _Link(self, self._plan(), self._pace).run(reader, writer, self._target)
        except asyncio.CancelledError:
            pass
        finally:
            self._tasks.discard(task)


class _Link:
    def __init__(self, proxy: Proxy, cut: Cut | None, pace: int | None) -> None:
        self._proxy = proxy
        self._cut = cut
        self._pace = pace
        self._framing = {"up": Framing(), "down": Framing()}
        self._replays = 0
        self._tail = b""
        self._is_cut = False

    async def run(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, target: tuple[str, int]
    ) -> None:
        raw = sockets.socket()
        if self._pace is not None:
            raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
        raw.setblocking(False)
        loop = asyncio.get_running_loop()
        try:
            await loop.sock_connect(raw, target)
        except OSError:
            raw.close()
            writer.transport.abort()
            return
        limit = 1 << 16 if self._pace is None else 2048
        there, back = await asyncio.open_connection(sock=raw, limit=limit)
        pumps = [
            asyncio.ensure_future(self._pump("up", reader, back)),
            asyncio.ensure_future(self._pump("down", there, writer)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            for side in (writer, back):
                if self._is_cut:
                    side.transport.abort()
                else:
                    side.close()

    async def _pump(
        self, direction: Literal["up", "down"], source: asyncio.StreamReader, sink: asyncio.StreamWriter
    ) -> None:
        left = self._cut.after if self._cut is not None and self._cut.direction == direction else None
        size = 1 << 16 if self._pace is None or direction == "up" else self._pace
        try:
            while data := await source.read(size):
                data = data if left is None else data[:left]
                self._framing[direction].feed(data)
                if direction == "down":
                    self._watch(data)
                sink.write(data)
                await sink.drain()
                if left is not None:
                    left -= len(data)
                    if not left:
                        self._count()
                        return
                if size != 1 << 16:
                    await asyncio.sleep(0.02)
        except OSError:
            return

    def _watch(self, data: bytes) -> None:
        seen = self._tail + data
        for text, step in ((b'"recovery":"replayed"', 1), (b'"type":"synced"', -1)):
            self._replays += step * (seen.count(text) - self._tail.count(text))
        self._tail = seen[-20:]

    def _count(self) -> None:
        self._is_cut = True
        cuts, places = self._proxy.cuts, [framing.where for framing in self._framing.values()]
        if "handshake" in places:
            cuts["handshake"] += 1
        if "frame" in places:
            cuts["frame"] += 1
        if self._replays:
            cuts["replay"] += 1
        cuts["all"] += 1
