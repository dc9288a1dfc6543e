"""What a wrong token costs whoever guesses: time, and a line in the log. A right one is never delayed.

The refusals of one address leave one after the other, at a distance that grows to ``LONGEST_APART_S``. So
clients behind one proxy cannot lock each other out, and a guesser hears a few answers a second. Nothing is
banned, and what is remembered has a bound.

All refusals wait, however many there are: whichever left early, answered or not, would tell guessers as fast
as they can ask. Each holds a connection for at most ``LONGEST_S``. A peer that says nothing holds one for
longer (``hello_timeout_s``), and what bounds the connections of strangers is the process's descriptors.
"""

import asyncio
import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Protocol

from graphwire_gateway.telemetry import RateLimitedLogger

FREE = 10
"""Refusals of an address that are not delayed: a person mistypes a token, a program has an old one."""

APART_S = 0.1
"""Time between the first two refusals that are delayed; it doubles with each."""

LONGEST_APART_S = 1.0

LONGEST_S = 5.0
"""The longest that a refusal is delayed; below what clients wait for an answer."""

FORGOTTEN_S = 60.0
"""Time without a refusal after which an address begins anew."""

MAX_ADDRESSES = 4096
"""Addresses that are remembered; of more, the one that was refused longest ago is forgotten."""

_LOGGED_EVERY_S = 10.0


class RefusedConnection(Protocol):
    """A connection that is refused."""

    @property
    def peer(self) -> Any:
        """The address of the other side."""

    async def ended(self) -> None:
        """Wait until the connection has ended."""


class _Address:
    __slots__ = ("apart_s", "count", "due", "last", "logged_at")

    def __init__(self) -> None:
        self.count = 0
        self.due = 0.0  # when the latest of its refusals leaves
        self.apart_s = APART_S
        self.last = 0.0
        self.logged_at: float | None = None


class WrongTokens:
    """Delays the refusals of tokens, by the address of the peer, and logs them."""

    def __init__(self, log: RateLimitedLogger, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._clock = clock
        self._addresses: OrderedDict[str, _Address] = OrderedDict()  # the one refused longest ago is first

    async def slow_down(self, connection: RefusedConnection, reason: str) -> None:
        """Log a refusal, and return when its answer may leave or the connection has ended."""
        seconds = self.count(connection.peer, reason)
        if seconds <= 0:
            return
        end = asyncio.ensure_future(connection.ended())
        try:
            await asyncio.wait((end,), timeout=seconds)
        finally:
            end.cancel()

    def count(self, peer: Any, reason: str) -> float:
        """Count a refusal and log it now and then; return the seconds until its answer may leave."""
        now = self._clock()
        key = address_of(peer)
        address = self._addresses.pop(key, None)
        if address is None or now - address.last > FORGOTTEN_S:
            address = _Address()
        self._addresses[key] = address
        if len(self._addresses) > MAX_ADDRESSES:
            self._addresses.popitem(last=False)
        address.count += 1
        address.last = now
        if address.logged_at is None or now - address.logged_at >= _LOGGED_EVERY_S:
            address.logged_at = now
            self._log.warning("refused a token", peer=peer, count=address.count, reason=reason)
        if address.count <= FREE:
            return 0.0
        address.due = min(max(now, address.due) + address.apart_s, now + LONGEST_S)
        address.apart_s = min(2 * address.apart_s, LONGEST_APART_S)
        return address.due - now


def address_of(peer: Any) -> str:
    """Return what counts as one address: of IPv6 the network, whose every address one peer may have."""
    host = str(peer[0]) if isinstance(peer, tuple) and peer else ""
    try:
        found = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    return str(found.ipv4_mapped or ipaddress.ip_network((found, 64), strict=False))
