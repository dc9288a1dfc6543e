"""How long others wait while somebody attacks the server."""

import asyncio
import time
from collections.abc import Coroutine
from typing import Any

from tests.support.peer import Peer

_EVERY_S = 0.01


async def worst_ping_s(other: Peer, attack: Coroutine[Any, Any, None]) -> float:
    """Return the longest that a ``ping`` of ``other`` took while the attack was under way, in seconds."""
    worst = 0.0
    attacking = asyncio.ensure_future(attack)
    while not attacking.done():
        began = time.perf_counter()
        await other.settled()
        worst = max(worst, time.perf_counter() - began)
        await asyncio.wait([attacking], timeout=_EVERY_S)
    attacking.result()
    return worst
