"""What an attack is, and what its code has at hand. An attacker is a process of its own."""

import asyncio
import itertools
import sys
import time
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import orjson

from tests.support.peer import Frame, Peer
from tests.support.wire import Wire, packed

ATTACKER, OTHER = "token of the attacker", "token of the other"

Report: TypeAlias = dict[str, Any]
"""What the attacker saw. ``connections`` is how many were hostile, ``cut_s`` when the last one was cut."""


class Attacker:
    """The attacker's side: connections to the server, and the moment at which the attack begins."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._began = time.monotonic()

    async def shake(self, **options: Any) -> Peer:
        """Connect without ``hello``."""
        return Peer(await Wire.open(self.port, **options))

    async def connect(self, token: str = ATTACKER, **options: Any) -> Peer:
        """Connect with ``hello``."""
        peer = await self.shake(**options)
        welcome = await peer.ask(type="hello", token=token)
        assert welcome["type"] == "welcome", welcome
        return peer

    async def ready(self) -> None:
        """Say that everything is prepared, and wait for the word to begin."""
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        self._began = time.monotonic()

    def lasts(self, seconds: float) -> bool:
        """Tell whether the attack began less than that many seconds ago."""
        return time.monotonic() - self._began < seconds

    def since_s(self) -> float:
        """Return how long ago the attack began, in seconds."""
        return time.monotonic() - self._began

    async def stays(self, seconds: float) -> None:
        """Wait until the attack has lasted that long."""
        await asyncio.sleep(max(0.0, seconds - self.since_s()))

    async def cut(self, peers: Iterable[Peer]) -> None:
        """Wait until the server has no connection to any of these, whose own sides may read nothing."""
        own = {peer.wire.transport.get_extra_info("sockname")[1] for peer in peers}
        for _ in itertools.takewhile(lambda _: own & _connected(self.port), itertools.count()):
            await asyncio.sleep(0.05)  # nobody is told of it


def _connected(port: int) -> set[int]:
    """Return the ports of the other sides of what is connected to ``port`` on this machine."""
    established = "01"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {
        int(remote.partition(":")[2], 16)
        for _, local, remote, state, *_ in rows
        if state == established and local.endswith(f":{port:04X}")
    }


Act: TypeAlias = Callable[[Attacker], Awaitable[Report | None]]


@dataclass(frozen=True)
class Attack:
    """An attack, and what the server may let it do to others."""

    act: Act
    within_s: float = 20
    """When it must have ended; a flood ends by itself after a few seconds."""
    limits: Mapping[str, float] = field(default_factory=dict)
    """Limits of the server, where the defaults would take too long or too many."""
    descriptors: int | None = None
    """File descriptors of the server's process."""
    healthy: str = "healthy"
    """The graph that others run meanwhile."""
    worst_ping_s: float = 1
    """How long a ``ping`` of others may take in a test; on a quiet machine it takes far less."""
    cpu: float = 2
    """How many processors the server may keep busy."""
    calm_within_s: float | None = None
    """When the server must have nothing to do, counted from the attack's end."""
    cut_within_s: float | None = None
    """When its last connection must have been cut."""
    mib_each: float = 2
    """What a hostile connection may hold."""
    grows_mib: float = 64
    """How much the server may grow at most while it is attacked."""
    keeps_mib: float = 64
    """How much of that it may keep."""

    @property
    def name(self) -> str:
        """The name of the function, in words."""
        return self.act.__name__.replace("_", " ")

    @property
    def does(self) -> str:
        """What it does, in a line."""
        return (self.act.__doc__ or "").splitlines()[0].rstrip(".")


Attacks: TypeAlias = dict[str, Attack]


def listed(attacks: Attacks, **bounds: Any) -> Callable[[Act], Act]:
    """Put a function on a list of attacks, with the fields of ``Attack``."""

    def put(act: Act) -> Act:
        attack = Attack(act, **bounds)
        attacks[attack.name] = attack
        return act

    return put


# ── what several attacks do ──────────────────────────────────────────────────────────────────────


async def ask_all(peer: Peer, frames: Iterable[Frame]) -> list[Frame]:
    """Send requests in one flight, with ids from 1, and return their replies."""
    asked = [{"id": id, **frame} for id, frame in enumerate(frames, 1)]
    peer.wire.raw(b"".join(packed(orjson.dumps(frame)) for frame in asked))
    await peer.wire.drain()
    replies = await _first_of_each(peer, lambda frame: frame.get("id"), [frame["id"] for frame in asked])
    return [replies[frame["id"]] for frame in asked]


async def all_closed(peer: Peer, subs: Iterable[int]) -> None:
    """Read until each of these subscriptions is closed."""
    await _first_of_each(peer, lambda frame: frame["sub"] if frame["type"] == "closed" else None, subs)


async def all_synced(peer: Peer, subs: Iterable[int]) -> None:
    """Read until each of these watches has had its list."""
    await _first_of_each(peer, lambda frame: frame["sub"] if frame["type"] == "synced" else None, subs)


async def _first_of_each(
    peer: Peer, key: Callable[[Frame], Hashable], wanted: Iterable[Hashable]
) -> dict[Hashable, Frame]:
    left, found = set(wanted), {}
    unread = iter(list(peer.frames))
    while left:
        frame = next(unread, None) or await peer.next(60)
        if key(frame) in left:
            left.discard(key(frame))
            found[key(frame)] = frame
    return found
