"""What the ``data`` of the modes that are this protocol's own is made of, and a snapshot's parts."""

from typing import Literal

from graphwire_protocol.base import Json, JsonObject, Maybe, Wire
from graphwire_protocol.types import Namespace, Status, Timestamp, Uint


class Failure(Wire):
    """Why a run failed. ``type`` only where the operator exposes errors; ``error_id`` finds the rest."""

    code: Literal["graph_error", "recursion_limit", "timeout", "limit_exceeded", "lost"] | str
    message: str
    error_id: Maybe[str] = None
    type: Maybe[str] = None


class Lifecycle(Wire):
    """``data`` of mode ``lifecycle``: the run's new status."""

    status: Status
    attempt: Uint
    at: Timestamp
    reason: Maybe[str] = None
    error: Maybe[Failure] = None
    discard: Maybe[tuple[str, ...]] = None


class PendingInterrupt(Wire):
    """A question that a graph waits for; answered by its ``id``."""

    id: str
    value: Json = None
    ns: Namespace = ()


class Interrupts(Wire):
    """``data`` of mode ``interrupt``: all pending ones, each once; empty at a static breakpoint."""

    interrupts: tuple[PendingInterrupt, ...]


class Mark(Wire):
    """An interrupt as an ``updates`` or ``values`` event carries it beside its ``data``."""

    id: str
    value: Json = None


class MessageData(Wire):
    """``data`` of mode ``messages``: a delta, or a whole message."""

    id: str
    delta: Maybe[JsonObject] = None
    message: Maybe[JsonObject] = None


class SnapshotMessage(Wire):
    """A message as a snapshot holds it: merged, with LangGraph's metadata."""

    id: str
    ns: Namespace = ()
    node: Maybe[str] = None
    message: JsonObject
    meta: Maybe[JsonObject] = None
