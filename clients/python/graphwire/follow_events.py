"""What following a thread yields beside the events of its runs: three small frozen classes.

``follow`` yields them, and ``follow_view`` puts a thread's messages together from them.
"""

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from graphwire_protocol.types import Status

from graphwire.events import Event

Because: TypeAlias = Literal["state", "start", "input", "values", "pause", "end"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowMessages:
    """All messages of the thread as its state has them. They replace everything that was shown.

    ``because`` says which state it is:

    - ``state``: the thread's, where following begins, or begins anew;
    - ``start``: the one that ``run`` began from, an earlier one if the run branches there;
    - ``input``: the same with what ``run`` was given, as far as is known yet;
    - ``values``: the one after a step of ``run``;
    - ``pause``, ``end``: the thread's now that ``run`` waits for answers, or has ended.

    ``cut_bytes`` is ``None``, or the size of a state that is larger than the server's ``max_event_bytes`` and
    was not sent; then there are no ``messages``.
    """

    messages: tuple[Any, ...]
    because: Because
    run: str | None = None
    cut_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowRun:
    """A run of the thread has begun; its events follow, from its first.

    ``number`` counts the thread's runs from 1, until the server forgets them all. ``checkpoint`` is where the
    run began, ``""`` in an empty thread, ``None`` if it ended before its graph began. ``missing`` names what
    was asked for and the run does not record: modes, and ``subgraphs``.
    """

    run: str
    number: int
    status: Status
    checkpoint: str | None
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowDiscard:
    """Following begins anew from the thread's state, which comes next.

    With ``reason`` ``lost``, the server no longer knows ``run``, whose events were being read: what was shown
    of it since the last ``FollowMessages`` is void. With ``missed``, runs of the thread may have begun and
    ended that cannot be shown any more, as the server has forgotten them.
    """

    reason: Literal["lost", "missed"]
    run: str | None = None


FollowEvent: TypeAlias = FollowMessages | FollowRun | FollowDiscard | Event
"""Everything that following a thread yields."""
