"""What the kit knows of the protocol, written down anew: the kit imports no model of ours."""

from typing import Any, TypeAlias

Frame: TypeAlias = dict[str, Any]
"""A frame, or a part of one, as JSON has it."""

SUBPROTOCOL = "graphwire.v1.json"

LOG_MODES = (
    "values",
    "updates",
    "custom",
    "messages",
    "tasks",
    "checkpoints",
    "debug",
    "interrupt",
    "lifecycle",
)
"""The modes of a log's events."""

FREE_MODES = ("lifecycle", "interrupt")
"""The modes that cost no credit."""

TERMINAL = ("completed", "failed", "cancelled")
"""The statuses that end a run."""

REPLIES = ("welcome", "started", "subscribed", "ok", "error")
"""The frames that answer a request."""


def call_of(message: Frame) -> str:
    """Return the key of a message's call, given its data or its row in a snapshot."""
    return str(message.get("call", message["id"]))
