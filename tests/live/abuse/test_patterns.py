"""Patterns that would make a matcher try again and again cost no more than others.

About `protocol/graphwire_protocol/filters.py`.
"""

import pytest

from tests.support.attacks.figures import holds
from tests.support.attacks.walks import WALKS

pytestmark = pytest.mark.abuse


async def test_patterns_that_branch_delay_nobody() -> None:
    await holds(WALKS["patterns that branch"])
