"""The small named types that frames are made of: ids, positions, modes, statuses.

The frames themselves are in ``commands``, ``replies`` and ``frames``.
"""

from typing import Annotated, Literal, TypeAlias

from pydantic import Field, StringConstraints

MAX_INT = 2**53 - 1
"""The largest integer that every JSON implementation holds exactly."""

Name: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._:\-]{1,128}$")]
"""A string id: 1 to 128 characters of ``[A-Za-z0-9._:-]``."""

NAME_RULE = (
    "an id takes 1 to 128 characters, each one of A-Z a-z 0-9 . _ : - only; replace or quote others, such as "
    "@ and spaces"
)
"""The pattern of ``Name``, in words."""

Uint: TypeAlias = Annotated[int, Field(ge=0, le=MAX_INT)]
"""An unsigned integer below 2**53."""

RequestId: TypeAlias = Uint
"""Chosen by the client; unique among the connection's open requests."""

SubId: TypeAlias = Uint
"""Chosen by the client; names a subscription on its connection."""

Seq: TypeAlias = Uint
"""A position in a run's log, counted by the server from 1; 0 is before the first event."""

Epoch: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=128)]
"""Names one incarnation of a log. Opaque to clients."""

Seconds: TypeAlias = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Milliseconds: TypeAlias = Uint

Timestamp: TypeAlias = Annotated[str, Field(examples=["2026-03-01T12:00:00.000Z"])]
"""An RFC 3339 time in UTC."""

Mode: TypeAlias = Literal[
    "values", "updates", "custom", "messages", "tasks", "checkpoints", "debug", "interrupt", "lifecycle"
]
"""What kind of thing an event reports. The first seven are LangGraph's stream modes."""

STREAM_MODES: tuple[Mode, ...] = (
    "values",
    "updates",
    "custom",
    "messages",
    "tasks",
    "checkpoints",
    "debug",
)
"""The modes that a graph is streamed with; the server itself makes ``interrupt`` and ``lifecycle`` events."""

Status: TypeAlias = Literal["queued", "running", "interrupted", "completed", "failed", "cancelled"]
TERMINAL: frozenset[str] = frozenset({"completed", "failed", "cancelled"})
"""The statuses that end a run's log."""

Retry: TypeAlias = Literal["never", "same", "after", "reauth", "resync"]
Recovery: TypeAlias = Literal["live", "replayed", "snapshot", "gap"]
Durability: TypeAlias = Literal["none", "crash", "power"]
GapReason: TypeAlias = Literal["evicted", "epoch_changed", "ahead"]
ClosedReason: TypeAlias = Literal["end", "deleted", "forbidden"]

Namespace: TypeAlias = tuple[str, ...]
"""The subgraph path of an event, ``("researcher:6f…", "tools:91…")``; ``()`` is the root."""
