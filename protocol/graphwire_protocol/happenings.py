"""What the client's session reports of a message: answers, frames for the application, announcements."""

from dataclasses import dataclass, field
from typing import TypeAlias

from graphwire_protocol.codec import Unknown
from graphwire_protocol.frames import Closed, Event, Gap, Snapshot, Synced, WatchFrame
from graphwire_protocol.replies import Error, Goaway, Notice, Pong, Reply, Subscribed, Welcome


@dataclass(frozen=True, slots=True)
class Answered:
    """A request is answered: by ``reply`` and, for a run, its ``subscribed`` frames, or by an ``Error``."""

    id: int
    reply: Reply
    subscribed: tuple[Subscribed, ...] = ()


@dataclass(frozen=True, slots=True)
class Delivered:
    """A frame of a subscription or a watch for the application: new, in order, delivered once.

    An ``Error`` means that the subscription could not be resumed and has ended. ``epoch`` is the incarnation
    of the log that the frame belongs to; None for a watch.
    """

    sub: int
    frame: Event | Gap | Snapshot | Synced | Closed | WatchFrame | Error
    epoch: str | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Announced:
    """A frame for the whole connection."""

    frame: Welcome | Notice | Goaway | Pong | Error | Unknown


@dataclass(frozen=True, slots=True)
class Deferred:
    """The server refused request ``id`` for a while: call ``resend(id)`` after ``after_s`` seconds."""

    id: int
    after_s: float


Happening: TypeAlias = Answered | Delivered | Announced | Deferred
"""What ``ClientSession.receive`` returns."""
