"""The frames of a subscription, and the unions of all frames of both directions."""

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from graphwire_protocol.base import Json, JsonObject, Maybe, Wire
from graphwire_protocol.payloads import Mark as InterruptMark
from graphwire_protocol.payloads import PendingInterrupt, SnapshotMessage
from graphwire_protocol.replies import Error, Goaway, Notice, Ok, Pong, Started, Subscribed, Welcome
from graphwire_protocol.types import ClosedReason, GapReason, Namespace, Seq, Status, SubId, Uint


class Event(Wire):
    """One event of a run's log.

    ``seq`` is its place in the log, ``n`` its number on this attachment of the subscription, dense from 1.
    ``mode`` is one of ``types.Mode``; a client passes unknown ones on as unknown. ``base`` is the ``seq`` of
    the values event that a patch starts from.
    """

    type: Literal["event"] = "event"
    sub: SubId
    n: Uint
    seq: Seq
    mode: Annotated[str, Field(examples=["messages"])]
    ns: Namespace = ()
    node: Maybe[str] = None
    data: Json
    meta: Maybe[JsonObject] = None
    base: Maybe[Seq] = None
    interrupts: Maybe[tuple[InterruptMark, ...]] = None


class Gap(Wire):
    """Events between ``after_seq`` and ``upto_seq`` cannot be sent; the ``snapshot`` behind it stands for
    them, but for the modes in ``lost``.
    """

    type: Literal["gap"] = "gap"
    sub: SubId
    after_seq: Seq
    upto_seq: Seq
    reason: GapReason
    lost: tuple[str, ...]


class Snapshot(Wire):
    """The run as it was at ``seq``: root values, messages, pending interrupts."""

    type: Literal["snapshot"] = "snapshot"
    sub: SubId
    seq: Seq
    status: Status
    values: Json = None
    messages: tuple[SnapshotMessage, ...]
    interrupts: tuple[PendingInterrupt, ...]


class Synced(Wire):
    """What was sent first is through: from here on events are live."""

    type: Literal["synced"] = "synced"
    sub: SubId
    seq: Seq


class Mark(Wire):
    """The log has advanced to ``seq`` and nothing in between passed the filter."""

    type: Literal["mark"] = "mark"
    sub: SubId
    seq: Seq


class Closed(Wire):
    """The subscription is over. ``delivered`` and ``skipped`` count events of this attachment."""

    type: Literal["closed"] = "closed"
    sub: SubId
    reason: ClosedReason
    seq: Maybe[Seq] = None
    status: Maybe[Status] = None
    delivered: Uint
    skipped: Uint


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
    | Closed,
    Field(discriminator="type"),
]
"""Every frame that a server may send."""
