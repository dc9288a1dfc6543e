"""The attacks that no other file here names, so that none is without a test.

About `gateway/graphwire_gateway/connections/sharing.py`,
`gateway/graphwire_gateway/connections/wrong_tokens.py` and `gateway/graphwire_gateway/runs/restoring.py`.
"""

from pathlib import Path

import pytest

from tests.support.attacks.all import ATTACKS
from tests.support.attacks.figures import holds

pytestmark = pytest.mark.abuse

NAMED = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))


@pytest.mark.parametrize("name", [name for name in ATTACKS if f'"{name}"' not in NAMED])
async def test_others_go_on(name: str) -> None:
    await holds(ATTACKS[name])
