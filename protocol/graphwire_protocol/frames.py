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
    ThreadRow,
    Welcome,
)
from graphwire_protocol.types import ClosedReason, GapReason, Name, Namespace, Seq, Status, SubId, Uint


class Event(Wire):
    """One event of a run's log.

    Server: sends it once the log holds it at the announced ``durability``. On a subscription, ``seq`` rises
    strictly, and ``n`` rises by one.

    Client: ignores an event at or below its cursor of the same epoch; otherwise shows it and moves the
    cursor. If there is a hole in ``n``, it unsubscribes and subscribes again from its cursor. It passes on an
    unknown ``mode`` as unknown.
    """

    type: Literal["event"] = "event"
    sub: SubId
    n: Uint
    """Its number on this attachment: 1, 2, 3, …"""
    seq: Seq
    """Its position in the log, the same for every client."""
    mode: Annotated[str, Field(examples=["messages"])]
    """What kind of event it is."""
    ns: Namespace = ()
    """The subgraph path; left out for the root."""
    node: Maybe[str] = None
    """The node that it comes from, if that is known."""
    task_ns: Maybe[Namespace] = None
    """With ``custom`` data of an ``@task``: where LangGraph shows it with subgraphs, below ``ns``."""
    data: Json
    """What happened; its shape depends on the mode."""
    meta: Maybe[JsonObject] = None
    """LangGraph's metadata, with the first event of each message on an attachment."""
    base: Maybe[Seq] = None
    """The ``seq`` of the ``values`` event that a patch applies to."""
    interrupts: Maybe[tuple[AskedInterrupt, ...]] = None
    """With an ``updates`` or ``values`` event: the interrupts that came with it; empty at a static
    breakpoint.
    """


class Gap(Wire):
    """The events after ``after_seq`` up to ``upto_seq`` cannot be sent; the ``snapshot`` that follows
    replaces them.

    Server: sends it if the requested position is evicted, of another epoch, or beyond the head, and to a
    reader that falls behind while attached. The ``snapshot`` is the next frame of that ``sub``.

    Client: tells its application, which drops what it built from the lost modes. It moves its cursor with the
    snapshot, not before: if the connection is lost between the two, it needs both again.
    """

    type: Literal["gap"] = "gap"
    sub: SubId
    after_seq: Seq
    """The client's position."""
    upto_seq: Seq
    """The position that the snapshot describes."""
    reason: GapReason
    """``evicted``: the events are gone; ``epoch_changed``: the log began anew; ``ahead``: beyond the log's
    head.
    """
    lost: tuple[str, ...]
    """The modes of this subscription whose evicted events a snapshot cannot give back."""


class Snapshot(Wire):
    """The run as it was at exactly ``seq``, as far as the filter admits it.

    Server: sends it behind a ``gap``, or first for ``from: "snapshot"``; every event after ``seq`` follows.

    Client: replaces what it has of the run with it, and sets its cursor to (epoch of ``subscribed``,
    ``seq``), even if that is lower. Later deltas continue these messages.
    """

    type: Literal["snapshot"] = "snapshot"
    sub: SubId
    seq: Seq
    """The position that it describes."""
    status: Status
    """The run's status at that position."""
    values: Json = None
    """The last state of the root, if the filter has ``values``."""
    messages: tuple[SnapshotMessage, ...]
    """The messages, each the sum of its deltas so far, if the filter has ``messages``."""
    interrupts: tuple[PendingInterrupt, ...]
    """The interrupts that wait for an answer."""


class Synced(Wire):
    """The replay is complete: from now on events, or the changes of a watch, are live.

    Server: sends it once on every attachment that replays, behind the last replayed frame, and on every
    watch. For a watch it has no ``seq``.

    Client: may tell its application that it is up to date.
    """

    type: Literal["synced"] = "synced"
    sub: SubId
    seq: Maybe[Seq] = None
    """The position that the replay reached."""
    cut: Maybe[Uint] = None
    """For a watch: how many matching runs or threads its list left out (``max_watch_runs``); left out if
    none.
    """


class RunInfo(RunRow):
    """The state of a run that a watch matches, or of one that has just stopped matching.

    Server: sends one for each matching run before ``synced``, then one for each change of status and each
    new run; one more, with the same status, when the run's ``checkpoint`` becomes known; with ``progress``
    also one, at most once a second, for a run whose log grows.

    Client: replaces what it has of that ``run``. A ``status`` that the watch does not ask for means that the
    run no longer matches.
    """

    type: Literal["run_info"] = "run_info"
    sub: SubId


class RunGone(Wire):
    """A run is no longer there: no list has it, and its id may be used for another run.

    Server: sends it to each watch that the run has matched, behind all of the run's ``run_info``.

    Client: drops what it has of that ``run``; it may have nothing.
    """

    type: Literal["run_gone"] = "run_gone"
    sub: SubId
    run: Name
    """The run's id."""
    reason: Literal["deleted", "expired", "evicted"] | str
    """Why: it was deleted; it was kept as long as ``result_ttl_s`` allows; it made room for others
    (``store_bytes``).
    """


class ThreadInfo(ThreadRow):
    """A thread that a watch of threads matches, or one that has just stopped matching.

    Server: sends one for each matching thread before ``synced``, then one for each new thread and each change
    of a row: a new run, a new status, a question, metadata. What changes several times before it is sent is
    sent once as it is then, but each status of a run once.

    Client: replaces what it has of that ``graph`` and ``thread``. A row that the watch does not ask for means
    that the thread no longer matches.
    """

    type: Literal["thread_info"] = "thread_info"
    sub: SubId


class ThreadGone(Wire):
    """A thread is no longer there: no list has it.

    Server: sends it to each watch that the thread has matched, behind all of the thread's ``thread_info``.

    Client: drops what it has of that thread; it may have nothing. The name may be used for a new thread.
    """

    type: Literal["thread_gone"] = "thread_gone"
    sub: SubId
    graph: str
    """The graph's name."""
    thread: Name
    """The thread."""
    reason: Literal["deleted", "expired", "evicted"] | str
    """Why: it was deleted; its last run was forgotten, and no checkpoint is left; it made room for others in
    the server's memory.
    """


class Mark(Wire):
    """The log has advanced to ``seq``, and no event in between passed the filter.

    Server: sends it at least every 5 seconds while the log advances and nothing matches.

    Client: moves its cursor forward to ``seq``, so that resuming is cheap. If ``n`` is there and is not the
    ``n`` of the last event that it received, an event was lost: it unsubscribes and subscribes again from its
    cursor, as for a hole in ``n``.
    """

    type: Literal["mark"] = "mark"
    sub: SubId
    seq: Seq
    """How far the log has advanced."""
    n: Maybe[Uint] = None
    """The ``n`` of the last event sent on this attachment; 0 if none was. Left out by servers of 1.0."""


class Closed(Wire):
    """The subscription has ended; no frame of that ``sub`` follows, and the number may be used again.

    Server: sends it behind the terminal event (``end``), or when the run is deleted or the principal may not
    see it any more.

    Client: does not subscribe again. If it saw few events, ``skipped`` says how many its filter held back.
    """

    type: Literal["closed"] = "closed"
    sub: SubId
    reason: ClosedReason
    """Why: the log has ended, was deleted, or may not be seen any more."""
    seq: Maybe[Seq] = None
    """The last ``seq`` of the log."""
    status: Maybe[Status] = None
    """The run's last status."""
    delivered: Uint
    """How many events were sent on this attachment."""
    skipped: Uint
    """How many events its filter held back, by ``keys`` as well."""


WatchFrame: TypeAlias = RunInfo | RunGone | ThreadInfo | ThreadGone
"""The frames that only watches have."""

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
    | RunGone
    | ThreadInfo
    | ThreadGone
    | Closed,
    Field(discriminator="type"),
]
"""Every frame that a server may send."""
