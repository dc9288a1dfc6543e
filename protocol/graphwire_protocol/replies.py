"""The frames by which a server answers a request, the rows in them, and the server's control frames.

Long because it is a list of frames, and most of it is the text that the reference prints.
"""

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from graphwire_protocol.base import Json, JsonObject, Many, Maybe, Wire
from graphwire_protocol.commands import Product
from graphwire_protocol.filters import Filter
from graphwire_protocol.payloads import AskedInterrupt, Failure, PendingInterrupt
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
    """The reply to ``hello``: server and principal, what is enabled, and the limits.

    Server: sends it before any other reply.

    Client: obeys ``limits`` from now on and checks the size of a frame before sending it; uses no optional
    part that ``features`` does not name.
    """

    type: Literal["welcome"] = "welcome"
    id: RequestId
    server: Product
    """The server program."""
    minor: Uint
    """The minor version: how many additions to this major version the server knows."""
    features: tuple[str, ...]
    """The optional parts that are enabled."""
    limits: dict[str, int | float | None]
    """The limits in force, by name; ``null`` is no limit."""
    principal: str
    """The identity that the connection is authenticated as."""
    expires_at: Maybe[Timestamp] = None
    """When that identity expires."""
    durability: Durability
    """What an event survives once it is delivered: nothing (``none``), a crash of the server's process, or a
    loss of power.
    """


class Started(Wire):
    """The reply to ``run``: the run was started, or found again.

    Server: sends it when the run exists; one ``subscribed`` for each spec follows with the same ``id``.

    Client: keeps ``run``, which later requests need. ``created: false`` means that its input was not used.
    """

    type: Literal["started"] = "started"
    id: RequestId
    run: Name
    """The run's id."""
    thread: Maybe[Name] = None
    """The run's thread, if it has one."""
    epoch: Epoch
    """The log's incarnation."""
    created: bool
    """Whether this frame started the run; ``false`` if it existed already."""
    status: Status
    """The current status."""


class Subscribed(Wire):
    """The reply to ``subscribe`` and ``watch``, and to each spec of a ``run``: where and how delivery begins.

    Server: sends it before the first event of that ``sub``. ``after`` is left out if a ``gap`` or a
    ``snapshot`` follows, which has the position itself. The reply to ``watch`` has ``id`` and ``sub`` only.

    Client: counts ``n`` from 1 again. If ``epoch`` differs from its cursor's, or it has no cursor yet,
    ``(epoch, after)`` becomes its cursor.
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
    """Delivery begins after this ``seq``."""
    recovery: Maybe[Recovery] = None
    """What is sent first: nothing (``live``), the missed events, a snapshot, or a gap and a snapshot."""
    filter: Maybe[Filter] = None
    """The filter in force, including the operator's rule."""
    credit: Maybe[Uint] = None
    """The credit in force."""


class RunRow(Wire):
    """A run in a list."""

    run: Name
    """The run's id."""
    graph: str
    """The graph's name."""
    thread: Maybe[Name] = None
    """Its thread, if it has one."""
    metadata: JsonObject
    """The ``metadata`` of its ``run`` frame."""
    status: Status
    """The current status."""
    attempt: Uint
    """1, plus one for each takeover after a crash."""
    epoch: Epoch
    """The log's incarnation."""
    head: Seq
    """The last ``seq`` of the log."""
    created_at: Timestamp
    """When the run was requested."""
    started_at: Maybe[Timestamp] = None
    """When it began to run."""
    ended_at: Maybe[Timestamp] = None
    """When it ended."""
    interrupts: Maybe[tuple[str, ...]] = None
    """The ids of its pending interrupts."""
    reason: Maybe[str] = None
    """Why it has this status, as its ``lifecycle`` event says."""
    error: Maybe[Failure] = None
    """With ``failed``: what went wrong. A long message is shortened."""
    questions: Maybe[tuple[PendingInterrupt, ...]] = None
    """With ``interrupted``: what it asks, as far as 4 KiB hold it. A value that is too large is ``$cut``, and
    the last questions are left out if there are too many; ``interrupts`` names all.
    """
    modes: tuple[str, ...]
    """The modes that its log records."""
    thread_seq: Maybe[Uint] = None
    """The run's number among those of its thread, counted from 1 in the order in which they begin to run;
    left out before it begins.
    """
    thread_epoch: Maybe[Epoch] = None
    """Names the numbering that ``thread_seq`` belongs to: the server begins another one, from 1, once it
    knows no run of the thread any more.
    """
    checkpoint: Maybe[str] = None
    """The checkpoint of its thread that it began from; ``""`` if the thread had none. Left out while it is
    not known yet, and for good if the run ended before its graph began.
    """


class ThreadRow(Wire):
    """A thread in a list."""

    graph: str
    """The graph's name."""
    thread: Name
    """The thread."""
    status: Status
    """The status of its latest run. If no run of the thread is known: ``interrupted`` if its checkpoints say
    that something is left to do, else ``completed``.
    """
    updated_at: Timestamp
    """When the thread took that status. New metadata does not change it."""
    created_at: Maybe[Timestamp] = None
    """When the thread began, as far as is known: with its first run, checkpoint or metadata."""
    run: Maybe[Name] = None
    """Its latest run, if one is known. Left out where principals share their threads."""
    interrupts: Maybe[tuple[str, ...]] = None
    """With ``interrupted``: the ids of what waits for an answer."""
    questions: Maybe[tuple[PendingInterrupt, ...]] = None
    """With ``interrupted``: what is asked, as far as 4 KiB hold it, cut as in the row of a run."""
    metadata: Maybe[JsonObject] = None
    """What ``thread_update`` has set; left out if that is nothing, and by servers without ``threads`` in
    ``welcome.features``.
    """


class StateTask(Wire):
    """A task of a checkpoint: LangGraph's ``PregelTask``."""

    id: str
    """The task's id."""
    name: str
    """The node."""
    path: Json = None
    """Its path in the superstep, as LangGraph has it."""
    error: Json = None
    """The exception that it failed with."""
    interrupts: tuple[AskedInterrupt, ...] = ()
    """Its pending interrupts."""
    state: Json = None
    """For a subgraph: its ``config``, or its state if that was asked for."""
    result: Json = None
    """What it wrote."""


class ThreadState(Wire):
    """A thread at one checkpoint: LangGraph's ``StateSnapshot``."""

    values: Json
    """The state."""
    next: tuple[str, ...]
    """The nodes that run next."""
    tasks: tuple[StateTask, ...]
    """Their tasks."""
    interrupts: tuple[AskedInterrupt, ...]
    """Their pending interrupts."""
    metadata: Json = None
    """The checkpoint's metadata; ``null`` if there is no checkpoint."""
    config: JsonObject
    """Names the checkpoint: ``{"configurable": {"thread_id", "checkpoint_ns", "checkpoint_id"}}``."""
    parent_config: Maybe[JsonObject] = None
    """The ``config`` of the checkpoint before it."""
    created_at: Maybe[Timestamp] = None
    """When the checkpoint was written."""


class Edge(Wire):
    """An edge of a graph."""

    source: str
    """The node that it starts at."""
    target: str
    """The node that it leads to."""
    conditional: Maybe[bool] = None
    """``true`` if a router decides whether it is taken."""


class Subgraph(Wire):
    """A graph that runs in a node of another one; its events have the node in their namespace."""

    node: str
    """The node."""
    nodes: tuple[str, ...]
    """The names of its nodes."""
    edges: tuple[Edge, ...]
    """How its nodes are connected."""
    subgraphs: Maybe[tuple["Subgraph", ...]] = None
    """The graphs that run in its nodes."""
    cut: Maybe[bool] = None
    """``true`` if it is left out, because it is too deep or the subgraphs are too large: ``nodes`` and
    ``edges`` are empty then.
    """


class GraphRow(Wire):
    """A graph in a list."""

    name: str
    """The name, as ``run.graph`` takes it."""
    description: Maybe[str] = None
    """For people."""
    input_schema: Maybe[JsonObject] = None
    """JSON Schema of the input."""
    output_schema: Maybe[JsonObject] = None
    """JSON Schema of the output."""
    output_keys: Maybe[Many[str] | str] = None
    """The state keys of the output. A string if the output is one value, which need not be an object."""
    context_schema: Maybe[JsonObject] = None
    """JSON Schema of the context."""
    nodes: tuple[str, ...]
    """The names of its nodes."""
    edges: tuple[Edge, ...]
    """How its nodes are connected."""
    subgraphs: Maybe[tuple[Subgraph, ...]] = None
    """The graphs that run in its nodes, as far as the server knows them."""
    modes: tuple[str, ...]
    """The modes that it can be streamed with."""


class Ok(Wire):
    """The reply to every other request; the request determines which fields it has.

    Server: sends it once, ahead of queued events.

    Client: matches it to its request by ``id`` alone, because replies may arrive in another order than their
    requests were sent.
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
    thread: Maybe[ThreadRow] = None
    """To ``thread_update``: the thread now."""
    cursor: Maybe[str] = None
    """To ``list``: where the next page begins; left out on the last. To ``state_history``: the ``before`` of
    the next page, if there is one; since 1.1.
    """
    values: Json = None
    """To ``state``: the state. This and what follows are ``ThreadState``'s."""
    next: Maybe[tuple[str, ...]] = None
    """To ``state``: the nodes that run next."""
    tasks: Maybe[tuple[StateTask, ...]] = None
    """To ``state``: their tasks."""
    interrupts: Maybe[tuple[AskedInterrupt, ...]] = None
    """To ``state``: the pending interrupts. To ``result``: what the run asked, if it is ``completed`` for the
    reason ``interrupted``, because nobody can answer.
    """
    metadata: Json = None
    """To ``state``: the checkpoint's metadata."""
    config: Maybe[JsonObject] = None
    """To ``state`` and ``state_update``: names the checkpoint."""
    parent_config: Maybe[JsonObject] = None
    """To ``state``: names the checkpoint before it."""
    created_at: Maybe[Timestamp] = None
    """To ``state``: when the checkpoint was written."""
    thread_seq: Maybe[Uint] = None
    """To ``state``: the ``thread_seq`` of the thread's latest run that had begun when the state had been
    read; left out if no run of the thread is known. A later run has not changed this state.
    """
    thread_epoch: Maybe[Epoch] = None
    """To ``state``: the numbering that ``thread_seq`` belongs to."""
    states: Maybe[tuple[ThreadState, ...]] = None
    """To ``state_history``: the states, the newest first."""


class Error(Wire):
    """The reply to a request that is refused; without ``id`` if no id could be read.

    Server: sends it instead of the success frame. It names path and reason, and never repeats the offending
    value.

    Client: acts on ``code`` and ``retry``, never on ``message``, which is for people. For an unknown code,
    ``retry`` decides.
    """

    type: Literal["error"] = "error"
    id: Maybe[RequestId] = None
    """The refused request."""
    sub: Maybe[SubId] = None
    """The subscription that was refused or not found."""
    code: Annotated[str, Field(examples=["invalid_argument"])]
    """One of the codes."""
    message: str
    """What is wrong, where, and what to do; for people."""
    retry: Retry
    """Whether and when the request may be sent again: ``never``; the ``same`` at any time; ``after`` a
    while; with a new identity (``reauth``); by subscribing anew (``resync``).
    """
    after_ms: Maybe[Milliseconds] = None
    """With ``after``: how long to wait."""
    details: Maybe[JsonObject] = None
    """Data for programs; it depends on the code."""


class Pong(Wire):
    """The reply to ``ping``.

    Server: sends it at once, ahead of events.

    Client: may measure the round trip with it.
    """

    type: Literal["pong"] = "pong"
    t: Json
    """The ping's ``t``."""


class Notice(Wire):
    """Something that a person should know and that no program needs to act on.

    Server: may send it at any time after ``welcome``.

    Client: reports it to its application, whatever the code.
    """

    type: Literal["notice"] = "notice"
    code: str
    """What it is about; for programs."""
    message: str
    """For people."""
    expires_at: Maybe[Timestamp] = None
    """When it takes effect."""


class Goaway(Wire):
    """The server will close the connection.

    Server: sends it before it drains. It refuses ``run`` with ``draining`` from now on, and closes with 1012
    within ``deadline_s``.

    Client: may keep reading. It connects again after ``after_ms``, or when the connection is closed, and
    resumes from its cursors.
    """

    type: Literal["goaway"] = "goaway"
    reason: str
    """Why, such as ``draining``."""
    deadline_s: Seconds
    """The connection is closed within this time."""
    after_ms: Milliseconds
    """How long to wait before connecting again."""


Reply: TypeAlias = Welcome | Started | Subscribed | Ok | Error
"""The replies to requests."""
