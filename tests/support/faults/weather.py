"""A TCP proxy with weather: it cuts, stalls, throttles and goes away, by a seed, and says what it did."""

import asyncio
import contextlib
import random
import socket as sockets
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from tests.support.proxy import Framing

Direction = Literal["up", "down"]

_TICK_S = 0.01
_READ = 1 << 16
_LINGER_S = 0.2


@dataclass(frozen=True)
class Act:
    """What happens behind so many bytes of a direction.

    ``cut`` ends the connection, ``stall`` holds ``holds`` up for ``seconds``, ``throttle`` passes no more
    than ``rate`` bytes a tick for ``seconds``.
    """

    direction: Direction
    after: int
    kind: Literal["cut", "stall", "throttle"]
    holds: tuple[Direction, ...] = ()
    seconds: float = 0.0
    rate: int = 0


def forecast(draw: random.Random, reach: int) -> list[Act]:
    """Return a connection's acts; ``reach`` is about how many bytes pass before it is cut."""
    acts: list[Act] = []
    for _ in range(draw.choice((0, 0, 1, 1, 2))):
        direction: Direction = draw.choice(("down", "down", "up"))
        after = draw.randrange(1, 1500 if direction == "up" else reach)
        if draw.random() < 0.7:
            holds = draw.choice((("down",), ("up",), ("up", "down")))
            acts.append(Act(direction, after, "stall", holds, draw.uniform(0.005, 0.06)))
        else:
            acts.append(
                Act(direction, after, "throttle", (), draw.uniform(0.02, 0.15), draw.randrange(500, 5000))
            )
    match draw.randrange(8):
        case 0:
            cut = Act("down", draw.randrange(1, 130), "cut")
        case 1:
            cut = Act("up", draw.randrange(1, 400), "cut")
        case 2 | 3:
            cut = Act("up", draw.randrange(400, 3000), "cut")
        case _:
            cut = Act("down", draw.randrange(200, 2 * reach), "cut")
    return [*acts, cut]


class Weather:
    """Stands before a server at ``port``. ``faults`` counts what it did; once ``is_calm``, it passes all on.

    Every connection that still stands when the calm comes may be cut once more.
    """

    def __init__(self, target: int, seed: str, reach: int, faults: Counter[str]) -> None:
        self._target = target
        self._seed = seed
        self._reach = reach
        self._tasks: set[asyncio.Task[None]] = set()
        self._links: set[_Link] = set()
        self._listener: sockets.socket | None = None
        self.is_calm = False
        self.faults = faults
        self.connections = 0
        self.port = 0
        self.on_connection: Callable[[int], None] = lambda number: None

    async def __aenter__(self) -> "Weather":
        self._listen()
        return self

    def _listen(self) -> None:
        # A socket of its own rather than a server: it may be closed at any moment.
        listener = self._listener = sockets.socket()
        listener.setsockopt(sockets.SOL_SOCKET, sockets.SO_REUSEADDR, 1)
        listener.setblocking(False)
        listener.bind(("127.0.0.1", self.port))
        listener.listen(512)
        self.port = listener.getsockname()[1]
        asyncio.get_running_loop().add_reader(listener.fileno(), self._accept, listener)

    def _go(self) -> None:
        if self._listener is not None:
            asyncio.get_running_loop().remove_reader(self._listener.fileno())
            self._listener.close()
            self._listener = None

    async def __aexit__(self, *_: object) -> None:
        self._go()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def restart(self, seconds: float) -> None:
        """Go away with every connection, and listen again a moment later."""
        if self._listener is None:
            return
        self.faults["restart"] += 1
        self._go()
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
        draw = random.Random(f"{self._seed}/link/{self.connections}")
        link = _Link(self, raw, [] if self.is_calm else forecast(draw, self._reach))
        self._links.add(link)
        task = asyncio.ensure_future(link.run(self._target))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: self._links.discard(link))


class _Link:
    def __init__(self, weather: Weather, raw: sockets.socket, acts: list[Act]) -> None:
        self._weather = weather
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

    async def run(self, target: int) -> None:
        """Carry bytes until the end."""
        try:
            await self._run(target)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            for raw in self._raw:
                raw.close()

    async def _run(self, target: int) -> None:
        there = self._raw[1]
        there.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 32 << 10)
        there.setblocking(False)
        await asyncio.get_running_loop().sock_connect(there, ("127.0.0.1", target))
        reader, writer = await asyncio.open_connection(sock=self._raw.pop(0))
        self._sides = (writer,)
        try:
            source, back = await asyncio.open_connection(sock=self._raw.pop(0))
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
        """Let what was passed on arrive, if that is a matter of a moment."""
        for side in self._sides:
            side.close()
        closing = asyncio.gather(*(side.wait_closed() for side in self._sides), return_exceptions=True)
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(closing, _LINGER_S)

    async def _pump(self, way: Direction, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        acts, passed, free = self._acts[way], 0, self._free[way]
        with contextlib.suppress(OSError):
            while data := await source.read(self._rate or _READ):
                while acts and acts[0].after <= passed + len(data) and not self._weather.is_calm:
                    act = acts.pop(0)
                    here = act.after - passed
                    await self._pass(way, data[:here], sink)
                    passed += max(here, 0)
                    data = data[max(here, 0) :]
                    if self._do(act):
                        return
                    await free.wait()
                passed += len(data)
                await self._pass(way, data, sink)
                if not free.is_set():
                    await free.wait()
                if self._rate is not None:
                    await asyncio.sleep(_TICK_S)

    async def _pass(self, way: Direction, data: bytes, sink: asyncio.StreamWriter) -> None:
        if not data:
            return
        self._framing[way].feed(data)
        if way == "down" and self._acts["down"]:
            self._watch(data)
        sink.write(data)
        await sink.drain()

    def _do(self, act: Act) -> bool:
        """Do it; True if that was the connection's end."""
        faults, loop = self._weather.faults, asyncio.get_running_loop()
        if act.kind == "cut":
            faults[f"cut in {self._place()}"] += 1
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

    def _place(self) -> str:
        places = [framing.where for framing in self._framing.values()]
        if "handshake" in places:
            return "handshake"
        if self._replays > 0:
            return "replay"
        return "frame" if "frame" in places else "between"
