"""graphwire's client: many graph runs over one WebSocket, nothing lost, nothing repeated.

    async with graphwire.connect("ws://127.0.0.1:8765/ws") as client:
        run = await client.run("joke", {"topic": "cats"}, modes=["messages"])
        async for event in run:
            match event:
                case graphwire.MessagesEvent(message=chunk):
                    print(chunk.text, end="")

Knows the wire only: neither a server nor a graph library needs to be installed.
"""

from graphwire_protocol.projection import Cut, Failed, Opaque
from graphwire_protocol.replies import GraphRow, RunRow, ThreadRow

from graphwire.backoff import Backoff
from graphwire.client import DEFAULT_URL, Client, connect
from graphwire.errors import (
    CannotConnect,
    ConnectionClosed,
    GraphwireError,
    MissingExtra,
    Refused,
    RemoteError,
    RunCancelled,
    RunEnded,
    RunFailed,
    RunInterrupted,
    RunLost,
    StreamBroken,
    Unauthenticated,
)
from graphwire.events import (
    CheckpointsEvent,
    CustomEvent,
    DebugEvent,
    Event,
    Failure,
    GapEvent,
    Interrupt,
    InterruptEvent,
    LifecycleEvent,
    MessagesEvent,
    RunEvent,
    SnapshotEvent,
    SnapshotMessage,
    TasksEvent,
    UnknownEvent,
    UpdatesEvent,
    ValuesEvent,
)
from graphwire.follow import ThreadFollower
from graphwire.follow_events import FollowDiscard, FollowEvent, FollowMessages, FollowRun
from graphwire.follow_view import ThreadView
from graphwire.graph import RemoteGraph
from graphwire.messages import Message, MessageChunk
from graphwire.rows import RunGone, ThreadGone, WatchSynced
from graphwire.run import Run, RunEvents
from graphwire.state import StateSnapshot, StateTask
from graphwire.streams import DEFAULT_MODES

__all__ = [
    "DEFAULT_MODES",
    "DEFAULT_URL",
    "Backoff",
    "CannotConnect",
    "CheckpointsEvent",
    "Client",
    "ConnectionClosed",
    "CustomEvent",
    "Cut",
    "DebugEvent",
    "Event",
    "Failed",
    "Failure",
    "FollowDiscard",
    "FollowEvent",
    "FollowMessages",
    "FollowRun",
    "GapEvent",
    "GraphRow",
    "GraphwireError",
    "Interrupt",
    "InterruptEvent",
    "LifecycleEvent",
    "Message",
    "MessageChunk",
    "MessagesEvent",
    "MissingExtra",
    "Opaque",
    "Refused",
    "RemoteError",
    "RemoteGraph",
    "Run",
    "RunCancelled",
    "RunEnded",
    "RunEvent",
    "RunEvents",
    "RunFailed",
    "RunGone",
    "RunInterrupted",
    "RunLost",
    "RunRow",
    "SnapshotEvent",
    "SnapshotMessage",
    "StateSnapshot",
    "StateTask",
    "StreamBroken",
    "TasksEvent",
    "ThreadFollower",
    "ThreadGone",
    "ThreadRow",
    "ThreadView",
    "Unauthenticated",
    "UnknownEvent",
    "UpdatesEvent",
    "ValuesEvent",
    "WatchSynced",
    "connect",
]
