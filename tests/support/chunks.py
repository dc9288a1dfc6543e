"""Chunks of a stream as comparable JSON: what is random in each run is renamed or masked."""

import json
import re
from typing import Any

from graphwire_protocol.projection import Projector

_IDS = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|\b[0-9a-f]{32}\b")
_TIMES = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+(\+00:00|Z)")


def comparable(chunks: list[Any]) -> list[str]:
    """Chunks as JSON, ids renumbered by their first appearance, times masked."""
    seen: dict[str, str] = {}

    def renumbered(found: re.Match[str]) -> str:
        return seen.setdefault(found.group(), f"<id {len(seen) + 1}>")

    return [
        _IDS.sub(renumbered, _TIMES.sub("<time>", json.dumps(json.loads(Projector().dumps(chunk)))))
        for chunk in chunks
    ]


def unordered(chunks: list[str]) -> list[str]:
    """Comparable chunks of parallel nodes, which may interleave as they like."""
    return sorted(re.sub(r"<id \d+>", "<id>", chunk) for chunk in chunks)
