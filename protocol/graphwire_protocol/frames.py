"""The frames of a subscription, and the unions of all frames of both directions."""

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from graphwire_protocol.base import Json, JsonObject, Maybe, Wire
from graphwire_protocol.payloads import AskedInterrupt, PendingInterrupt, SnapshotMessage
from graphwire_protocol.replies import (
    Error,
    Goaway,
    Notice,
    Ok,
    Pong,
    RunRow,
    Started,
    Subscribed,
    Welcome,
)
from graphwire_protocol.types import ClosedReason, GapReason, Namespace, Seq, Status, SubId, Uint


class Event(Wire):
    """One event of a run's log.

    Server: sends it when the log holds it at the announced ``durability``; ``seq`` rises strictly on a
    subscription, ``n`` by one.

    Client: ignores an event at or below its cursor of the same epoch, else shows it and moves the cursor. A
    hole in ``n`` is a fault: it unsubscribes and subscribes from its cursor. It passes an unknown ``mode``
    on as unknown.
    """

    type: Literal["event"] = "event"
    sub: SubId
    n: Uint
    """Its number on this attachment, dense from 1."""
    seq: Seq
    """Its place in the log, the same for everyone."""
    mode: Annotated[str, Field(examples=["messages"])]
    """What it tells."""
    ns: Namespace = ()
    """The subgraph path; left out for the root."""
    node: Maybe[str] = None
    """The node that it comes from, where that is known."""
    data: Json
    """What the mode says; see events."""
    meta: Maybe[JsonObject] = None
    """LangGraph's metadata: with the first event of each message on an attachment."""
    base: Maybe[Seq] = None
    """The ``seq`` of the ``values`` event that a patch starts from."""
    interrupts: Maybe[tuple[AskedInterrupt, ...]] = None
    """Beside the data of an ``updates`` or ``values`` event: the interrupts that came with it; empty at a
    static breakpoint.
    """


class Gap(Wire):
    """Events between ``after_seq`` and ``upto_seq`` cannot be sent; the ``snapshot`` behind it stands for
    them.

    Server: sends it where the asked position is evicted, of another epoch or beyond the head, also to a
    reader that fell behind while attached; its ``snapshot`` is the next frame of that ``sub``.

    Client: tells its application, which drops what it built from the lost modes; moves its cursor with the
    snapshot, not before: whoever is cut off between the two needs both again.
    """

    type: Literal["gap"] = "gap"
    sub: SubId
    after_seq: Seq
    """The client's own position."""
    upto_seq: Seq
    """What the snapshot describes."""
    reason: GapReason
    """The events are evicted, the log began anew, or the position is beyond its head."""
    lost: tuple[str, ...]
    """The modes of this subscription whose evicted events a snapshot cannot give back."""


class Snapshot(Wire):
    """The run as it was at exactly ``seq``, as far as the filter lets it be seen.

    Server: sends it behind a ``gap``, or first on ``from: "snapshot"``; every event behind ``seq`` follows.

    Client: replaces what it holds of the run by it and sets its cursor to (epoch of ``subscribed``,
    ``seq``), downwards too. Later deltas go on from these messages.
    """

    type: Literal["snapshot"] = "snapshot"
    sub: SubId
    seq: Seq
    """What it describes, exactly."""
    status: Status
    """The run's status there."""
    values: Json = None
    """The last root state, where the filter asks for ``values``."""
    messages: tuple[SnapshotMessage, ...]
    """The messages, each merged from its deltas so far, where the filter asks for ``messages``."""
    interrupts: tuple[PendingInterrupt, ...]
    """The interrupts that wait for an answer."""


class Synced(Wire):
    """What was sent first is through: from here on events, or a watch's changes, are live.

    Server: sends it once on every attachment that replayed, behind its last replayed frame, and on every
    watch. A watch's has no ``seq``.

    Client: may tell its application that it is up to date.
    """

    type: Literal["synced"] = "synced"
    sub: SubId
    seq: Maybe[Seq] = None
    """The position that is reached."""


class RunInfo(RunRow):
    """The state of a run that a watch matches, or of one that stops matching by it.

    Server: sends one for each matching run before ``synced``, then one for each change of status and each
    new run.

    Client: replaces what it holds of that ``run``. A changed ``status`` that its watch does not ask for
    means that the run left it.
    """

    type: Literal["run_info"] = "run_info"
    sub: SubId


class Mark(Wire):
    """The log has advanced to ``seq`` and nothing in between passed the filter.

    Server: sends it at least every 5 seconds while the log advances and nothing matches.

    Client: moves its cursor up to ``seq``, so that coming back is cheap.
    """

    type: Literal["mark"] = "mark"
    sub: SubId
    seq: Seq
    """How far the log has advanced."""


class Closed(Wire):
    """The subscription is over; no frame of that ``sub`` follows, and the number may be used anew.

    Server: sends it behind the terminal event (``end``), or when the run is deleted or may not be seen any
    more.

    Client: does not subscribe again. ``skipped`` answers why it saw so little.
    """

    type: Literal["closed"] = "closed"
    sub: SubId
    reason: ClosedReason
    """The log ended, was deleted, or may not be seen any more."""
    seq: Maybe[Seq] = None
    """The last ``seq`` of the log."""
    status: Maybe[Status] = None
    """The run's last status."""
    delivered: Uint
    """Events that this attachment was sent."""
    skipped: Uint
    """Events that its filter held back, by ``keys`` too."""


SubFrame: TypeAlias = Event | Gap | Snapshot | Synced | Mark | Closed
"""The frames that belong to one subscription."""

ServerFrame: TypeAlias = Annotated[
    Welcome
    | Started
    | Subscribed
    | Ok
    | Error
    | Pong
    | Notice
    | Goaway
    | Event
    | Gap
    | Snapshot
    | Synced
    | Mark
    | RunInfo
    | Closed,
    Field(discriminator="type"),
]
"""Every frame that a server may send."""
