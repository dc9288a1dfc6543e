"""The open connections of each principal, of which there are at most ``max_connections``.

A client that vanished without a word, as a laptop does that is closed, leaves a connection that looks open
until a ping times out. A principal at its limit loses such a connection rather than its newcomer.
"""

from typing import Protocol

from graphwire_protocol import codes
from graphwire_protocol.errors import Refusal

SILENT_S = 1.0
"""How long a ping goes unanswered before its connection may be replaced by another one."""


class Pinged(Protocol):
    """A connection that can tell whether its peer still answers."""

    def silent_s(self) -> float:
        """Return for how long the oldest ping has had no answer, in seconds; 0 if none waits for one."""

    def probe(self) -> None:
        """Send a ping, unless one waits for its answer."""

    def abort(self, reason: str) -> None:
        """End the connection at once; ``reason`` is for the log."""


class OpenConnections:
    """The open connections by principal, each principal's at most ``limit``."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._open: dict[str, set[Pinged]] = {}

    def add(self, principal: str, connection: Pinged) -> None:
        """Add one more, in place of a silent one if need be. Raises the ``Refusal`` that closes it."""
        others = self._open.get(principal, set())
        if len(others) >= self._limit:
            silent = max(others, key=lambda other: other.silent_s())
            if silent.silent_s() < SILENT_S:
                for other in others:
                    other.probe()  # whoever does not answer is replaced when the newcomer comes again
                raise Refusal(
                    "limit_exceeded",
                    f"{len(others)} connections are open (max_connections)",
                    after_ms=round(SILENT_S * 1000),
                    close=codes.TOO_MANY,
                )
            others.discard(silent)
            silent.abort("does not answer a ping, and another one needs its place (max_connections)")
        self._open.setdefault(principal, others).add(connection)

    def remove(self, principal: str, connection: Pinged) -> None:
        """Forget a connection that is closed."""
        others = self._open.get(principal, set())
        others.discard(connection)
        if not others:
            self._open.pop(principal, None)
