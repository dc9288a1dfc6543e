"""The one seam to the world outside a run: the time of day and fresh ids.

Everything else in this package is a function of its inputs; tests that need fixed times or ids patch here.
"""

from __future__ import annotations

from datetime import datetime, timezone
from uuid import uuid4

__all__ = ["fresh_id", "timestamp"]


def timestamp() -> str:
    """The present moment in UTC, ISO 8601 with microseconds."""
    return datetime.now(timezone.utc).isoformat()


def fresh_id() -> str:
    """A new random id, shaped like a UUID."""
    return str(uuid4())
