"""The one table of error codes and close codes: what each means, and whether to try again.

``reference`` and ``schema`` print it. Our server and client import it. Errors of runs, such as
``graph_error``, are not here: the gateway's ``failures`` chooses those.
"""

from dataclasses import dataclass

from graphwire_protocol.types import Retry


@dataclass(frozen=True, slots=True)
class Code:
    """One error code: its ``name``, its meaning, and whether the request may be sent again."""

    name: str
    meaning: str
    retry: Retry


CODES: dict[str, Code] = {
    code.name: code
    for code in (
        Code("bad_frame", "not JSON, not an object, no type, or nested too deep", "never"),
        Code("unknown_type", "a frame type that this server does not know", "never"),
        Code("invalid_argument", "a field fails validation; details.errors names path and reason", "never"),
        Code("invalid_filter", "a filter that cannot be understood whole; the path names the fault", "never"),
        Code("unsupported", "a mode or feature that is not served or not recorded", "never"),
        Code("unauthenticated", "no identity, or an expired one", "reauth"),
        Code("forbidden", "known, and not allowed", "never"),
        Code("not_found", "details.kind says what does not exist for this principal", "never"),
        Code("conflict", "an id is in use, or the object is not in the state for it", "never"),
        Code("busy", "the thread has a run", "after"),
        Code("limit_exceeded", "an announced limit is reached", "after"),
        Code("too_large", "what the reply would hold is larger than the server sends: ask for less", "never"),
        Code("rate_limited", "too many requests in a short time", "after"),
        Code("draining", "the server is going away", "after"),
        Code("unavailable", "the server's store is away", "after"),
        Code("internal", "a fault of the server; error_id finds it in the server's log", "same"),
    )
}
"""Every error code of this minor version, in the order of the reference."""


@dataclass(frozen=True, slots=True)
class Close:
    """One WebSocket close code: what it means, and whether a client should connect again."""

    code: int
    meaning: str
    reconnect: bool


NORMAL = 1000
GOING_AWAY = 1001
LOST = 1006  # never sent: what a WebSocket library reports when no close frame came
TOO_BIG = 1009
INTERNAL = 1011
RESTART = 1012
TRY_LATER = 1013
MISUSE = 4400
UNAUTHENTICATED = 4401
FORBIDDEN = 4403
TIMEOUT = 4408
TOO_MANY = 4429

CLOSES: dict[int, Close] = {
    close.code: close
    for close in (
        Close(NORMAL, "done", False),
        Close(GOING_AWAY, "going away", True),
        Close(LOST, "lost", True),
        Close(TOO_BIG, "a message over max_frame_bytes; only its request failed", True),
        Close(INTERNAL, "a fault of the server", True),
        Close(RESTART, "the server drained and restarts", True),
        Close(TRY_LATER, "try again later", True),
        Close(MISUSE, "misuse of the protocol", False),
        Close(UNAUTHENTICATED, "identity missing, refused or expired: only with a new token", False),
        Close(FORBIDDEN, "forbidden", False),
        Close(TIMEOUT, "no hello in time, or nothing taken in time", True),
        Close(TOO_MANY, "too many connections or requests", True),
    )
}
"""Every close code, in the order of the reference."""


def reconnects(code: int) -> bool:
    """Tell whether a client should connect again after ``code``; an unknown one below 4000 counts as lost."""
    close = CLOSES.get(code)
    return close.reconnect if close else code < 4000
