"""The errors of the protocol itself.

    ProtocolError
    ├── Refusal            the peer asked for something that is answered with an ``error`` frame
    └── Misuse             our own side asked the session for something illegal: a bug of the caller
        └── IllegalTransition  a step that the tables of ``state`` do not have

A failed graph is none of these: it is a ``lifecycle`` event of its run.
"""

from collections.abc import Iterable
from typing import Any

from graphwire_protocol.codes import CODES

_ECHOED = 64  # how many characters of the peer's input one part of a path may repeat


def path_text(parts: Iterable[str | int], prefix: str = "") -> str:
    """Return a path as text, such as ``subscribe[0].filter``."""
    out = prefix
    for part in parts:
        if isinstance(part, int):
            out += f"[{part}]"
        else:
            out += f".{part[:_ECHOED]}" if out else part[:_ECHOED]
    return out


class ProtocolError(Exception):
    """The root of this package's errors."""


class Refusal(ProtocolError):
    """A request that is refused, ready to become an ``error`` frame.

    ``code`` is a name of ``codes.CODES``. ``message`` says what is wrong, where, and what to do, and never
    repeats the offending value. ``details`` is data for programs. ``id`` and ``sub`` name the request.
    ``close`` is the WebSocket close code if the connection ends with it, else None.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        id: int | None = None,
        sub: int | None = None,
        details: dict[str, Any] | None = None,
        after_ms: int | None = None,
        close: int | None = None,
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.id = id
        self.sub = sub
        self.details = details
        self.after_ms = after_ms
        self.close = close

    @property
    def retry(self) -> str:
        """When the request may be sent again, one of ``types.Retry``."""
        return CODES[self.code].retry


class Misuse(ProtocolError):
    """Our own side asked for something illegal, such as two replies to one request: a bug of the caller."""


class IllegalTransition(Misuse):
    """A step that a table of ``state`` does not have: ``happening`` is illegal in ``state``."""

    def __init__(self, state: object, happening: object) -> None:
        super().__init__(f"{happening!r} is illegal in state {state!r}")
        self.state = state
        self.happening = happening
