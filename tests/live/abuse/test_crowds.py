"""Connections that read nothing, say nothing, have vanished or are too many.

About `gateway/graphwire_gateway/connections/connection.py`,
`gateway/graphwire_gateway/connections/open_connections.py`,
`gateway/graphwire_gateway/connections/loop_time.py` and
`gateway/graphwire_gateway/connections/auth.py`.
"""

import pytest

from tests.support.attacks.connections import CONNECTIONS
from tests.support.attacks.figures import holds
from tests.support.attacks.frames import FRAMES

pytestmark = pytest.mark.abuse


@pytest.mark.parametrize("name", ["stalled readers", "idle connections", "all descriptors"])
async def test_connections_that_say_nothing_cost_little(name: str) -> None:
    await holds(CONNECTIONS[name])


@pytest.mark.parametrize("name", ["a crowd that lists", "a crowd that runs"])
async def test_a_crowd_of_one_principal_holds_up_nobody_else(name: str) -> None:
    await holds(CONNECTIONS[name])


async def test_those_who_come_again_replace_those_who_have_vanished() -> None:
    figures = await holds(CONNECTIONS["a herd that vanished"])
    assert figures.report["last_in_s"] < 10


async def test_a_page_whose_origin_only_looks_local_is_not_admitted() -> None:
    assert (await holds(FRAMES["odd origins"])).report == {"admitted": []}
