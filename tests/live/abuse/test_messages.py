"""Messages that are large, malformed or never finished end their own connection and cost others little.

About `protocol/graphwire_protocol/codec.py`, `protocol/graphwire_protocol/server.py` and
`gateway/graphwire_gateway/connections/connection.py`.
"""

import pytest

from tests.support.attacks.figures import holds
from tests.support.attacks.frames import FRAMES

pytestmark = pytest.mark.abuse


@pytest.mark.parametrize(
    "name", ["large frames before hello", "fragments without end", "unfinished messages"]
)
async def test_a_connection_that_sends_what_is_no_frame_is_ended(name: str) -> None:
    await holds(FRAMES[name])


async def test_a_set_or_a_map_of_integers_with_one_hash_is_refused_before_it_is_built() -> None:
    figures = await holds(FRAMES["values of one hash"])
    assert figures.report["codes"] == ["invalid_argument", "invalid_argument"]
