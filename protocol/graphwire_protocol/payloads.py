"""What the ``data`` of the modes that are this protocol's own is made of, and a snapshot's parts."""

from typing import Literal

from graphwire_protocol.base import Json, JsonObject, Maybe, Wire
from graphwire_protocol.types import Namespace, Status, Timestamp, Uint


class Failure(Wire):
    """Why a run failed. Without ``expose_errors`` the message is generic and ``type`` left out."""

    code: Literal["graph_error", "recursion_limit", "timeout", "limit_exceeded", "lost"] | str
    """The graph raised, took too many steps or too long, made too many events, or its worker was lost."""
    message: str
    """For people."""
    error_id: Maybe[str] = None
    """Finds the rest in the server's log."""
    type: Maybe[str] = None
    """The exception's class."""


class Lifecycle(Wire):
    """``data`` of mode ``lifecycle``: the run's new status."""

    status: Status
    """What the run is from here on."""
    attempt: Uint
    """1, and one more for each takeover after a crash; an answer does not raise it."""
    at: Timestamp
    """When."""
    reason: Maybe[str] = None
    """Why, such as what ``cancel`` gave, ``superseded``, ``expired`` or ``shutdown``."""
    error: Maybe[Failure] = None
    """With ``failed``: what went wrong."""
    discard: Maybe[tuple[str, ...]] = None
    """With a takeover: the messages that the repeated step will send again; the client forgets them."""


class PendingInterrupt(Wire):
    """A question that a graph waits for; answered by its ``id``."""

    id: str
    """What an answer names."""
    value: Json = None
    """What the graph asks."""
    ns: Namespace = ()
    """Where it asks, the deepest subgraph that is known."""


class Interrupts(Wire):
    """``data`` of mode ``interrupt``: all pending ones, each once; empty at a static breakpoint."""

    interrupts: tuple[PendingInterrupt, ...]
    """All pending ones."""


class AskedInterrupt(Wire):
    """An interrupt as a state has it, and as an ``updates`` or ``values`` event carries it beside its
    ``data``.
    """

    id: str
    """The interrupt's id."""
    value: Json = None
    """What the graph asks."""


class MessageData(Wire):
    """``data`` of mode ``messages``: a delta, or a whole message."""

    id: str
    """The message's id, shared by all its deltas."""
    delta: Maybe[JsonObject] = None
    """The chunk's fields that are not empty; they add up."""
    message: Maybe[JsonObject] = None
    """A whole message."""


class SnapshotMessage(Wire):
    """A message as a snapshot holds it: merged, with LangGraph's metadata."""

    id: str
    """The message's id."""
    ns: Namespace = ()
    """The subgraph path."""
    node: Maybe[str] = None
    """The node that wrote it."""
    message: JsonObject
    """What its deltas add up to so far."""
    meta: Maybe[JsonObject] = None
    """LangGraph's metadata."""
