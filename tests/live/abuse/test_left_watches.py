"""Watches end with their connections.

About `gateway/graphwire_gateway/connections/dispatch.py` and `gateway/graphwire_gateway/runs/watch.py`.
"""

import pytest

from tests.support.attacks.figures import holds
from tests.support.attacks.walks import WALKS

pytestmark = pytest.mark.abuse


async def test_watches_of_closed_connections_keep_nothing() -> None:
    await holds(WALKS["watches that are left"])
