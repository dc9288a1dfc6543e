"""What a graph raises, wherever its code is called, ends nothing but its own request.

About `gateway/graphwire_gateway/failures.py`, `gateway/graphwire_gateway/telemetry.py` and
`gateway/graphwire_gateway/graphs/runner.py`.
"""

import pytest

from tests.support.attacks.code import CODE
from tests.support.attacks.figures import holds

pytestmark = pytest.mark.abuse


async def test_exceptions_that_end_more_than_themselves_are_answers() -> None:
    figures = await holds(CODE["exceptions that end more than themselves"])
    assert figures.report["unanswered"] == []


async def test_an_exception_that_takes_its_time_takes_no_other_s() -> None:
    await holds(CODE["exceptions that take their time"])


async def test_a_huge_text_is_cut_before_it_is_logged() -> None:
    figures = await holds(CODE["exceptions with huge texts"])
    assert len(figures.log) < 1 << 20


async def test_no_text_forges_a_line_of_the_log() -> None:
    figures = await holds(CODE["exceptions that forge lines"])
    assert "forged line" in figures.log
    assert "\x1b" not in figures.log
    assert not [line for line in figures.log.splitlines() if line.startswith(("12:00:00", "forged"))]
