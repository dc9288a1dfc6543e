"""The objects in ``data`` of the protocol's own modes, and the parts of a snapshot."""

from typing import Literal

from graphwire_protocol.base import Json, JsonObject, Maybe, Wire
from graphwire_protocol.types import Namespace, Status, Timestamp, Uint


class Failure(Wire):
    """Why a run failed. Unless the server exposes errors, the message is generic and ``type`` is left out."""

    code: Literal["graph_error", "recursion_limit", "timeout", "limit_exceeded", "lost"] | str
    """The graph raised, took too many steps or too long, made too many events, or its worker was lost."""
    message: str
    """For people."""
    error_id: Maybe[str] = None
    """Find the rest in the server's log by it."""
    type: Maybe[str] = None
    """The exception's class."""


class Lifecycle(Wire):
    """``data`` of mode ``lifecycle``: the run's new status."""

    status: Status
    """The run's status from this event on."""
    attempt: Uint
    """1, plus one for each takeover after a crash; an answer does not raise it."""
    at: Timestamp
    """When the run took this status."""
    reason: Maybe[str] = None
    """Why: the reason that ``cancel`` gave, or ``superseded``, ``expired``, ``shutdown`` and the like."""
    error: Maybe[Failure] = None
    """With ``failed``: what went wrong."""
    discard: Maybe[tuple[str, ...]] = None
    """With a takeover: messages that the repeated step sends again, by the keys of their calls; the client
    drops what it has of them.
    """
    void_after: Maybe[Uint] = None
    """With a takeover: what the graph said behind this ``seq``, and before this event, is void in all modes;
    the repeated step says it again.
    """


class PendingInterrupt(Wire):
    """A question that waits for an answer."""

    id: str
    """The interrupt's id, which an answer names."""
    value: Json = None
    """What the graph asks."""
    ns: Namespace = ()
    """The path of the subgraph that asks, as deep as it is known."""
    response_schema: Maybe[JsonObject] = None
    """The JSON Schema of an answer, as it is, without tags; left out if the graph gives none."""


class Interrupts(Wire):
    """``data`` of mode ``interrupt``: all pending interrupts, each once; none at a static breakpoint."""

    interrupts: tuple[PendingInterrupt, ...]
    """The pending interrupts."""


class AskedInterrupt(Wire):
    """An interrupt as a state has it, and as an ``updates`` or ``values`` event carries it beside its
    ``data``.
    """

    id: str
    """The interrupt's id."""
    value: Json = None
    """What the graph asks."""
    response_schema: Maybe[JsonObject] = None
    """The JSON Schema of an answer, as it is, without tags; left out if the graph gives none."""


class MessageData(Wire):
    """``data`` of mode ``messages``: a delta, or a whole message."""

    id: str
    """The message's id, as far as it is known; the last delta names the one that the state has."""
    call: Maybe[str] = None
    """The key of the call of a model that it belongs to, unique in the log; deltas add up by it. Left out, it
    is ``id``.
    """
    delta: Maybe[JsonObject] = None
    """The chunk's fields that are not empty; deltas add up. Its ``id`` is the chunk's own, if that is not the
    message's.
    """
    message: Maybe[JsonObject] = None
    """A whole message."""
    discard: Maybe[Literal[True]] = None
    """The node failed and begins again: the client drops what it has of the call. ``delta`` is empty."""


class SnapshotMessage(Wire):
    """A message as a snapshot holds it: merged, with LangGraph's metadata."""

    id: str
    """The message's id, the one that the state has."""
    call: Maybe[str] = None
    """The key of its call, which later deltas name. Left out, it is ``id``."""
    ns: Namespace = ()
    """The subgraph path."""
    node: Maybe[str] = None
    """The node that wrote it."""
    message: JsonObject
    """The sum of its deltas so far; ``{"type", "$cut"}`` if that is too large to send."""
    meta: Maybe[JsonObject] = None
    """LangGraph's metadata."""
