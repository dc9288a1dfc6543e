"""The legal transitions of connections, subscriptions and runs, as tables. (Not the state of a graph.)

A step that is not in a table is illegal. Whatever keeps one of these states moves it with ``advance``, which
raises on an illegal step; the reference draws its diagrams from the same tables.
"""

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias, TypeVar

from graphwire_protocol.errors import IllegalTransition
from graphwire_protocol.types import Status

Before = TypeVar("Before")
Happening = TypeVar("Happening")
After = TypeVar("After")


def advance(table: Mapping[tuple[Before, Happening], After], state: Before, happening: Happening) -> After:
    """Return the state that ``happening`` leads to from ``state``. Raises ``IllegalTransition``."""
    try:
        return table[state, happening]
    except KeyError:
        raise IllegalTransition(state, happening) from None


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
"""``requested`` until ``subscribed``; ``replaying`` while earlier events are sent, until ``synced``;
``gapped`` and ``live_gapped`` between a ``gap`` and its ``snapshot``.
"""

SUBSCRIPTION: Final[dict[tuple[SubscriptionState, str], SubscriptionState]] = {
    # ``subscribed`` counts as two steps here: its ``recovery`` says whether something is replayed first.
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

RUN: Final[dict[tuple[Status | None, Status], Status]] = {
    (None, "queued"): "queued",
    (None, "running"): "running",
    ("queued", "running"): "running",
    ("queued", "cancelled"): "cancelled",
    ("running", "interrupted"): "interrupted",
    ("running", "running"): "running",  # taken over by another worker, with the next attempt
    ("running", "completed"): "completed",
    ("running", "failed"): "failed",
    ("running", "cancelled"): "cancelled",
    ("interrupted", "running"): "running",
    ("interrupted", "cancelled"): "cancelled",
}
"""The lifecycle of a run: what happens is that it takes the status, from None before its first one."""

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
    "thread_update": "ok",
    "delete": "ok",
}
"""The frame that answers each request if it succeeds; ``run`` then gets one ``subscribed`` for each spec."""
