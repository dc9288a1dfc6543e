"""Frames that come faster than a connection may send them are read no faster than that.

About `protocol/graphwire_protocol/server.py`.
"""

from dataclasses import replace

import pytest

from tests.support.attacks.figures import holds
from tests.support.attacks.frames import FRAMES

pytestmark = pytest.mark.abuse


@pytest.mark.parametrize("name", ["a flood of credit", "a flood of lists"])
async def test_a_flood_is_slowed_down(name: str) -> None:
    limits = {"requests_per_s": 200, "request_burst": 200}
    await holds(replace(FRAMES[name], limits=limits, cpu=0.5))
