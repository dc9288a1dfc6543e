"""What may follow what: the legal transitions of connections, subscriptions and runs, as tables.

Both sessions obey these tables, the server's runs move by ``RUN``, and the reference draws its diagrams from
them. A pair that is not in a table is illegal.
"""

from typing import Final, Literal, TypeAlias

from graphwire_protocol.types import Status

ConnectionState: TypeAlias = Literal["opening", "open", "draining", "closed"]
"""``opening`` until ``hello`` is answered; ``draining`` after ``goaway``."""

CONNECTION: Final[dict[tuple[ConnectionState, str], ConnectionState]] = {
    ("opening", "welcome"): "open",
    ("opening", "close"): "closed",
    ("opening", "goaway"): "draining",
    ("draining", "welcome"): "draining",
    ("open", "goaway"): "draining",
    ("open", "close"): "closed",
    ("draining", "close"): "closed",
}

SubscriptionState: TypeAlias = Literal["requested", "replaying", "gapped", "live", "live_gapped", "ended"]
"""``requested`` until ``subscribed``; ``replaying`` while what lies before the attachment is sent, until
``synced``; the gapped ones between a ``gap`` and its ``snapshot``.
"""

SUBSCRIPTION: Final[dict[tuple[SubscriptionState, str], SubscriptionState]] = {
    # ``subscribed`` counts as two frames here: its ``recovery`` tells whether something is sent first.
    ("requested", "subscribed"): "replaying",
    ("requested", "subscribed live"): "live",
    ("requested", "error"): "ended",
    ("replaying", "gap"): "gapped",
    ("gapped", "snapshot"): "replaying",
    ("replaying", "snapshot"): "replaying",
    ("replaying", "event"): "replaying",
    ("replaying", "mark"): "replaying",
    ("replaying", "synced"): "live",
    ("live", "event"): "live",
    ("live", "mark"): "live",
    ("live", "gap"): "live_gapped",
    ("live_gapped", "snapshot"): "live",
    ("replaying", "closed"): "ended",
    ("gapped", "closed"): "ended",
    ("live", "closed"): "ended",
    ("live_gapped", "closed"): "ended",
}

RUN: Final[dict[tuple[Status | None, Status], None]] = {
    (None, "queued"): None,
    (None, "running"): None,
    ("queued", "running"): None,
    ("queued", "cancelled"): None,
    ("running", "interrupted"): None,
    ("running", "running"): None,  # taken over by another worker, with the next attempt
    ("running", "completed"): None,
    ("running", "failed"): None,
    ("running", "cancelled"): None,
    ("interrupted", "running"): None,
    ("interrupted", "cancelled"): None,
}
"""The lifecycle of a run, by pairs of statuses."""

REPLY: Final[dict[str, str]] = {
    "hello": "welcome",
    "run": "started",
    "subscribe": "subscribed",
    "watch": "subscribed",
    "unsubscribe": "ok",
    "cancel": "ok",
    "respond": "ok",
    "result": "ok",
    "list": "ok",
    "state": "ok",
    "state_history": "ok",
    "state_update": "ok",
    "delete": "ok",
}
"""The frame by which each request succeeds; ``run`` gets one ``subscribed`` for each spec behind it."""
