"""The frames by which a server answers, each to one request, and its control frames."""

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from graphwire_protocol.base import Json, JsonObject, Maybe, Wire
from graphwire_protocol.commands import Product
from graphwire_protocol.filters import Filter
from graphwire_protocol.payloads import AskedInterrupt
from graphwire_protocol.types import (
    Durability,
    Epoch,
    Milliseconds,
    Name,
    Recovery,
    RequestId,
    Retry,
    Seconds,
    Seq,
    Status,
    SubId,
    Timestamp,
    Uint,
)


class Welcome(Wire):
    """The reply to ``hello``: who serves whom, what is enabled, and within which limits.

    Server: sends it before any other reply.

    Client: keeps to ``limits`` from here on and checks a frame's size before it sends; asks for nothing
    that ``features`` does not name.
    """

    type: Literal["welcome"] = "welcome"
    id: RequestId
    server: Product
    """The serving program."""
    minor: Uint
    """The additions to this major version that the server knows."""
    features: tuple[str, ...]
    """The optional parts that are enabled."""
    limits: dict[str, int | float | None]
    """The limits in force by name; ``null`` is none."""
    principal: str
    """Who the connection is authenticated as."""
    expires_at: Maybe[Timestamp] = None
    """When that identity ends."""
    durability: Durability
    """What an event survives once it is delivered: nothing, a crash of the server's process, a loss of
    power.
    """


class Started(Wire):
    """The reply to ``run``: started now, or found again.

    Server: sends it when the run exists; one ``subscribed`` for each spec follows with the same ``id``.

    Client: keeps ``run``, the key to everything later; ``created: false`` says that its input was not used.
    """

    type: Literal["started"] = "started"
    id: RequestId
    run: Name
    """The run's id."""
    thread: Maybe[Name] = None
    """The run's thread, where it has one."""
    epoch: Epoch
    """The log's incarnation."""
    created: bool
    """``false``: the run existed already."""
    status: Status
    """The status as it is now."""


class Subscribed(Wire):
    """The reply to ``subscribe`` and ``watch``, and to each spec of a ``run``: where delivery begins, and
    how.

    Server: sends it before the first event of that ``sub``. ``after`` is left out where a ``gap`` or a
    ``snapshot`` follows, which say it themselves. A watch's has ``id`` and ``sub`` only.

    Client: counts ``n`` from 1 again. Where ``epoch`` differs from its cursor's, or it has no cursor yet,
    ``(epoch, after)`` is its cursor now.
    """

    type: Literal["subscribed"] = "subscribed"
    id: RequestId
    sub: SubId
    run: Maybe[Name] = None
    """The run."""
    epoch: Maybe[Epoch] = None
    """The log's incarnation."""
    head: Maybe[Seq] = None
    """The last ``seq`` of the log now."""
    after: Maybe[Seq] = None
    """Delivery begins behind this ``seq``."""
    recovery: Maybe[Recovery] = None
    """What is sent first: nothing (``live``), the missed events, a snapshot, or a gap with one."""
    filter: Maybe[Filter] = None
    """The filter in force, with an operator's rule in it."""
    credit: Maybe[Uint] = None
    """The credit in force."""


class RunRow(Wire):
    """What a list tells of a run."""

    run: Name
    """The run's id."""
    graph: str
    """The graph's name."""
    thread: Maybe[Name] = None
    """Its thread, where it has one."""
    metadata: JsonObject
    """What ``run.metadata`` gave."""
    status: Status
    """The status as it is now."""
    attempt: Uint
    """1, and one more for each takeover after a crash."""
    epoch: Epoch
    """The log's incarnation."""
    head: Seq
    """The last ``seq`` of the log."""
    created_at: Timestamp
    """When it was asked for."""
    started_at: Maybe[Timestamp] = None
    """When it began to run."""
    ended_at: Maybe[Timestamp] = None
    """When it ended."""
    interrupts: Maybe[tuple[str, ...]] = None
    """The ids of its pending interrupts."""
    modes: tuple[str, ...]
    """The modes that its log records."""


class ThreadRow(Wire):
    """What a list tells of a thread."""

    graph: str
    """The graph's name."""
    thread: Name
    """The thread."""
    status: Status
    """The status of its latest run; of a thread that only its checkpoints tell of, ``interrupted`` if
    something is left to do there, else ``completed``.
    """
    updated_at: Timestamp
    """When that status began."""


class StateTask(Wire):
    """A task of a checkpoint: LangGraph's ``PregelTask``."""

    id: str
    """The task's id."""
    name: str
    """The node."""
    path: Json = None
    """Where it stands in its step, as LangGraph tells it."""
    error: Json = None
    """The exception that it ended with."""
    interrupts: tuple[AskedInterrupt, ...] = ()
    """What it asks."""
    state: Json = None
    """Of a subgraph: its ``config``, or its state where that was asked for."""
    result: Json = None
    """What it has written."""


class ThreadState(Wire):
    """A thread at one checkpoint: LangGraph's ``StateSnapshot``."""

    values: Json
    """The state."""
    next: tuple[str, ...]
    """The nodes that come next."""
    tasks: tuple[StateTask, ...]
    """Their tasks."""
    interrupts: tuple[AskedInterrupt, ...]
    """What they ask."""
    metadata: Json = None
    """The checkpoint's metadata; ``null`` where there is no checkpoint."""
    config: JsonObject
    """Names the checkpoint: ``{"configurable": {"thread_id", "checkpoint_ns", "checkpoint_id"}}``."""
    parent_config: Maybe[JsonObject] = None
    """The ``config`` of the checkpoint before it."""
    created_at: Maybe[Timestamp] = None
    """When the checkpoint was written."""


class Edge(Wire):
    """An edge of a graph; ``conditional`` where a router decides."""

    source: str
    """The node it leaves."""
    target: str
    """The node it leads to."""
    conditional: Maybe[bool] = None
    """``true`` where a router decides."""


class GraphRow(Wire):
    """What a list tells of a graph."""

    name: str
    """What ``run.graph`` is given."""
    description: Maybe[str] = None
    """For people."""
    input_schema: Maybe[JsonObject] = None
    """JSON Schema of the input."""
    output_schema: Maybe[JsonObject] = None
    """JSON Schema of the output."""
    context_schema: Maybe[JsonObject] = None
    """JSON Schema of the context."""
    nodes: tuple[str, ...]
    """The names of its nodes."""
    edges: tuple[Edge, ...]
    """How they are connected."""
    modes: tuple[str, ...]
    """The modes that it can be asked for."""


class Ok(Wire):
    """The reply to every other request; which fields it has is said by the request.

    Server: sends it once, ahead of queued events.

    Client: matches it to its request by ``id`` alone: replies may come in another order than their
    requests.
    """

    type: Literal["ok"] = "ok"
    id: RequestId
    status: Maybe[Status] = None
    """To ``cancel``, ``respond`` and ``result``: the run's status now."""
    output: Json = None
    """To ``result``: the output, once ``completed``; it may be ``null``."""
    graphs: Maybe[tuple[GraphRow, ...]] = None
    """To ``list`` of graphs."""
    runs: Maybe[tuple[RunRow, ...]] = None
    """To ``list`` of runs."""
    threads: Maybe[tuple[ThreadRow, ...]] = None
    """To ``list`` of threads."""
    cursor: Maybe[str] = None
    """To ``list``: where the next page begins; left out on the last."""
    values: Json = None
    """To ``state``: the state. This and what follows are ``ThreadState``'s."""
    next: Maybe[tuple[str, ...]] = None
    """To ``state``: the nodes that come next."""
    tasks: Maybe[tuple[StateTask, ...]] = None
    """To ``state``: their tasks."""
    interrupts: Maybe[tuple[AskedInterrupt, ...]] = None
    """To ``state``: what they ask."""
    metadata: Json = None
    """To ``state``: the checkpoint's metadata."""
    config: Maybe[JsonObject] = None
    """To ``state`` and ``state_update``: names the checkpoint."""
    parent_config: Maybe[JsonObject] = None
    """To ``state``: names the checkpoint before it."""
    created_at: Maybe[Timestamp] = None
    """To ``state``: when the checkpoint was written."""
    states: Maybe[tuple[ThreadState, ...]] = None
    """To ``state_history``: the states, the newest first."""


class Error(Wire):
    """The reply to a request that is refused; without ``id``, to something of which none could be read.

    Server: sends it instead of the success frame, names path and reason and never repeats the offending
    value.

    Client: acts on ``code`` and ``retry``, never on ``message``, which is for people. An unknown code is
    treated by its ``retry``.
    """

    type: Literal["error"] = "error"
    id: Maybe[RequestId] = None
    """The refused request."""
    sub: Maybe[SubId] = None
    """The subscription that it is about."""
    code: Annotated[str, Field(examples=["invalid_argument"])]
    """One of the codes."""
    message: str
    """What, where and what to do, for people."""
    retry: Retry
    """Whether and when the request may be sent again: ``never``; the ``same`` at any time; ``after`` a
    while; with a new identity (``reauth``); by subscribing anew (``resync``).
    """
    after_ms: Maybe[Milliseconds] = None
    """With ``after``: how long to wait."""
    details: Maybe[JsonObject] = None
    """Data for programs; the code says which."""


class Pong(Wire):
    """The reply to ``ping``.

    Server: sends it at once, ahead of events.

    Client: may measure by it how far away the server is.
    """

    type: Literal["pong"] = "pong"
    t: Json
    """The ping's ``t``."""


class Notice(Wire):
    """Something that a person should hear of and no program need act on.

    Server: may send it at any time after ``welcome``.

    Client: tells its application, unknown codes too.
    """

    type: Literal["notice"] = "notice"
    code: str
    """Names it for programs."""
    message: str
    """For people."""
    expires_at: Maybe[Timestamp] = None
    """When what it tells of takes effect."""


class Goaway(Wire):
    """The connection will be closed by the server.

    Server: sends it before it drains; ``run`` is refused with ``draining`` from here on, and close 1012
    comes within ``deadline_s``.

    Client: may go on reading, and connects again after ``after_ms`` or when it is closed, with its cursors.
    """

    type: Literal["goaway"] = "goaway"
    reason: str
    """Why, such as ``draining``."""
    deadline_s: Seconds
    """When the connection is closed at the latest."""
    after_ms: Milliseconds
    """How long to wait before connecting again."""


Reply: TypeAlias = Welcome | Started | Subscribed | Ok | Error
"""The replies to requests."""
